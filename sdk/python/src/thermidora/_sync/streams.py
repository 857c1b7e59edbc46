# Written by `npm run sdk` from its asynchronous twin. Do not change it by hand.
from __future__ import annotations

import time
from collections.abc import Iterator, Callable

import httpx
from httpx_sse import EventSource, ServerSentEvent

from .._common import Call, FailedAttempt, lost_connection, now, raise_refusal
from .transport import Transport


def _read_events(response: httpx.Response) -> Iterator[ServerSentEvent]:
    """The events of one connection. Raises FailedAttempt when it is lost or silent."""
    try:
        for event in EventSource(response).iter_sse():
            yield event
    except httpx.TransportError as error:
        raise lost_connection(repr(error)) from error
    finally:
        response.close()


def follow_events(
    http: Transport, connect: Callable[[], Call], wait: float = 0
) -> Iterator[ServerSentEvent]:
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
            for event in _read_events(http.open(call)):
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
        time.sleep(failure.pause(retries))
