"""Deliveries at a real receiver: what they carry, how they are signed, when they are retried."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import Ticket, Trigger, Webhook

from integration.simulator.account import CUSTOMER
from integration.simulator.config import SimulatorConfig
from integration.zendesk.signature import PUBLIC_TEST_SECRET
from tests.simulator.support import Received, Receiver, Running, check_signature, eventually, serving


@pytest.fixture(scope="module")
def served(listening: Receiver) -> Iterator[Running]:
    """An account whose seeded webhook points at the receiver."""
    config = SimulatorConfig(
        requests_per_minute=100_000, webhook_url=listening.url, delivery_timeout_s=0.3, delivery_retry_s=0.05
    )
    with serving(config) as running:
        yield running


def arrivals(receiver: Receiver, count: int) -> list[Received]:
    """Exactly so many deliveries, and none more shortly after."""
    eventually(lambda: len(receiver.received) >= count)
    time.sleep(0.15)
    assert len(receiver.received) == count
    return receiver.received


def ledger(simulator: Running, ticket_id: int) -> tuple[Any, Any]:
    row = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]
    return row["attempts"], row["last_status"]


def test_an_event_carries_the_envelope_and_no_custom_fields(simulator: Running, receiver: Receiver) -> None:
    ticket_id = simulator.create("Printer", "It is on fire.", channel="email", fields={"Category": "billing"})
    (delivery,) = arrivals(receiver, 1)
    event = json.loads(delivery.body)
    assert event["type"] == "zen:event-type:ticket.created"
    assert event["subject"] == f"zen:ticket:{ticket_id}"
    assert event["account_id"] == simulator.config.account_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["time"])
    detail = event["detail"]
    assert (detail["id"], detail["requester_id"], detail["actor_id"]) == (
        str(ticket_id),
        str(CUSTOMER.id),
        str(CUSTOMER.id),
    )
    assert (detail["status"], detail["priority"], detail["type"]) == ("NEW", None, None)
    assert (detail["subject"], detail["description"], detail["via"]) == (
        "Printer",
        "It is on fire.",
        {"channel": "email"},
    )
    assert detail["tags"] == ["billing"]
    assert "custom_fields" not in detail


def test_a_delivery_is_signed_with_the_webhooks_secret(simulator: Running, receiver: Receiver) -> None:
    simulator.create()
    (delivery,) = arrivals(receiver, 1)
    check_signature(delivery, PUBLIC_TEST_SECRET)
    assert delivery.headers["User-Agent"] == "Zendesk Webhook"


def test_a_reset_secret_signs_from_then_on(zenpy: Zenpy, simulator: Running, receiver: Receiver) -> None:
    (webhook,) = zenpy.webhooks.list()
    secret = zenpy.webhooks.reset_secret(webhook).secret
    simulator.create()
    (delivery,) = arrivals(receiver, 1)
    check_signature(delivery, secret)


def test_a_trigger_sends_its_own_body(zenpy: Zenpy, simulator: Running, receiver: Receiver) -> None:
    (seeded,) = zenpy.webhooks.list()
    zenpy.webhooks.delete(seeded)
    webhook = zenpy.webhooks.create(
        Webhook(
            name="By trigger",
            endpoint=receiver.url,
            http_method="POST",
            request_format="json",
            status="active",
            subscriptions=["conditional_ticket_events"],
        )
    )
    template = '{"ticket_id": "{{ticket.id}}", "updated_at": "{{ticket.updated_at_with_timestamp}}"}'
    zenpy.triggers.create(
        Trigger(
            title="Presort",
            conditions={"all": [{"field": "update_type", "operator": "is", "value": "Create"}], "any": []},
            actions=[{"field": "notification_webhook", "value": [webhook.id, template]}],
        )
    )
    ticket_id = simulator.create()
    (delivery,) = arrivals(receiver, 1)
    check_signature(delivery, zenpy.webhooks.show_secret(webhook).secret)
    shown = zenpy.tickets(id=ticket_id)
    assert json.loads(delivery.body) == {"ticket_id": str(ticket_id), "updated_at": shown.updated_at}


def test_updates_send_no_event(zenpy: Zenpy, simulator: Running, receiver: Receiver) -> None:
    ticket_id = simulator.create()
    zenpy.tickets.update(Ticket(id=ticket_id, subject="Phone"))
    arrivals(receiver, 1)


def test_503_is_retried_when_retry_after_asks_for_it(simulator: Running, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "1"})]
    ticket_id = simulator.create()
    first, second = arrivals(receiver, 2)
    assert second.at - first.at >= 1.0
    assert first.body == second.body
    assert ledger(simulator, ticket_id) == (2, 200)


@pytest.mark.parametrize("answer", [(503, {}), (503, {"Retry-After": "60"}), (429, {}), (400, {}), (500, {})])
def test_these_answers_are_final(simulator: Running, receiver: Receiver, answer: tuple[int, dict[str, str]]) -> None:
    receiver.answers = [answer]
    ticket_id = simulator.create()
    arrivals(receiver, 1)
    assert ledger(simulator, ticket_id) == (1, answer[0])


def test_409_is_retried_three_times(simulator: Running, receiver: Receiver) -> None:
    receiver.answers = [(409, {})] * 9
    ticket_id = simulator.create()
    arrivals(receiver, 4)
    assert ledger(simulator, ticket_id) == (4, 409)


def test_a_timeout_is_retried(simulator: Running, receiver: Receiver) -> None:
    receiver.delay_s = 0.5
    ticket_id = simulator.create()
    eventually(lambda: receiver.received)
    receiver.delay_s = 0.0
    arrivals(receiver, 2)
    assert ledger(simulator, ticket_id) == (2, 200)


def test_the_ledger_measures_from_the_webhook_to_our_update(
    zenpy: Zenpy, simulator: Running, receiver: Receiver
) -> None:
    ticket_id = simulator.create()
    arrivals(receiver, 1)
    simulator.clock.advance(3)
    fields = [{"id": simulator.config.predicted_field_id, "value": "Billing"}]
    zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=fields))
    row = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]
    assert 3 <= row["seconds"] < 5
    assert row["filled_at"] - row["sent_at"] == pytest.approx(row["seconds"])
    assert simulator.get("/simulator/summary")["latency_s"] == {
        "count": 1,
        "p50": row["seconds"],
        "p99": row["seconds"],
    }


def test_every_ticket_of_a_burst_arrives(simulator: Running, receiver: Receiver) -> None:
    rows = [{"description": f"ticket {number}"} for number in range(300)]
    simulator.post("/simulator/tickets", {"tickets": rows})
    eventually(lambda: len(receiver.received) == 300)
    assert len({json.loads(one.body)["id"] for one in receiver.received}) == 300
    eventually(lambda: simulator.get("/simulator/summary")["tickets"]["delivered"] == 300)
