"""What the synchronous and the asynchronous client share: everything that waits for nothing."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx

from .errors import ApiConnectionError, ApiError, ThermidoraError, error_of_body

DEFAULT_URL = "https://core.thermidora.com/v1"
DEFAULT_TIMEOUT = 150.0
DEFAULT_RETRIES = 4
# The API sends a comment every 15 seconds: after three of them the connection is lost.
SILENCE = 50.0
LONGEST_WAIT = 60

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_LONGEST_RETRY_AFTER = 60.0
# A proxy before the API answers these while the API restarts.
_PASSING = {408, 429, 502, 503, 504}

RawContent = bytes | str | Iterable[bytes] | AsyncIterable[bytes]
"""The body of a call that sends a file."""


@dataclass(frozen=True)
class CallOptions:
    """What every method takes as its last argument."""

    idempotency_key: str | None = None
    """Names this call, so that the API does its work once however often it is sent. The client makes a key for each call that
    changes something; give your own to be safe across restarts of your program, too."""
    timeout: float | None = None
    """How long one attempt may take, in seconds."""
    max_retries: int | None = None
    """How many times a failed attempt is repeated."""
    headers: Mapping[str, str] | None = None
    """Further headers of the request, such as `If-Match` or `Range`."""


@dataclass(frozen=True)
class Call:
    """A call, as the methods describe it."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    options: CallOptions | None = None
    takes_key: bool = False
    is_json: bool = True

    def may_repeat(self) -> bool:
        """Whether it can be sent twice: its work is done once, and its body is there a second time."""
        is_replayable = self.body is None or isinstance(self.body, (Mapping, bytes, str))
        return (self.method == "GET" or self.takes_key) and is_replayable


class FailedAttempt(Exception):
    """An attempt that brought no success. Callers of the library get its `error`."""

    def __init__(self, error: ApiError | ApiConnectionError, *, retry_after: float | None = None, is_from_api: bool = False):
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.is_from_api = is_from_api

    def is_worth_repeating(self) -> bool:
        """Whether the same call may be sent again, given that the API does its work once at most."""
        if self.retry_after is not None and self.retry_after > _LONGEST_RETRY_AFTER:
            return False
        if isinstance(self.error, ApiConnectionError):
            return True
        return self.error.retryable if self.is_from_api else self.error.status in _PASSING

    def is_still_running(self) -> bool:
        """The first call with this Idempotency-Key still does its work: its answer comes later, however often one has to ask."""
        error = self.error
        return self.is_from_api and isinstance(error, ApiError) and error.code == "conflict" and error.retryable

    def pause(self, retry: int) -> float:
        """How long to wait before this retry (0 is the first): what the API asks for, else doubling and random."""
        if self.retry_after is not None:
            return self.retry_after
        longest: float = min(_FIRST_PAUSE * 2 ** min(retry, 10), _LONGEST_PAUSE)
        return longest / 2 + random.random() * longest / 2


def lost_connection(cause: object) -> FailedAttempt:
    """The failure of an attempt without an answer."""
    return FailedAttempt(ApiConnectionError(f"The API did not answer: {cause}"))


def refusal(status: int, headers: Mapping[str, str], text: str) -> FailedAttempt:
    """The failure of an attempt whose answer is no success."""
    told = error_of_body(parsed(text))
    after = headers.get("retry-after", "")
    message = f"The answer had the status {status} and was not from the API."
    return FailedAttempt(
        told or ApiError(message, code="unavailable", status=status, fields={"retryable": status >= 500}),
        retry_after=float(after) if after.isascii() and after.isdigit() else None,
        is_from_api=told is not None,
    )


def parsed(text: str) -> Any:
    """The JSON of a text; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def parse_event(data: str) -> Any:
    """The JSON of an event; None at the end of a reply. Raises ThermidoraError for broken JSON."""
    if data == "[DONE]":
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise ThermidoraError("The API sent an event that is not JSON.") from error


def raise_refusal(data: str) -> None:
    """A stream that fails ends with the error of the API as its last event: raises it as a FailedAttempt."""
    value = parse_event(data)
    # An event of an account may have an `error`, too, but not one with a status.
    error = error_of_body(value) if isinstance(value, dict) and "seq" not in value else None
    if error is not None:
        raise FailedAttempt(error, is_from_api=True)


def segment(value: str) -> str:
    """A value as one part of a path. Raises ThermidoraError for what would name another path: an empty one, `.` and `..`."""
    if value in ("", ".", ".."):
        raise ThermidoraError(f"{value!r} cannot be an id or a name in a call.")
    return quote(value, safe="")


def segments(path: str) -> str:
    """A path below another one. Raises ThermidoraError for what would lead out of it."""
    return "/".join(segment(one) for one in path.split("/"))


def params_of(query: Mapping[str, Any] | None) -> httpx.QueryParams:
    """A dictionary becomes `name[key]=value`; what is None is left out."""
    found: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if isinstance(value, Mapping):
            found += [(f"{name}[{key}]", str(one)) for key, one in value.items()]
        elif isinstance(value, bool):
            found.append((name, "true" if value else "false"))
        elif value is not None:
            found.append((name, str(value)))
    return httpx.QueryParams(tuple(found))


def credentials_of(api_key: str | None, token: str | None) -> dict[str, str]:
    """The headers of a client. Raises ThermidoraError when both are given."""
    if api_key is not None and token is not None:
        raise ThermidoraError("Give either an api_key or a token.")
    if api_key is not None:
        return {"x-api-key": api_key}
    return {} if token is None else {"authorization": f"Bearer {token}"}


def build_request(client: httpx.Client | httpx.AsyncClient, call: Call, timeout: httpx.Timeout) -> httpx.Request:
    """The request of a call. A dictionary is sent as JSON, anything else as it is."""
    body: dict[str, Any] = {}
    if isinstance(call.body, Mapping):
        body = {"json": call.body}
    elif call.body is not None:
        body = {"content": call.body, "headers": {"content-type": "application/octet-stream"}}
    further = (call.options.headers if call.options else None) or {}
    headers = {**body.pop("headers", {}), **further, **(call.headers or {})}
    return client.build_request(
        call.method, call.path, params=params_of(call.query), headers=headers, timeout=timeout, **body
    )


def with_key(call: Call) -> Call:
    """The call with the key that all its attempts share."""
    if not call.takes_key:
        return call
    given = call.options.idempotency_key if call.options else None
    return replace(call, headers={**(call.headers or {}), "idempotency-key": given or str(uuid.uuid4())})


def now() -> float:
    """Seconds of a clock that never goes back."""
    return time.monotonic()
