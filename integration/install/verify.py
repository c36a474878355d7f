"""Whether deliveries arrive: a signed test to the receiver, from Zendesk itself and from here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple

import requests

from integration.zendesk.admin import Admin
from integration.zendesk.errors import PermanentError
from integration.zendesk.setup import Answer
from integration.zendesk.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from integration.zendesk.webhooks import TEST_EVENT

TIMEOUT_S = 12
"""As long as Zendesk waits."""

BODY = json.dumps({"type": TEST_EVENT})


class Verdict(NamedTuple):
    """Whether the receiver takes the webhook's deliveries, and what that is known from or what is to be mended."""

    ok: bool
    text: str


def verify(admin: Admin, webhook_id: str, endpoint: str, secret: str) -> Verdict:
    """Let Zendesk send a test, and where that says too little, send one signed with the same secret from here.

    Zendesk documents that it signs tests of an unsaved webhook with a public secret, and is silent on saved ones: a
    refused signature proves only that Zendesk reaches the receiver.

    Raises:
        ZendeskError: Zendesk cannot be asked.
    """
    try:
        answer = admin.test_webhook(webhook_id, BODY)
    except PermanentError as error:
        return Verdict(ok=False, text=f"Zendesk could not deliver a test to {endpoint} ({error}): {_UNREACHABLE}")
    reason = _refusal(answer)
    if reason is None:
        return Verdict(ok=True, text="a test delivery from Zendesk was signed, and the receiver took it")
    if answer.status != 401:
        return Verdict(ok=False, text=f"a test delivery from Zendesk failed: {reason}")
    own = post_test(endpoint, secret)
    if own.ok:
        return Verdict(ok=True, text="Zendesk reaches the receiver, which takes what the webhook's secret signed")
    return own


def post_test(endpoint: str, secret: str) -> Verdict:
    """Send a test from this machine, signed like Zendesk's."""
    timestamp = datetime.now(UTC).isoformat()
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: sign(secret, timestamp, BODY.encode()),
    }
    try:
        answer = requests.post(endpoint, data=BODY, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        return Verdict(ok=False, text=f"{endpoint} cannot be reached ({type(error).__name__}): {_UNREACHABLE}")
    reason = _refusal(Answer(status=answer.status_code, body=answer.text))
    if reason is None:
        return Verdict(ok=True, text=f"a signed test to {endpoint} was taken")
    return Verdict(ok=False, text=f"a signed test to {endpoint} failed: {reason}")


_UNREACHABLE = "is the receiver running, and does public_url lead to it through proxy and firewall?"


def _refusal(answer: Answer) -> str | None:
    """Why a test failed, in the receiver's own words if it was the receiver that answered; None when it went well."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or "status" not in said or "reason" not in said:
        return f"HTTP {answer.status}, and not from a Presort receiver: {_UNREACHABLE}"
    return None if answer.status == 200 else f"HTTP {answer.status}, {said['reason']}"
