"""Managing webhooks and triggers through the real client."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import Trigger, Webhook
from zenpy.lib.exception import APIException, RecordNotFoundException

from integration.simulator.account import INTEGRATION
from integration.simulator.config import SimulatorConfig
from integration.zendesk.signature import PUBLIC_TEST_SECRET
from tests.simulator.support import Receiver, Running, check_signature, eventually

CONFIG = SimulatorConfig(requests_per_minute=100_000, webhook_url="http://127.0.0.1:9/zendesk")


def webhook(**more: Any) -> Webhook:
    attributes = {
        "name": "Presort",
        "endpoint": "https://presort.example.com/zendesk",
        "http_method": "POST",
        "request_format": "json",
        "status": "active",
        "subscriptions": ["zen:event-type:ticket.created"],
    }
    return Webhook(**(attributes | more))


def trigger(webhook_id: str, update_type: str = "Create") -> Trigger:
    return Trigger(
        title="Presort",
        conditions={"all": [{"field": "update_type", "operator": "is", "value": update_type}], "any": []},
        actions=[{"field": "notification_webhook", "value": [webhook_id, '{"ticket_id": "{{ticket.id}}"}']}],
    )


def test_a_configured_webhook_is_there_from_the_start(zenpy: Zenpy, simulator: Running) -> None:
    (seeded,) = zenpy.webhooks.list()
    assert (seeded.endpoint, zenpy.webhooks.show_secret(seeded).secret) == (
        simulator.config.webhook_url,
        PUBLIC_TEST_SECRET,
    )


def test_a_webhook_is_created_with_a_secret_of_its_own(zenpy: Zenpy) -> None:
    first, second = zenpy.webhooks.create(webhook()), zenpy.webhooks.create(webhook(name="Other"))
    secrets = {zenpy.webhooks.show_secret(one).secret for one in (first, second)}
    assert len(secrets - {PUBLIC_TEST_SECRET}) == 2
    assert zenpy.webhooks(id=first.id).name == "Presort"


def test_resetting_a_secret_replaces_it(zenpy: Zenpy) -> None:
    created = zenpy.webhooks.create(webhook())
    before = zenpy.webhooks.show_secret(created).secret
    after = zenpy.webhooks.reset_secret(created).secret
    assert after != before
    assert zenpy.webhooks.show_secret(created).secret == after


def test_a_webhook_is_updated_and_deleted(zenpy: Zenpy) -> None:
    created = zenpy.webhooks.create(webhook())
    zenpy.webhooks.update(created.id, webhook(status="inactive"))
    assert zenpy.webhooks(id=created.id).status == "inactive"
    zenpy.webhooks.delete(created)
    with pytest.raises(RecordNotFoundException):
        zenpy.webhooks(id=created.id)


def test_the_two_kinds_of_subscription_exclude_each_other(zenpy: Zenpy) -> None:
    both = ["conditional_ticket_events", "zen:event-type:ticket.created"]
    for subscriptions in (both, ["zen:event-type:ticket.solved"]):
        with pytest.raises(APIException, match="subscriptions must be"):
            zenpy.webhooks.create(webhook(subscriptions=subscriptions))


def test_a_trigger_connects_a_webhook_and_keeps_it_from_being_deleted(zenpy: Zenpy) -> None:
    target = zenpy.webhooks.create(webhook(subscriptions=["conditional_ticket_events"]))
    created = zenpy.triggers.create(trigger(target.id))
    assert [one.title for one in zenpy.triggers()] == ["Presort"]
    with pytest.raises(APIException, match="connected to a trigger"):
        zenpy.webhooks.delete(target)
    zenpy.triggers.delete(created)
    zenpy.webhooks.delete(target)


def test_a_trigger_wants_a_webhook_of_its_kind(zenpy: Zenpy) -> None:
    target = zenpy.webhooks.create(webhook())
    with pytest.raises(APIException, match="must exist and subscribe"):
        zenpy.triggers.create(trigger(target.id))


def test_a_condition_that_would_not_be_evaluated_is_refused(simulator: Running) -> None:
    wanted = {
        "title": "Urgent",
        "conditions": {"all": [{"field": "priority", "operator": "is", "value": "urgent"}]},
        "actions": [],
    }
    assert simulator.api("POST", "/triggers", {"trigger": wanted}).status_code == 422


def test_a_webhooks_kind_is_for_life(zenpy: Zenpy) -> None:
    created = zenpy.webhooks.create(webhook())
    with pytest.raises(APIException, match="connection method cannot be changed"):
        zenpy.webhooks.patch(Webhook(id=created.id, subscriptions=["conditional_ticket_events"]))


def test_a_patch_changes_only_what_it_names(zenpy: Zenpy) -> None:
    created = zenpy.webhooks.create(webhook(description="Ours"))
    zenpy.webhooks.patch(Webhook(id=created.id, status="inactive"))
    found = zenpy.webhooks(id=created.id)
    assert (found.status, found.description, found.endpoint) == ("inactive", "Ours", created.endpoint)


def test_webhooks_and_triggers_are_listed_by_cursor(zenpy: Zenpy) -> None:
    targets = [zenpy.webhooks.create(webhook(subscriptions=["conditional_ticket_events"])) for _ in range(3)]
    triggers = [zenpy.triggers.create(trigger(one.id)) for one in targets]
    assert [one.id for one in zenpy.webhooks.list(page_size=2)][1:] == [one.id for one in targets]
    assert [one.id for one in zenpy.triggers(cursor_pagination=2)] == [one.id for one in triggers]


def test_a_test_is_signed_with_the_saved_webhooks_secret_and_shows_the_answer(zenpy: Zenpy, receiver: Receiver) -> None:
    created = zenpy.webhooks.create(webhook(endpoint=receiver.url))
    receiver.answers = [(418, {"X-Said": "tea"})]
    answer = zenpy.webhooks.test(created, {"payload": '{"type": "test"}'})
    assert (answer.status, answer.payload) == (418, "")
    (delivery,) = receiver.received
    check_signature(delivery, zenpy.webhooks.show_secret(created).secret)
    assert delivery.body == b'{"type": "test"}'
    assert list(zenpy.webhooks.invocations(created)) == []


def test_a_test_of_an_unsaved_webhook_is_signed_with_the_public_secret(zenpy: Zenpy, receiver: Receiver) -> None:
    zenpy.webhooks.test(request={"endpoint": receiver.url, "payload": "{}"})
    check_signature(receiver.received[0], PUBLIC_TEST_SECRET)


def test_a_test_that_nobody_answers_is_refused(zenpy: Zenpy) -> None:
    created = zenpy.webhooks.create(webhook(endpoint="http://127.0.0.1:9/zendesk"))
    with pytest.raises(APIException, match="no answer: ConnectionError"):
        zenpy.webhooks.test(created, {"payload": "{}"})


def test_deliveries_are_remembered_with_their_last_answer(zenpy: Zenpy, simulator: Running, receiver: Receiver) -> None:
    created = zenpy.webhooks.create(webhook(endpoint=receiver.url))
    receiver.answers = [(200, {}), (500, {})]
    for count in (1, 2):
        simulator.create()
        eventually(partial(_remembers, zenpy, created, count))
    found = [(one.status, one.status_code) for one in zenpy.webhooks.invocations(created)]
    assert found == [("failed", 500), ("success", 200)]


def test_only_an_admin_changes_the_set_up(simulator: Running) -> None:
    simulator.simulation.account.users[INTEGRATION.id] = replace(INTEGRATION, role="agent")
    for path in ("/webhooks", "/triggers", "/ticket_fields"):
        assert simulator.api("GET", path).status_code == (403 if path == "/webhooks" else 200)
        assert simulator.api("POST", path, {}).status_code == 403
    assert simulator.api("GET", "/incremental/tickets/cursor?start_time=0").status_code == 403


def _remembers(zenpy: Zenpy, created: Webhook, count: int) -> bool:
    return len(list(zenpy.webhooks.invocations(created))) == count
