"""What the library raises."""

from __future__ import annotations

from typing import Any


class ThermidoraError(Exception):
    """The base class of the errors of this library."""


class ApiConnectionError(ThermidoraError):
    """No answer came: the API could not be reached, the connection was lost, or an attempt took too long."""


class ApiError(ThermidoraError):
    """The API refused a call, or an agent's turn failed."""

    def __init__(self, message: str, *, code: str, status: int, fields: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        given = fields or {}
        self.message = message
        self.code = code
        """What went wrong, for programs: `not_found`, `instance_not_ready`."""
        self.status = status
        """The HTTP status."""
        self.request_id: str | None = given.get("requestId")
        """Quote it in support requests."""
        self.reason: str | None = given.get("reason")
        """Narrows the code down: the status of an instance that is not ready, or why a turn failed."""
        self.details: list[dict[str, str]] = given.get("details") or []
        """Which fields or parameters to change: `path` and `message` of each."""
        self.message_id: str | None = given.get("messageId")
        """The reply whose turn failed or has not ended."""
        self.retryable: bool = given.get("retryable") is True
        """Whether the same call may succeed later."""


class InvalidRequestError(ApiError):
    """400: a field or parameter is missing or wrong; `details` says which."""


class UnauthorizedError(ApiError):
    """401: the API key or token is missing, wrong, expired or revoked."""


class PaymentRequiredError(ApiError):
    """402: the balance or a budget is used up."""


class ForbiddenError(ApiError):
    """403: the key or token may not do this."""


class NotFoundError(ApiError):
    """404: there is no such thing, or it is another account's."""


class ConflictError(ApiError):
    """409: it exists already, or the state does not allow it."""


class RateLimitedError(ApiError):
    """429: too many calls, and the retries were refused as well."""


class AgentError(ApiError):
    """502: the agent's turn failed; `reason` says why."""


class InstanceNotReadyError(ApiError):
    """503: the instance is not running; `reason` says what it is."""


class ReplyTimeoutError(ApiError):
    """504: the reply was not ready in time. Its turn goes on: `messages.get` of `message_id` has it later."""


class WebhookVerificationError(ThermidoraError):
    """The delivery is not from your Thermidora, was changed, or is too old."""


_CLASSES: dict[str, type[ApiError]] = {
    "invalid_request": InvalidRequestError,
    "unauthorized": UnauthorizedError,
    "payment_required": PaymentRequiredError,
    "forbidden": ForbiddenError,
    "invite_required": ForbiddenError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "rate_limited": RateLimitedError,
    "agent_error": AgentError,
    "instance_not_ready": InstanceNotReadyError,
    "timeout": ReplyTimeoutError,
}


def error_of_body(body: object) -> ApiError | None:
    """The error that this body of an answer describes; None when it is not one of the API, but of a proxy before it."""
    fields = body.get("error") if isinstance(body, dict) else None
    if not isinstance(fields, dict):
        return None
    code, message, status = fields.get("code"), fields.get("message"), fields.get("status")
    if not isinstance(code, str) or not isinstance(message, str) or not isinstance(status, int):
        return None
    return _CLASSES.get(code, ApiError)(message, code=code, status=status, fields=fields)
