"""PagerDuty, Alertmanager and a webhook of one's own: what they get, and every way they can refuse it."""

from __future__ import annotations

import json
import logging
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from integration.notices import Notice
from integration.settings import Channel
from integration.zendesk.signature import verify
from tests.worker.conftest import Sink
from tests.worker.notify.support import AT, SECRET, alert, listening, news, over
from worker.notify import http
from worker.notify.errors import SendError
from worker.notify.kinds import KINDS
from worker.notify.news import News, Target
from worker.notify.webhook.channel import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from worker.parts import Parts

HTTP_KINDS = ["pagerduty", "alertmanager", "webhook"]


def to(parts: Parts, kind: Any, url: str) -> Target:
    channel = Channel(name="ops", kind=kind, url=url)
    return Target(channel, listening(parts, channel))


def send(target: Target, told: News) -> str:
    return KINDS[target.channel.kind].send(target, told)


# PagerDuty


def test_pagerduty_opens_acknowledges_and_ends_one_incident(parts: Parts, sink: Sink) -> None:
    pagerduty = to(parts, "pagerduty", sink.http_url)
    send(pagerduty, news(alert(severity="critical")))
    send(pagerduty, news(alert(event="acknowledged", acknowledged_by="kim"), first=False))
    send(pagerduty, news(over(alert()), first=False))
    assert {one.path for one in sink.asked} == {"/v2/enqueue"}
    assert [one["event_action"] for one in sink.heard] == ["trigger", "acknowledge", "resolve"]
    assert {(one["dedup_key"], one["routing_key"]) for one in sink.heard} == {("presort-a1", SECRET)}
    payload = sink.heard[0]["payload"]
    assert payload["summary"].startswith("Spike (critical): Orders::Refund, 47 tickets")
    assert (payload["severity"], payload["source"], payload["component"]) == (
        "critical",
        "acme.zendesk.com",
        "category",
    )
    assert payload["timestamp"] == "2025-11-24T15:30:00Z"
    assert payload["custom_details"]["tickets"] == 47
    assert sink.heard[0]["links"] == [
        {"href": "https://acme.zendesk.com/agent/tickets/7", "text": "#7 Where is my money?"}
    ]


def test_an_incident_that_somebody_looks_after_already_pages_nobody(parts: Parts, sink: Sink) -> None:
    send(to(parts, "pagerduty", sink.http_url), news(alert(event="acknowledged", acknowledged_by="kim")))
    assert [one["event_action"] for one in sink.heard] == ["trigger", "acknowledge"]


def test_a_growing_or_reopened_alert_is_the_same_incident(parts: Parts, sink: Sink) -> None:
    pagerduty = to(parts, "pagerduty", sink.http_url)
    for event in ("grew", "reopened"):
        send(pagerduty, news(alert(event=event), first=False))
    assert [(one["event_action"], one["dedup_key"]) for one in sink.heard] == [("trigger", "presort-a1")] * 2


def test_a_long_name_fits_pagerdutys_summary(parts: Parts, sink: Sink) -> None:
    send(to(parts, "pagerduty", sink.http_url), news(alert(name="x" * 3000)))
    assert len(sink.heard[0]["payload"]["summary"]) == 1024


# Alertmanager


def test_labels_stay_the_same_as_long_as_the_alert_lives(parts: Parts, sink: Sink) -> None:
    """They are its fingerprint: a label that changed would make another alert, and the old one would never end."""
    alertmanager = to(parts, "alertmanager", sink.http_url + "/am/")
    worse = alert(severity="critical", event="grew", observed=90, revision=2, news=2)
    for one in (alert(), worse, over(worse)):
        send(alertmanager, news(one, first=False))
    assert {one.path for one in sink.asked} == {"/am/api/v2/alerts"}
    assert {one.headers["Authorization"] for one in sink.asked} == {f"Bearer {SECRET}"}
    ((first,), (second,), (third,)) = sink.heard
    assert first["labels"] == second["labels"] == third["labels"]
    assert first["labels"] == {
        "alertname": "PresortSpike",
        "account": "acme",
        "classifier": "category",
        "category": "refund_request",
    }
    assert [one["annotations"]["severity"] for one in (first, second)] == ["warning", "critical"]


def test_what_fires_ends_by_itself_unless_sent_again_and_what_is_over_has_ended(parts: Parts, sink: Sink) -> None:
    alertmanager = to(parts, "alertmanager", sink.http_url)
    send(alertmanager, news(alert()))
    send(alertmanager, news(over(alert()), first=False))
    ((fires,), (ended,)) = sink.heard
    assert (fires["startsAt"], fires["endsAt"]) == ("2025-11-24T15:30:00Z", "2025-11-24T16:10:00Z")
    assert (ended["startsAt"], ended["endsAt"]) == ("2025-11-24T15:30:00Z", "2025-11-24T16:10:00Z")
    assert ended["annotations"]["summary"].startswith("Resolved")


def test_several_alerts_are_refreshed_in_one_request_without_a_token_where_none_is_needed(
    parts: Parts, sink: Sink
) -> None:
    alertmanager = to(parts, "alertmanager", sink.http_url)
    parts.config.channel_secrets.clear()
    refresh = KINDS["alertmanager"].refresh
    assert refresh is not None
    refresh(alertmanager, [news(alert()), news(alert(id="a2", category="b"))])
    (both,) = sink.heard
    assert [one["labels"]["category"] for one in both] == ["refund_request", "b"]
    assert "Authorization" not in sink.asked[0].headers


# Webhook


