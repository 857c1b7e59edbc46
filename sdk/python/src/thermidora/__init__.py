"""Client library of Thermidora, the control plane for managed AI agents."""

from ._async.client import AsyncThermidora
from ._async.pages import AsyncPages
from ._async.replies import AsyncReply
from ._common import CallOptions
from ._sync.client import Thermidora
from ._sync.pages import Pages
from ._sync.replies import Reply
from .errors import (
    AgentError,
    ApiConnectionError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InstanceNotReadyError,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitedError,
    ReplyTimeoutError,
    ThermidoraError,
    UnauthorizedError,
    WebhookVerificationError,
)
from .generated import types
from .webhooks import WebhookEvent, verify_webhook

__all__ = [
    "AgentError",
    "ApiConnectionError",
    "ApiError",
    "AsyncPages",
    "AsyncReply",
    "AsyncThermidora",
    "CallOptions",
    "ConflictError",
    "ForbiddenError",
    "InstanceNotReadyError",
    "InvalidRequestError",
    "NotFoundError",
    "Pages",
    "PaymentRequiredError",
    "RateLimitedError",
    "Reply",
    "ReplyTimeoutError",
    "Thermidora",
    "ThermidoraError",
    "UnauthorizedError",
    "WebhookEvent",
    "WebhookVerificationError",
    "types",
    "verify_webhook",
]
