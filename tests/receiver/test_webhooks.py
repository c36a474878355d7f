"""A delivery in, a message in the queue and an answer that helps."""

from __future__ import annotations

import base64
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from integration import messages, settings
from integration.controls import Controls
from integration.receiver.app import create_app
from integration.settings import Settings, SettingsError
from integration.store import Store
from integration.zendesk import signature
from tests.conftest import FIXTURES, SECRET

EVENT = json.loads((FIXTURES / "ticket_created.json").read_text(encoding="utf-8"))


@pytest.fixture
def client(config: Settings, store: Store) -> FlaskClient:
    assert store.redis.dbsize() == 0
    return create_app(config).test_client()


def deliver(
    client: FlaskClient,
    body: bytes,
    *,
    secret: str = SECRET,
    at: datetime | None = None,
    content_type: str = "application/json",
) -> TestResponse:
    """Sign and send a body as Zendesk does."""
    timestamp = (at or datetime.now(UTC)).isoformat()
    signed = {
        signature.TIMESTAMP_HEADER: timestamp,
        signature.SIGNATURE_HEADER: signature.sign(secret, timestamp, body),
        "Content-Type": content_type,
    }
    return client.post("/webhooks/zendesk", data=body, headers=signed)


def event(**detail: Any) -> bytes:
    """A ``ticket.created`` event with another id and some of its detail changed."""
    return json.dumps(EVENT | {"id": f"d-{detail}"[:60], "detail": EVENT["detail"] | detail}).encode()


def queued(store: Store) -> list[messages.NewTicket]:
    """The payloads in the tickets queue, oldest first."""
    rows = store.redis.lrange(messages.TICKETS_QUEUE, 0, -1)
    return [
        messages.NewTicket.from_json(json.loads(base64.b64decode(json.loads(row)["body"]))[0][0]) for row in rows[::-1]
    ]


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def test_an_event_is_queued_with_its_text(client: FlaskClient, store: Store) -> None:
    answer = deliver(client, fixture("ticket_created.json"))
    assert (answer.status_code, answer.json) == (200, {"status": "accepted", "reason": "queued"})
    (ticket,) = queued(store)
    assert ticket.ticket_id == 35436
    assert ticket.text_known
    assert ticket.subject == "Parcel not here"
    assert ticket.channel == "web_service"
    assert ticket.brand_id == 4771188060826
    assert ticket.requester_id == 8447388090494
    assert ticket.tags == ("web",)
    assert ticket.created_at == datetime(2026, 3, 2, 9, 14, 31, tzinfo=UTC).timestamp()
    assert store.funnel() == {"received": 1}


@pytest.mark.parametrize(("tags", "read"), [(None, ()), ([], ()), ("imported vip", ("imported", "vip"))])
def test_tags_come_in_several_forms(client: FlaskClient, store: Store, tags: object, read: tuple[str, ...]) -> None:
    assert deliver(client, event(tags=tags)).status_code == 200
    assert [one.tags for one in queued(store)] == [read]


def test_a_trigger_is_queued_without_text(client: FlaskClient, store: Store) -> None:
    """Its body is written by an admin and carries ids only; the worker reads the ticket."""
    assert deliver(client, fixture("trigger.json")).status_code == 200
    (ticket,) = queued(store)
    assert (ticket.ticket_id, ticket.text_known, ticket.subject) == (35437, False, None)


@pytest.mark.parametrize("name", ["ticket_created.json", "trigger.json"])
def test_a_repeated_delivery_is_queued_once(client: FlaskClient, store: Store, name: str) -> None:
    first, second = deliver(client, fixture(name)), deliver(client, fixture(name))
    assert (first.json or {})["status"] == "accepted"
    assert (second.status_code, (second.json or {})["status"]) == (200, "duplicate")
    assert len(queued(store)) == 1


