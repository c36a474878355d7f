"""Only Zendesk, and only lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integration.zendesk.signature import PUBLIC_TEST_SECRET, SignatureError, sign, verify

TIMESTAMP = "2021-03-25T05:09:27Z"
BODY = b'{"event":"ticket.updated","id":123}'
SIGNATURE = "S/RDdU2ERmj7LHDDoWJ2onPYH+t7/f2+LTM4dL7UiLM="
NOW = datetime(2021, 3, 25, 5, 9, 30, tzinfo=UTC)


def test_zendesks_published_vector() -> None:
    assert sign(PUBLIC_TEST_SECRET, TIMESTAMP, BODY) == SIGNATURE
    verify([PUBLIC_TEST_SECRET], SIGNATURE, TIMESTAMP, BODY, now=NOW, window_s=60)


def test_any_of_several_secrets_will_do() -> None:
    """Resetting a secret has no overlap: old and new are both configured for a while."""
    verify(["new", "old"], sign("old", TIMESTAMP, BODY), TIMESTAMP, BODY, now=NOW, window_s=60)


@pytest.mark.parametrize(
    ("secrets", "signature", "timestamp", "body", "reason"),
    [
        (["s"], None, TIMESTAMP, BODY, "X-Zendesk-Webhook-Signature is missing"),
        (["s"], sign("s", TIMESTAMP, BODY), None, BODY, "Signature-Timestamp is missing"),
        (["s"], sign("other", TIMESTAMP, BODY), TIMESTAMP, BODY, "no configured secret"),
        (["s"], sign("s", TIMESTAMP, BODY), TIMESTAMP, BODY + b" ", "no configured secret"),
        (["s"], sign("s", TIMESTAMP, BODY), "2021-03-25T05:09:28Z", BODY, "no configured secret"),
        (["s"], "ünïcode", TIMESTAMP, BODY, "no configured secret"),
        ([], sign("s", TIMESTAMP, BODY), TIMESTAMP, BODY, "no configured secret"),
        (["s"], sign("s", "yesterday", BODY), "yesterday", BODY, "not an ISO 8601 time"),
    ],
)
def test_refused(secrets: list[str], signature: str | None, timestamp: str | None, body: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        verify(secrets, signature, timestamp, body, now=NOW, window_s=60)


@pytest.mark.parametrize(("shift", "reason"), [(timedelta(minutes=11), "old"), (-timedelta(minutes=11), "future")])
def test_a_signed_delivery_from_another_time_is_refused(shift: timedelta, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        verify(["s"], sign("s", TIMESTAMP, BODY), TIMESTAMP, BODY, now=NOW + shift, window_s=600)


def test_a_timestamp_without_zone_is_utc() -> None:
    naive = "2021-03-25T05:09:27"
    verify(["s"], sign("s", naive, BODY), naive, BODY, now=NOW, window_s=60)
