from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal

import httpx

from .._common import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    DEFAULT_URL,
    LONGEST_WAIT,
    Call,
    CallOptions,
    credentials_of,
    now,
    parse_event,
)
from ..errors import ThermidoraError
from ..generated import types
from ..generated.async_resources import (
    AsyncAllResources,
    AsyncEventsResource,
    AsyncInstancesResource,
    AsyncMessagesResource,
)
from .replies import AsyncReply, messages_path
from .streams import follow_events
from .transport import AsyncTransport

START_LIMIT = 10 * 60.0
BETWEEN_WAITS = 0.5
# What the API may need beside the time that it waits.
MARGIN = 30.0


class AsyncInstances(AsyncInstancesResource):
    async def wait_until_running(
        self, instance_id: str, *, timeout: float = START_LIMIT, options: CallOptions | None = None
    ) -> types.Instance:
        """Waits until an instance runs and answers it.

        Raises ThermidoraError when it cannot run any more (it failed, or was stopped or deleted), or does not within
        `timeout` seconds (default: ten minutes).
        """
        until = now() + timeout
        while True:
            seconds = min(max(math.ceil(until - now()), 0), LONGEST_WAIT)
            instance = await self.wait(instance_id, {"status": "running", "timeout": seconds}, options)
            status, reason = instance["status"], instance["statusReason"]
            is_settled = instance["transition"] is None
            if status == "running" and is_settled:
                return instance
            why = "" if reason is None else f": {reason['message']}"
            if instance["desiredStatus"] != "running" or (status == "error" and is_settled):
                raise ThermidoraError(f"{instance_id} will not run: its status is {status}{why}")
            if now() >= until:
                raise ThermidoraError(f"{instance_id} does not run yet: its status is {status}{why}")
            await asyncio.sleep(BETWEEN_WAITS)

    async def stream(
        self, query: types.InstancesStreamParametersQuery | None = None, options: CallOptions | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Follows the state of your instances: each as it is, and again whenever it changes.

        Each is an `Instance`, or `{"instanceId", "deleted": True}`. After a lost connection all of them are told anew. With
        `instanceId` it ends when that instance is gone; otherwise it goes on until you leave the loop.

        `GET /instances/stream`
        """
        call = Call("GET", "/instances/stream", query=query, options=options)
        async for event in follow_events(self._http, lambda: call):
            change = parse_event(event.data)
            yield change
            if change.get("deleted") and change["instanceId"] == (query or {}).get("instanceId"):
                return


class AsyncMessages(AsyncMessagesResource):
    async def send(
        self,
        instance_id: str,
        agent_id: str,
        body: types.MessagesSendRequest,
        options: CallOptions | None = None,
    ) -> types.Message:
        """Sends a message to an agent and waits for its reply.

        A call that is repeated after a lost connection is one message. Raises AgentError when the turn failed, and
        ReplyTimeoutError when the reply takes longer than the body's `timeoutMs` (default: two minutes): its turn goes on,
        and `messages.get` has it later.

        `POST /instances/{instanceId}/agents/{agentId}/messages`
        """
        given = options or CallOptions()
        if given.timeout is None and "timeoutMs" in body:
            given = replace(given, timeout=body["timeoutMs"] / 1000 + MARGIN)
        return await super().send(instance_id, agent_id, body, given)

    def send_and_stream(
        self,
        instance_id: str,
        agent_id: str,
        body: types.MessagesSendRequest,
        options: CallOptions | None = None,
    ) -> AsyncReply:
        """Sends a message to an agent and answers its reply as it is written, to be read with a loop over `reply.text()`.

        The message is sent when the loop begins.

        `POST /instances/{instanceId}/agents/{agentId}/messages`
        """
        return AsyncReply(self._http, messages_path(instance_id, agent_id), options, body=body)

    def stream(
        self,
        instance_id: str,
        agent_id: str,
        message_id: str,
        *,
        after: str | None = None,
        include: Literal["steps"] | None = None,
        options: CallOptions | None = None,
    ) -> AsyncReply:
        """Answers a reply as it is written, or the whole of one that has ended: from its beginning, or after a frame of it.

        For a message that another program has sent. `after` is the id of the frame; with `include` there are steps among the
        parts.

        `GET /instances/{instanceId}/agents/{agentId}/messages/{messageId}/stream`
        """
        path = messages_path(instance_id, agent_id)
        return AsyncReply(self._http, path, options, message_id=message_id, after=after, include=include)


class AsyncEvents(AsyncEventsResource):
    async def stream(
        self, *, after: int = 0, options: CallOptions | None = None
    ) -> AsyncIterator[types.AccountEvent | types.DeletedEvent]:
        """Follows the events of the account: those after the sequence number `after`, then each as it happens.

        There is no gap and each comes once, over lost connections, until you leave the loop.

        `GET /events/stream`
        """
        last = after

        def connect() -> Call:
            return Call("GET", "/events/stream", query={"after": last}, options=options)

        async for event in follow_events(self._http, connect):
            value = parse_event(event.data)
            yield value
            last = value["seq"]


class AsyncThermidora(AsyncAllResources):
    """A client of the API.

    Its methods have the names of the reference's operations: `client.instances.create`. Each takes the ids of its path, then
    the body, then the query parameters, then options, and answers what the API answers. Failed attempts are repeated with
    growing pauses or when the API asks for it (`Retry-After`); what changes something carries an `Idempotency-Key`, so that it
    is done once. Raises ApiError and its kinds for refusals, ApiConnectionError without an answer.

    `api_key` is `tc_live_...`; `token` is one of `auth.register` or `auth.verify`, or the operator token of an installation.
    `base_url` ends with `/v1`. `timeout` is how long one attempt may take, in seconds, `max_retries` how many times a failed
    attempt is repeated. `transport` is what sends the requests, for a proxy or a test.
    """

    instances: AsyncInstances
    messages: AsyncMessages
    events: AsyncEvents

    def __init__(
        self,
        *,
        api_key: str | None = None,
        token: str | None = None,
        base_url: str = DEFAULT_URL,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=credentials_of(api_key, token),
            transport=transport,
            # It would carry the key to another place.
            follow_redirects=False,
        )
        http = AsyncTransport(self._client, timeout=timeout, max_retries=max_retries)
        super().__init__(http)
        self.instances = AsyncInstances(http)
        self.messages = AsyncMessages(http)
        self.events = AsyncEvents(http)

    async def aclose(self) -> None:
        """Closes the connections of the client."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncThermidora:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