def test_another_event_type_is_ignored_with_a_reason(client: FlaskClient, store: Store) -> None:
    answer = deliver(client, fixture("comment_changed.json"))
    assert (answer.status_code, (answer.json or {})["status"]) == (200, "ignored")
    assert "zen:event-type:ticket.comment_added" in (answer.json or {})["reason"]
    assert queued(store) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"type": "\xff\xfe', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither `type`"),
        (b'{"type": 5}', "type"),
        (b'{"type": "zen:event-type:ticket.created", "id": "1"}', "detail"),
        (b'{"type": "zen:event-type:ticket.created", "id": "1", "detail": {"id": "abc"}}', "not a ticket id"),
        (b'{"ticket_id": "{{ticket.id}}"}', "not a ticket id"),
        (b'{"ticket_id": -3}', "not a ticket id"),
        (b'{"ticket_id": "1_0"}', "not a ticket id"),
        ('{"ticket_id": "\u0661\u0662"}'.encode(), "not a ticket id"),
        (b'{"type": "zen:event-type:ticket.created", "id": "' + b"x" * 201 + b'", "detail": {"id": "1"}}', "id"),
        (b'{"ticket_id": 99999999999999999999999}', "not a ticket id"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_neither_kind_is_refused(client: FlaskClient, store: Store, body: bytes, reason: str) -> None:
    answer = deliver(client, body)
    assert answer.status_code == 400
    assert reason in (answer.json or {})["reason"]
    assert queued(store) == []


@pytest.mark.parametrize(
    ("subject", "description"),
    [
        ("", ""),
        (None, None),
        ("Große Frage 🙈👩‍👩‍👧", "日本語のテキスト 🎉"),
        ("سؤال", "أين طلبي؟"),
        ("NUL\x00 inside", "\x00\x01\x02"),
        ("lone surrogate \ud800", "\udfff"),
        ("<b>Hi</b>", "<html><body><p>only HTML</p></body></html>"),
    ],
)
def test_unusual_text_is_queued(
    client: FlaskClient, store: Store, subject: str | None, description: str | None
) -> None:
    assert deliver(client, event(subject=subject, description=description)).status_code == 200
    assert len(queued(store)) == 1


def test_invalid_utf8_is_queued_with_replacement_characters(client: FlaskClient, store: Store) -> None:
    """It is signed, so it is a customer's ticket: broken text is no reason to lose it."""
    body = event(description="caf@").replace(b"caf@", b"caf\xe9")
    assert deliver(client, body).status_code == 200
    (ticket,) = queued(store)
    assert ticket.description == "caf\ufffd"


def test_a_long_text_is_queued_cut(client: FlaskClient, store: Store) -> None:
    """200 KB are taken; what no model reads does not travel."""
    assert deliver(client, event(description="word " * 40_000)).status_code == 200
    (ticket,) = queued(store)
    assert len(ticket.description or "") == 20_000


def test_a_body_over_256_kb_is_refused(client: FlaskClient, store: Store) -> None:
    answer = deliver(client, event(description="x" * 300_000))
    assert answer.status_code == 413
    assert "256 KB" in (answer.json or {})["reason"]
    assert queued(store) == []


def test_another_content_type_is_refused(client: FlaskClient) -> None:
    answer = deliver(client, fixture("ticket_created.json"), content_type="text/plain")
    assert answer.status_code == 415
    assert "application/json" in (answer.json or {})["reason"]


def test_a_wrong_signature_is_refused(client: FlaskClient, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = deliver(client, fixture("ticket_created.json"), secret="guess")
    assert answer.status_code == 401
    assert "PRESORT_WEBHOOK_SECRETS" in (answer.json or {})["reason"]
    assert queued(store) == []
    assert "Parcel" not in caplog.text
    assert SECRET not in caplog.text


def test_an_old_delivery_is_refused(client: FlaskClient, store: Store) -> None:
    answer = deliver(client, fixture("ticket_created.json"), at=datetime.now(UTC) - timedelta(minutes=11))
    assert answer.status_code == 401
    assert "clock" in (answer.json or {})["reason"]
    assert queued(store) == []


def test_when_redis_is_down_zendesk_is_told_to_come_again(config: Settings) -> None:
    client = create_app(msgspec.structs.replace(config, redis_url="redis://127.0.0.1:1/0")).test_client()
    answer = deliver(client, fixture("ticket_created.json"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert set((ready.json or {})["failing"]) == {"redis", "queue", "workers", "writes", "models"}
    assert client.get("/healthz").status_code == 200
    assert "presort_redis_up 0.0" in client.get("/metrics").text


def test_a_delivery_is_marked_seen_only_after_publishing(config: Settings, store: Store) -> None:
    """Or a ticket would be lost when the queue refuses the message and the repetition is taken for a duplicate."""
    client = create_app(config).test_client()
    bound = str(store.redis.config_get("maxmemory")["maxmemory"])
    store.redis.config_set("maxmemory", "1")  # Redis is full: it refuses what would take memory
    try:
        refused = deliver(client, fixture("ticket_created.json"))
    finally:
        store.redis.config_set("maxmemory", bound)
    assert refused.status_code == 503
    assert deliver(client, fixture("ticket_created.json")).json == {"status": "accepted", "reason": "queued"}
    assert len(queued(store)) == 1


def test_a_ticket_is_queued_marked_and_missed_in_one_step(config: Settings, store: Store) -> None:
    """What happens to Redis, or to the receiver, cannot come between them."""
    client = create_app(config).test_client()
    bound = str(store.redis.config_get("maxmemory")["maxmemory"])
    store.redis.config_set("maxmemory", "1")
    try:
        assert deliver(client, fixture("ticket_created.json")).status_code == 503
    finally:
        store.redis.config_set("maxmemory", bound)
    assert store.redis.keys("presort:*") == []
    assert deliver(client, fixture("ticket_created.json")).status_code == 200
    assert len(queued(store)) == 1
    assert store.delivered(str(EVENT["id"]))
    assert [(ticket_id, name) for ticket_id, name, _ in store.unanswered(time.time(), 9)] == [
        (int(EVENT["detail"]["id"]), "category")
    ]


def test_the_public_test_secret_is_refused_for_a_real_account(config: Settings) -> None:
    public = msgspec.structs.replace(config, webhook_secrets=(signature.PUBLIC_TEST_SECRET,))
    create_app(public)  # the simulator may use it
    real = msgspec.structs.replace(public, zendesk=settings.Zendesk(subdomain="acme", client_id="presort"))
    with pytest.raises(SettingsError, match="anyone can sign"):
        create_app(real)


def test_without_a_secret_it_does_not_start(config: Settings) -> None:
    with pytest.raises(SettingsError, match="PRESORT_WEBHOOK_SECRETS"):
        create_app(msgspec.structs.replace(config, webhook_secrets=()))


def test_ready_lists_each_dependency(client: FlaskClient, store: Store) -> None:
    """Without workers webhooks are taken and kept, so that is no reason to be taken out of service."""
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert set((ready.json or {})["ok"]) == {"redis", "queue", "writes"}
    assert "tickets wait in the queue" in (ready.json or {})["failing"]["workers"]
    store.beat("host:1")
    assert (client.get("/readyz").json or {})["ok"]["workers"] == "host:1"


def test_metrics_count_answers_and_show_the_queue(client: FlaskClient) -> None:
    deliver(client, fixture("ticket_created.json"))
    deliver(client, fixture("ticket_created.json"), secret="guess")
    text = client.get("/metrics").text
    assert 'presort_webhooks_total{status="accepted"}' in text
    assert 'presort_webhooks_total{status="refused"}' in text
    assert 'presort_messages{place="tickets"} 1.0' in text
    assert "presort_redis_up 1.0" in text


def test_a_pause_and_a_full_day_show_and_webhooks_are_taken_all_the_same(config: Settings, store: Store) -> None:
    capped = msgspec.structs.replace(config, zendesk=msgspec.structs.replace(config.zendesk, writes_per_day=2))
    client, controls = create_app(capped).test_client(), Controls(store.redis)
    assert "presort_writes_paused 0.0" in client.get("/metrics").text
    controls.admit([7, 8], capped.zendesk, time.time())
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "cap of 2 tickets (UTC) is reached; decisions are kept" in (ready.json or {})["failing"]["writes"]
    controls.throw(paused=True, by="anna")
    assert "paused by anna" in (client.get("/readyz").json or {})["failing"]["writes"]
    text = client.get("/metrics").text
    for line in ("presort_writes_paused 1.0", "presort_tickets_written_today 2.0", "presort_writes_per_day 2.0"):
        assert line in text
    assert deliver(client, event()).status_code == 200


def test_without_a_cap_there_is_no_metric_of_it(client: FlaskClient) -> None:
    assert "presort_writes_per_day 0" not in client.get("/metrics").text


def test_unknown_paths_and_methods_answer_json(client: FlaskClient) -> None:
    assert client.get("/").status_code == 404
    assert client.get("/webhooks/zendesk").status_code == 405
    assert (client.get("/webhooks/zendesk").json or {})["status"] == "refused"
