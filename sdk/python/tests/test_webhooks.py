"""Deliveries as the worker signs them come from the file that SDK_DELIVERIES names."""

import json
import os
from pathlib import Path

import pytest

from thermidora import WebhookVerificationError, verify_webhook

GIVEN = json.loads(Path(os.environ["SDK_DELIVERIES"]).read_text())
BODY = GIVEN["body"].encode()
EVENT = json.loads(BODY)
SECRET, OTHER = GIVEN["secret"], GIVEN["other"]


@pytest.mark.parametrize("signature", ["standard", "body"])
def test_a_delivery_is_its_event_by_bytes_or_text_and_whatever_case_its_headers_have(signature):
    headers = GIVEN["now"]
    assert verify_webhook(BODY, headers, SECRET, signature=signature) == EVENT
    assert verify_webhook(GIVEN["body"], headers, [OTHER, SECRET], signature=signature) == EVENT
    assert verify_webhook(BODY, {name.upper(): value for name, value in headers.items()}, SECRET, signature=signature) == EVENT


@pytest.mark.parametrize("signature", ["standard", "body"])
def test_while_a_secret_is_replaced_the_old_and_the_new_one_are_good(signature):
    for one in (SECRET, OTHER):
        assert verify_webhook(BODY, GIVEN["rotated"], one, signature=signature) == EVENT
    with pytest.raises(WebhookVerificationError):
        verify_webhook(BODY, GIVEN["now"], OTHER, signature=signature)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "evt_2"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,!!"},
        {"webhook-signature": "v1,ü"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "NaN"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "²"},
    ],
)
def test_a_changed_delivery_is_refused(changed):
    with pytest.raises(WebhookVerificationError):
        verify_webhook(BODY, {**GIVEN["now"], **changed}, SECRET)


@pytest.mark.parametrize("signature", ["standard", "body"])
def test_a_changed_body_or_a_missing_signature_is_refused(signature):
    with pytest.raises(WebhookVerificationError):
        verify_webhook(BODY.replace(b"1.0", b"1.1"), GIVEN["now"], SECRET, signature=signature)
    with pytest.raises(WebhookVerificationError):
        verify_webhook(BODY, {}, SECRET, signature=signature)
    with pytest.raises(WebhookVerificationError):
        verify_webhook(BODY, {**GIVEN["now"], "x-thermidora-signature": "zz", "webhook-signature": "v1,"}, SECRET, signature=signature)


def test_a_delivery_is_refused_when_its_time_is_further_from_now_than_the_tolerance():
    for name in ("old", "early"):
        with pytest.raises(WebhookVerificationError, match="too far from now"):
            verify_webhook(BODY, GIVEN[name], SECRET)
        assert verify_webhook(BODY, GIVEN[name], SECRET, tolerance=3600) == EVENT
