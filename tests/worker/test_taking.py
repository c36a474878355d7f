"""Tickets are taken from Celery's queue many at once: nothing is lost on the way, and nothing stops the others."""

from __future__ import annotations

import json

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from integration import inbox, messages
from integration.inbox import UNACKED_INDEX
from integration.messages import NewTicket
from integration.publisher import create_celery, publish
from integration.settings import Settings
from integration.store import Store
from tests.worker.conftest import Desk, queued
from worker import taking
from worker.classifying import classify
from worker.parts import Parts
from worker.taking import BUSY_S, TROUBLE_S


def ticket(ticket_id: int) -> NewTicket:
    return NewTicket(ticket_id=ticket_id, received_at=1.0, text_known=True, description="My parcel is late")


def put(store: Store, *ids: int) -> None:
    for one in ids:
        assert inbox.put(store.redis, messages.CLASSIFY, ticket(one), f"d-{one}", ["category"])


def held(store: Store) -> int:
    return store.depths()["unacknowledged"]


def test_celery_reads_what_is_put_and_we_take_what_celery_publishes(store: Store, config: Settings) -> None:
    """Releases before and after this one share the queue."""
    celery = create_celery("a test", config.redis_url)
    put(store, 1)
    with celery.connection_for_read() as connection, connection.SimpleQueue(messages.TICKETS_QUEUE) as queue:
        message = queue.get(block=False)
        assert message.headers["task"] == messages.CLASSIFY
        assert NewTicket.from_json(message.payload[0][0]) == ticket(1)
        message.ack()
    publish(celery, messages.CLASSIFY, ticket(2))
    (one,) = inbox.take(store.redis, 9) or []
    assert f'"{messages.CLASSIFY}"' in one.entry.decode()


def test_what_is_taken_is_held_until_it_is_settled(store: Store) -> None:
    put(store, 1, 2, 3)
    taken = inbox.take(store.redis, 2) or []
    assert (len(taken), held(store), store.depths()["tickets"]) == (2, 2, 1)
    inbox.settle(store.redis, taken)
    assert (held(store), store.redis.exists(UNACKED_INDEX)) == (0, 0)


def test_what_a_killed_worker_held_comes_back(store: Store, config: Settings) -> None:
    """By Celery's own transport, as soon as any worker looks."""
    put(store, 1, 2)
    for one in inbox.take(store.redis, 2) or []:
        store.redis.zadd(UNACKED_INDEX, {one.tag: 0.0})  # held for years
    with create_celery("a test", config.redis_url).connection_for_read() as connection:
        connection.default_channel.qos.restore_visible(interval=1)
    assert held(store) == 0
    assert sorted(one.ticket_id for one in queued(store)) == [1, 2]


def test_what_is_given_back_is_next_in_its_order(store: Store) -> None:
    put(store, 1, 2, 3)
    inbox.give_back(store.redis, inbox.take(store.redis, 2) or [])
    assert held(store) == 0
    assert [one.ticket_id for one in queued(store)] == [1, 2, 3]


def test_other_queues_go_first(store: Store) -> None:
    put(store, 1)
    store.redis.lpush(messages.WRITES_QUEUE, "a message")
    assert inbox.take(store.redis, 9) is None
    store.redis.delete(messages.WRITES_QUEUE)
    assert inbox.take(store.redis, 9)


def test_a_delivery_is_put_once(store: Store) -> None:
    put(store, 1)
    assert not inbox.put(store.redis, messages.CLASSIFY, ticket(1), "d-1", ["category"])
    assert (len(queued(store)), store.funnel()) == (1, {"received": 1})


@pytest.mark.parametrize(
    "poison",
    [b"no JSON", b"5", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, json.dumps({"headers": {}, "body": "x"}).encode()],
)
def test_an_entry_that_is_no_message_is_parked_alone(desk: Desk, poison: bytes) -> None:
    store, new = desk.parts.store, desk.file()
    publish(desk.parts.celery, messages.CLASSIFY, new)
    store.redis.lpush(messages.TICKETS_QUEUE, poison)
    taking.take(desk.parts)
    assert len(store.parked()) == 1
    assert store.ticket(new.ticket_id, "category")
    assert held(store) == 0


def test_what_no_ticket_can_be_made_of_is_parked_with_the_reason(desk: Desk) -> None:
    publish(desk.parts.celery, messages.CLASSIFY, {"subject": "Zanzibar"})
    desk.parts.celery.send_task("presort.of_a_newer_release", args=[{}], queue=messages.TICKETS_QUEUE)
    taking.take(desk.parts)
    reasons = {row.task: row.reason for row in desk.parts.store.parked()}
    assert "Zanzibar" not in str(reasons)
    assert "ticket_id" in reasons[messages.CLASSIFY]
    assert "does not know" in reasons["presort.of_a_newer_release"]


def test_a_batch_that_breaks_is_worked_through_one_by_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = desk.file(), desk.file()

    def break_on_one(parts: Parts, tickets: list[NewTicket]) -> None:
        if any(one.ticket_id == bad.ticket_id for one in tickets):
            raise RuntimeError("its text")
        classify(parts, tickets)

    monkeypatch.setattr(taking, "classify", break_on_one)
    for one in (good, bad):
        publish(desk.parts.celery, messages.CLASSIFY, one)
    taking.take(desk.parts)
    assert desk.parts.store.ticket(good.ticket_id, "category")
    assert [(row.task, row.reason) for row in desk.parts.store.parked()] == [(messages.CLASSIFY, "RuntimeError")]


def test_while_redis_is_gone_the_batch_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise RedisConnectionError

    publish(desk.parts.celery, messages.CLASSIFY, desk.file())
    monkeypatch.setattr(taking, "classify", gone)
    assert taking.take(desk.parts) == TROUBLE_S
    assert (held(desk.parts.store), desk.parts.store.depths()["tickets"]) == (0, 1)


def test_a_slow_model_gets_small_batches(desk: Desk) -> None:
    for _ in range(20):
        publish(desk.parts.celery, messages.CLASSIFY, desk.file())
    desk.parts.ticket_s = 0.1  # ten a second
    assert taking.take(desk.parts) == BUSY_S
    assert desk.parts.store.depths()["tickets"] == 10
