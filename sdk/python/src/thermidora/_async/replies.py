from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, NotRequired, TypedDict

from .._common import Call, CallOptions, parse_event, segment, with_key
from ..errors import ThermidoraError
from ..generated import types
from .streams import follow_events
from .transport import AsyncTransport

# A turn may take half an hour: for so long the answer of a message is asked for again.
LONGEST_TURN = 35 * 60.0


class ReplyPart(TypedDict):
    """A part of a streamed reply: some of its text, a step that has begun or ended, or the end with the usage."""

    type: Literal["text", "step", "end"]
    text: NotRequired[str]
    step: NotRequired[types.Step]
    finishReason: NotRequired[str]
    usage: NotRequired[dict[str, Any] | None]


def messages_path(instance_id: str, agent_id: str) -> str:
    """The path of the messages of an agent."""
    return f"/instances/{segment(instance_id)}/agents/{segment(agent_id)}/messages"


class AsyncReply:
    """A reply as it is written: a loop goes through its parts, one over `text()` through its words alone.

    When the connection is lost, the reply goes on with the next word: the message is sent once, however often the client
    connects.
    """

    def __init__(
        self,
        http: AsyncTransport,
        path: str,
        options: CallOptions | None,
        *,
        body: types.MessagesSendRequest | None = None,
        message_id: str | None = None,
        after: str | None = None,
        include: Literal["steps"] | None = None,
    ) -> None:
        """Of the message with this body, which is sent, or of the reply with this id, after a frame of it."""
        self.message_id = message_id
        """The id of the reply, once its first part has come."""
        self._http = http
        self._path = path
        self._options = options
        self._call: Call | None = None
        if body is not None:
            call = Call("POST", path, body={**body, "stream": True}, takes_key=True, options=options)
            self._call = with_key(call)
            include = "steps" if "steps" in (body.get("include") or []) else None
        self._include = include
        # The steps that were answered, as they were then: a connection begins with all of them.
        self._steps: dict[str, str] = {}
        self._last_id = after
        self._said = ""
        self._has_ended = False
        # How much of what was said the current connection has repeated.
        self._at = 0

    async def __aiter__(self) -> AsyncIterator[ReplyPart]:
        """The parts of the reply. Raises the AgentError of a turn that failed."""
        async for event in follow_events(self._http, self._connect, LONGEST_TURN):
            if event.id:
                self._last_id = event.id
            if event.data == "[DONE]":
                return
            value = parse_event(event.data)
            if event.event == "step":
                if self._is_new_step(value):
                    yield {"type": "step", "step": value}
            elif event.event == "message":
                for part in self._parts_of(value):
                    yield part

    async def text(self) -> AsyncIterator[str]:
        """The words of the reply as they come."""
        async for part in self:
            if part["type"] == "text":
                yield part["text"]

    async def message(self) -> types.Message:
        """Waits for the end of the reply, and answers it as the API has stored it."""
        if not self._has_ended:
            async for _ in self:
                pass
        if self.message_id is None:
            raise ThermidoraError("The reply ended without a part.")
        message: types.Message = await self._http.json(
            "GET", f"{self._path}/{segment(self.message_id)}", options=self._options
        )
        return message

    def _connect(self) -> Call:
        # Frames that carry an id can be gone on from; without, the message is sent again under its key and what is known skipped.
        if self._last_id is None:
            self._at = 0
        if self._call is not None and (self._last_id is None or self.message_id is None):
            return self._call
        headers = {} if self._last_id is None else {"last-event-id": self._last_id}
        path = f"{self._path}/{segment(self.message_id or '')}/stream"
        query = None if self._include is None else {"include": self._include}
        return Call("GET", path, headers=headers, query=query, options=self._options)

    def _is_new_step(self, step: Any) -> bool:
        known = self._steps.get(step["stepId"])
        if known == "ended" or known == step["status"]:
            return False
        self._steps[step["stepId"]] = step["status"]
        return True

    def _parts_of(self, chunk: Any) -> list[ReplyPart]:
        parts: list[ReplyPart] = []
        if not isinstance(chunk, dict):
            return parts
        if isinstance(chunk.get("id"), str):
            self.message_id = chunk["id"]
        for choice in (chunk.get("choices") or [])[:1]:
            fresh = self._not_yet_said((choice.get("delta") or {}).get("content") or "")
            if fresh:
                parts.append({"type": "text", "text": fresh})
            reason = choice.get("finish_reason")
            if reason is not None:
                self._has_ended = True
                parts.append({"type": "end", "finishReason": reason, "usage": chunk.get("usage")})
        return parts

    def _not_yet_said(self, text: str) -> str:
        known = self._said[self._at : self._at + len(text)]
        if not text.startswith(known):
            raise ThermidoraError(
                f"The reply {self.message_id} was generated anew while it was streamed. Get the whole of it with messages.get."
            )
        self._at += len(text)
        fresh = text[len(known) :]
        self._said += fresh
        return fresh
