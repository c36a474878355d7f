"""Webhook signatures, both ways: the receiver verifies, the simulator signs.

Source: developer.zendesk.com, "Verifying webhook requests": base64 of HMAC-SHA256 with the signing secret, as UTF-8
text, over the timestamp header followed by the raw body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

SIGNATURE_HEADER = "X-Zendesk-Webhook-Signature"
TIMESTAMP_HEADER = "X-Zendesk-Webhook-Signature-Timestamp"

PUBLIC_TEST_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="  # noqa: S105 - published by Zendesk, known to all
"""Zendesk signs test deliveries of a webhook that is not saved yet with it; accepting it means accepting anyone."""


class SignatureError(Exception):
    """A delivery that is not proven to come from Zendesk; the message tells the admin what to mend."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature header's value for a body sent at ``timestamp`` (as it stands in its header)."""
    digest = hmac.digest(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return base64.b64encode(digest).decode()


def verify(
    secrets: Sequence[str],
    signature: str | None,
    timestamp: str | None,
    body: bytes,
    *,
    now: datetime,
    window_s: float,
) -> None:
    """Accept a delivery signed with any of the secrets, not older or newer than the window.

    Several secrets, because resetting a secret in Zendesk has no overlap. The timestamp is signed, so checking it
    bounds replay; Zendesk documents no window and may or may not stamp a retry anew, hence a wide one.

    Args:
        secrets: signing secrets as Zendesk shows them.
        signature: the signature header, None when absent.
        timestamp: the timestamp header, None when absent.
        body: the request's raw bytes.
        now: the present, with a time zone.
        window_s: accepted distance from ``now`` in seconds.

    Raises:
        SignatureError: a header is missing or malformed, no secret matches, or the timestamp is outside the window.
    """
    if not signature or not timestamp:
        missing = SIGNATURE_HEADER if not signature else TIMESTAMP_HEADER
        raise SignatureError(f"header {missing} is missing: send deliveries from a Zendesk webhook, not by hand")
    expected = [sign(secret, timestamp, body).encode() for secret in secrets]
    # Every secret is compared, so that the time taken does not tell which one matched.
    if not any([hmac.compare_digest(signature.encode(), one) for one in expected]):  # noqa: C419 - see above
        raise SignatureError(
            "the signature matches no configured secret: copy the webhook's signing secret to "
            "PRESORT_WEBHOOK_SECRETS, and let no proxy rewrite the body"
        )
    try:
        sent = datetime.fromisoformat(timestamp)
    except ValueError:
        raise SignatureError(f"header {TIMESTAMP_HEADER} is not an ISO 8601 time") from None
    age = (now - (sent if sent.tzinfo else sent.replace(tzinfo=UTC))).total_seconds()
    if abs(age) > window_s:
        direction = "old" if age > 0 else "in the future"
        raise SignatureError(
            f"the delivery is {abs(age):.0f} s {direction}, {window_s:.0f} s are allowed: check this machine's clock"
        )
