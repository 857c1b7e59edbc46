# Written by `npm run sdk` from its asynchronous twin. Do not change it by hand.
from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from .._common import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    SILENCE,
    Call,
    CallOptions,
    FailedAttempt,
    build_request,
    lost_connection,
    now,
    parsed,
    refusal,
    with_key,
)


class Transport:
    """Sends calls to the API and repeats those that failed, so that the work of each is done once."""

    def __init__(self, client: httpx.Client, *, timeout: float = DEFAULT_TIMEOUT, max_retries: int = DEFAULT_RETRIES):
        self.client = client
        self._timeout = timeout
        self._max_retries = max_retries

    def retries_of(self, options: CallOptions | None) -> int:
        """The number of retries of a call, or of attempts to go on with a stream that do not bring it any further."""
        given = options.max_retries if options else None
        return self._max_retries if given is None else given

    def timeout_of(self, options: CallOptions | None) -> float:
        """How long one attempt may take, in seconds."""
        given = options.timeout if options else None
        return self._timeout if given is None else given

    def json(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        takes_key: bool = False,
        options: CallOptions | None = None,
    ) -> Any:
        """The JSON of the answer. It is not validated: the types are those of the document."""
        call = Call(method, path, body=body, query=query, takes_key=takes_key, options=options)
        return parsed((self._repeat(call)).text)

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        takes_key: bool = False,
        options: CallOptions | None = None,
    ) -> httpx.Response:
        """The answer itself, read to its end."""
        call = Call(method, path, body=body, query=query, takes_key=takes_key, options=options, is_json=False)
        return self._repeat(call)

    def _repeat(self, given: Call) -> httpx.Response:
        call = with_key(given)
        ask_until = now() + self.timeout_of(call.options)
        retries = 0
        while True:
            try:
                return self._attempt(call)
            except FailedAttempt as failure:
                is_waiting = failure.is_still_running() and now() < ask_until
                is_over = not is_waiting and retries >= self.retries_of(call.options)
                if not call.may_repeat() or is_over or not failure.is_worth_repeating():
                    raise failure.error from failure
                time.sleep(failure.pause(retries))
                if not is_waiting:
                    retries += 1

    def _attempt(self, call: Call) -> httpx.Response:
        request = build_request(self.client, call, httpx.Timeout(self.timeout_of(call.options)))
        try:
            response = self.client.send(request)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise lost_connection(repr(error)) from error
        if not response.is_success:
            raise refusal(response.status_code, response.headers, response.text)
        if call.is_json and parsed(response.text) is None:
            raise lost_connection("it sent no JSON")
        return response

    def open(self, call: Call) -> httpx.Response:
        """One attempt whose body is read as it comes, and must be closed. Raises FailedAttempt."""
        timeout = httpx.Timeout(self.timeout_of(call.options), read=SILENCE)
        try:
            response = self.client.send(build_request(self.client, call, timeout), stream=True)
            if response.is_success:
                return response
            response.read()
        except httpx.TransportError as error:
            raise lost_connection(repr(error)) from error
        response.close()
        raise refusal(response.status_code, response.headers, response.text)
