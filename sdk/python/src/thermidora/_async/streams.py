from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
from httpx_sse import EventSource, ServerSentEvent

from .._common import Call, FailedAttempt, lost_connection, now, raise_refusal
from .transport import AsyncTransport


async def _read_events(response: httpx.Response) -> AsyncIterator[ServerSentEvent]:
    """The events of one connection. Raises FailedAttempt when it is lost or silent."""
    try:
        async for event in EventSource(response).aiter_sse():
            yield event
    except httpx.TransportError as error:
        raise lost_connection(repr(error)) from error
    finally:
        await response.aclose()


async def follow_events(
    http: AsyncTransport, connect: Callable[[], Call], wait: float = 0
) -> AsyncIterator[ServerSentEvent]:
    """The data of server-sent events over as many connections as it takes.

    `connect` says what to ask for now: at the beginning, and after each lost connection. `wait` says for how many seconds a
    refusal may be repeated that says that the answer is not there yet. Raises the ApiError or ApiConnectionError of the last
    attempt when none of the retries brought an event.
    """
    retries = 0
    wait_until: float | None = None
    while True:
        call = connect()
        try:
            async for event in _read_events(await http.open(call)):
                raise_refusal(event.data)
                retries, wait_until = 0, None
                yield event
            failure = lost_connection("the stream ended early")
        except FailedAttempt as failed:
            failure = failed
        if failure.is_still_running() and wait > 0:
            wait_until = now() + wait if wait_until is None else wait_until
            if now() > wait_until:
                raise failure.error
        elif retries >= http.retries_of(call.options) or not failure.is_worth_repeating():
            raise failure.error
        else:
            retries += 1
        await asyncio.sleep(failure.pause(retries))
