"""Verifies deliveries of webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from .errors import WebhookVerificationError

_SECRET_PREFIX = "whsec_"


class WebhookEvent(TypedDict):
    """What a webhook delivers."""

    eventId: str
    eventType: str
    seq: int | None
    instanceId: str | None
    agentSlug: str | None
    data: dict[str, Any]
    timestamp: str


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = 300.0,
    signature: Literal["standard", "body"] = "standard",
) -> WebhookEvent:
    """Answers the event of a delivery whose signature is right.

    Give the body as the bytes or the text that came, never as parsed and written JSON. `secret` may be several, while one
    replaces another. The same event may be delivered more than once: its `eventId` tells.

    `tolerance` is how far the time of the delivery may be from now, in seconds. `signature` says which one counts: `standard`
    is `webhook-signature`, which covers the id and the time of the delivery; `body` is `X-Thermidora-Signature`, which covers
    the body alone: an attacker who has seen a delivery can replay it. Raises WebhookVerificationError.
    """
    content = body.encode() if isinstance(body, str) else bytes(body)
    secrets = [secret] if isinstance(secret, str) else list(secret)
    given = {name.lower(): value for name, value in headers.items()}
    is_genuine = (
        _is_standard(content, given, secrets, tolerance) if signature == "standard" else _is_body_signed(content, given, secrets)
    )
    if not is_genuine:
        raise WebhookVerificationError("The signature of the delivery is not right for its body and your secret.")
    event = json.loads(content)
    if not isinstance(event, dict) or not isinstance(event.get("eventType"), str):
        raise WebhookVerificationError("The body of the delivery is not an event.")
    return event  # type: ignore[return-value]


def _is_standard(body: bytes, headers: Mapping[str, str], secrets: list[str], tolerance: float) -> bool:
    id, timestamp, signatures = (headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if id is None or timestamp is None or signatures is None:
        raise WebhookVerificationError("The delivery has no webhook-id, webhook-timestamp and webhook-signature.")
    # As many digits as a time may have: the number of a longer one takes long to make.
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 20
    if not is_number or abs(time.time() - int(timestamp)) > tolerance:
        raise WebhookVerificationError("The time of the delivery is too far from now. Check the clock of this machine.")
    content = f"{id}.{timestamp}.".encode() + body
    given = [_from_base64(one[3:]) for one in signatures.split(" ") if one.startswith("v1,")]
    return _is_signed_by_any(content, [_standard_key(one) for one in secrets], given)


def _is_body_signed(body: bytes, headers: Mapping[str, str], secrets: list[str]) -> bool:
    names = ("x-thermidora-signature", "x-thermidora-signature-previous")
    given = [headers[name] for name in names if name in headers]
    if not given:
        raise WebhookVerificationError("The delivery has no X-Thermidora-Signature.")
    return _is_signed_by_any(body, [one.encode() for one in secrets], [_from_hex(one) for one in given])


def _is_signed_by_any(content: bytes, keys: list[bytes], signatures: list[bytes]) -> bool:
    for key in keys:
        expected = hmac.new(key, content, hashlib.sha256).digest()
        # The comparison takes the same time wherever a signature differs.
        if any(hmac.compare_digest(expected, one) for one in signatures):
            return True
    return False


def _standard_key(secret: str) -> bytes:
    key = _from_base64(secret.removeprefix(_SECRET_PREFIX))
    if not key:
        raise WebhookVerificationError("The secret is not one of a webhook: whsec_ and base64.")
    return key


def _from_base64(text: str) -> bytes:
    """Nothing for what is no base64: no signature is empty."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