def test_a_webhook_is_signed_over_time_and_body_as_zendesks_are(parts: Parts, sink: Sink) -> None:
    send(to(parts, "webhook", sink.http_url + "/hook?a=b"), news(alert()))
    (asked,) = sink.asked
    assert asked.path == "/hook?a=b"
    timestamp = asked.headers[TIMESTAMP_HEADER]
    verify([SECRET], asked.headers[SIGNATURE_HEADER], timestamp, asked.body, now=datetime.now(UTC), window_s=60)


def test_a_webhooks_document_says_all_and_has_the_same_id_when_repeated(parts: Parts, sink: Sink) -> None:
    webhook = to(parts, "webhook", sink.http_url)
    send(webhook, news(alert()))
    send(webhook, news(alert(), again=True))
    send(webhook, news(over(alert()), first=False))
    assert [one.headers[ID_HEADER] for one in sink.asked] == ["a1-1", "a1-1", "a1-2"]
    first, _, ended = sink.heard
    assert (first["schema"], first["id"], first["event"], first["account"]) == (1, "a1-1", "alert.fired", "acme")
    assert first["alert"] == {
        "id": "a1",
        "classifier": "category",
        "category": "refund_request",
        "name": "Orders::Refund",
        "kind": "spike",
        "severity": "warning",
        "state": "firing",
        "opened_at": "2025-11-24T16:00:00Z",
        "started_at": "2025-11-24T15:30:00Z",
        "resolved_at": None,
        "observed": 47,
        "expected": 4.2,
        "window_s": 1800.0,
        "ratio_low": 8.7,
        "ratio_high": 14.1,
        "once_in_weeks": 38.0,
        "share": 0.31,
        "samples": [
            {"ticket_id": 7, "url": "https://acme.zendesk.com/agent/tickets/7", "subject": "Where is my money?"}
        ],
        "words": [{"word": "voucher", "here": 12, "of_here": 20, "usually": 3, "of_usually": 200}],
        "also": ["Orders::Invoice"],
        "acknowledged_by": None,
    }
    assert (ended["event"], ended["alert"]["resolved_at"]) == ("alert.resolved", "2025-11-24T16:10:00Z")


def test_a_webhook_hears_notices(parts: Parts, sink: Sink) -> None:
    post = KINDS["webhook"].post
    assert post is not None
    post(to(parts, "webhook", sink.http_url), Notice(id="n1", title="Demoted", body="60 of 100", at=AT), again=False)
    assert (sink.heard[0]["event"], sink.heard[0]["text"], sink.asked[0].headers[ID_HEADER]) == (
        "notice",
        "60 of 100",
        "n1",
    )


# What can go wrong with all of them


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize(
    ("status", "permanent", "words"),
    [
        (302, True, "redirect"),
        (400, True, "answered 400"),
        (401, True, "does not know our secret"),
        (403, True, "does not allow"),
        (404, True, "check the channel's url"),
        (429, False, "answered 429"),
        (500, False, "answered 500"),
        (503, False, "answered 503"),
        (0, False, "no connection"),
    ],
)
def test_a_refusal_says_whether_it_is_for_good_and_what_to_do(  # noqa: PLR0917 - a table
    parts: Parts,
    sink: Sink,
    kind: str,
    status: int,
    permanent: bool,  # noqa: FBT001 - a table
    words: str,
) -> None:
    sink.status = status
    with pytest.raises(SendError, match=words) as caught:
        send(to(parts, kind, sink.http_url + "/token"), news(alert()))
    assert caught.value.permanent is permanent
    assert SECRET not in str(caught.value)
    assert "/token" not in str(caught.value)


def test_pagerduty_answers_400_to_a_wrong_key(parts: Parts, sink: Sink) -> None:
    sink.status = 400
    with pytest.raises(SendError, match="PRESORT_CHANNEL_OPS must be the key of an Events API v2 integration"):
        send(to(parts, "pagerduty", sink.http_url), news(alert()))


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("86400", 3600.0), ("soon", None)])
def test_a_429_is_obeyed(parts: Parts, sink: Sink, header: str, seconds: float | None) -> None:
    sink.status, sink.headers = 429, {"Retry-After": header}
    with pytest.raises(SendError) as caught:
        send(to(parts, "webhook", sink.http_url), news(alert()))
    assert caught.value.retry_after == seconds
    assert not caught.value.perhaps_heard


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_a_server_that_does_not_answer_may_have_heard(parts: Parts, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.TIMEOUT_S == 10
    monkeypatch.setattr(http, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(SendError, match="nobody answered") as caught:
        send(to(parts, kind, f"http://127.0.0.1:{mute.getsockname()[1]}"), news(alert()))
    assert (caught.value.permanent, caught.value.perhaps_heard) == (False, True)


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_where_nobody_listens_nobody_has_heard(parts: Parts, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(SendError, match="no connection") as caught:
        send(to(parts, kind, f"http://127.0.0.1:{port}"), news(alert()))
    assert (caught.value.permanent, caught.value.perhaps_heard) == (False, False)


@pytest.mark.parametrize("kind", ["pagerduty", "webhook"])
def test_a_channel_without_its_secret_says_where_it_belongs(parts: Parts, sink: Sink, kind: str) -> None:
    target = to(parts, kind, sink.http_url)
    parts.config.channel_secrets.clear()
    with pytest.raises(SendError, match="PRESORT_CHANNEL_OPS is not set") as caught:
        send(target, news(alert()))
    assert caught.value.permanent


def test_neither_secrets_nor_ticket_text_reach_the_log(
    parts: Parts, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for kind in HTTP_KINDS:
        send(to(parts, kind, sink.http_url + "/token"), news(alert()))
    assert json.dumps(sink.heard).count("Where is my money?") > 0
    assert [word for word in (SECRET, "/token", "Where is my money?") if word in caplog.text] == []
