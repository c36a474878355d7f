"""A batch from the queue: once each, whatever comes twice, breaks or is not readable now."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec
import pytest

from integration import counting, messages
from integration.messages import NewTicket
from integration.publisher import publish
from tests.conftest import awaited
from tests.worker.conftest import SURE, Desk, queued
from worker import deferred


def counted(desk: Desk) -> dict[str, int]:
    """Tickets counted for the detector, by category, over the last minutes."""
    now = int(time.time() // 60)
    rows = [tick.categories for tick in counting.ticks(desk.parts.store.redis, "category", now - 5, now + 1)]
    return {key: sum(row.get(key, 0) for row in rows) for row in rows for key in row}


def test_a_ticket_worked_on_twice_counts_and_writes_once(desk: Desk) -> None:
    ticket = desk.file()
    for _ in range(3):
        desk.classify(ticket, ticket)
    desk.settle()
    desk.classify(ticket)
    assert desk.parts.store.depths()["writes"] == 0
    assert counted(desk) == {SURE[2]: 1}
    assert desk.parts.store.funnel() == {"decided": 1, "eligible": 1, "predicted": 1, "sure": 1, "filled": 1}
    assert desk.zendesk.get("/simulator/summary")["updates"] == 1


def test_after_a_crash_between_recording_and_writing_the_write_is_asked_for_again(desk: Desk) -> None:
    ticket = desk.file()
    desk.classify(ticket)
    desk.parts.store.redis.delete(messages.WRITES_QUEUE)
    desk.classify(ticket)
    desk.settle()
    assert desk.record(ticket).outcome == "filled"


def test_a_ticket_whose_message_was_lost_is_published_again(desk: Desk) -> None:
    """The transport takes a message and notes it in two steps; whoever dies between them loses it."""
    lost, fresh = desk.file(), desk.file()
    long_ago = time.time() - deferred.MISSED_AFTER_S - 1
    awaited(desk.parts.store, lost.ticket_id, long_ago)
    awaited(desk.parts.store, fresh.ticket_id, time.time())
    for _ in range(3):
        deferred.resume(desk.parts)
        assert desk.parts.store.depths()["tickets"] == 1
    desk.parts.store.redis.delete(messages.TICKETS_QUEUE)
    desk.classify(NewTicket(ticket_id=lost.ticket_id, received_at=long_ago))
    desk.settle()
    assert desk.record(lost).outcome == "filled"
    assert [one[0] for one in desk.parts.store.unanswered(time.time(), 10)] == [fresh.ticket_id]


def test_a_second_delivery_of_an_answered_ticket_is_not_missed(desk: Desk) -> None:
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    awaited(desk.parts.store, ticket.ticket_id, 0.0)
    desk.classify(ticket)
    assert desk.parts.store.unanswered(time.time(), 10) == []


def test_a_classifier_that_is_gone_is_not_missed_for_ever(desk: Desk) -> None:
    awaited(desk.parts.store, 1, 0.0, ["renamed"])
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["tickets"] == 0
    assert desk.parts.store.unanswered(time.time(), 10) == []


def test_a_lost_ticket_is_found_though_others_wait_for_zendesk(desk: Desk) -> None:
    """A decided ticket that waits for its write is not lost; one without a record is."""
    lost, waiting = desk.file(), desk.file()
    for ticket in (lost, waiting):
        awaited(desk.parts.store, ticket.ticket_id, 0.0)
    desk.classify(waiting)
    desk.parts.store.hold_updates(60)
    desk.work()
    for _ in range(3):
        deferred.resume(desk.parts)
    assert desk.parts.store.waiting(messages.WRITE) == 1
    assert desk.parts.store.depths()["tickets"] == 1


def test_a_decided_ticket_whose_write_was_lost_is_found_soon_after_the_last_wait(desk: Desk) -> None:
    """While others wait it may wait too, so it is not published; but nor is it forgotten for another two minutes."""
    lost, waiting = desk.file(), desk.file()
    store = desk.parts.store
    awaited(store, lost.ticket_id, 0.0)
    desk.classify(lost)
    store.redis.delete(messages.WRITES_QUEUE)
    desk.classify(waiting)
    deferred.resume(desk.parts)
    assert store.depths()["tickets"] == 0
    desk.settle()
    ((_, _, at),) = store.unanswered(time.time(), 10)
    assert 0 < at + deferred.MISSED_AFTER_S - time.time() <= deferred.HELD_S
    store.asked_again([(lost.ticket_id, "category")], 0.0)  # as if those seconds had passed
    deferred.resume(desk.parts)
    assert [one.ticket_id for one in queued(store)] == [lost.ticket_id]


def test_of_a_lost_ticket_only_those_are_asked_who_owe_an_answer(desk: Desk) -> None:
    """After a loss of Redis the others may have answered on the ticket itself, and an agent may have emptied that."""
    first = desk.parts.config.classifiers[0]
    both = (first, msgspec.structs.replace(first, name="other"))
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=both)
    awaited(desk.parts.store, 1, 0.0, ["other"])
    awaited(desk.parts.store, 2, 0.0, ["category", "other"])
    deferred.resume(desk.parts)
    told = {one.ticket_id: set(one.classifiers) for one in queued(desk.parts.store)}
    assert told == {1: {"other"}, 2: {"category", "other"}}


def test_nothing_counts_as_lost_while_something_waits(desk: Desk) -> None:
    awaited(desk.parts.store, 1, 0.0)
    publish(desk.parts.celery, messages.CLASSIFY, desk.file())
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["tickets"] == 1


def test_a_trigger_tells_the_id_and_the_worker_reads_the_ticket(desk: Desk) -> None:
    filed = desk.file()
    desk.classify(NewTicket(ticket_id=filed.ticket_id, received_at=time.time()))
    desk.settle()
    assert desk.record(filed).outcome == "filled"
    assert desk.record(filed).decision.category == SURE[2]


def test_a_trigger_for_a_deleted_ticket_leaves_it_alone(desk: Desk) -> None:
    filed, other = desk.file(), desk.file()
    desk.zendesk.post(f"/simulator/tickets/{filed.ticket_id}/delete")
    desk.classify(*(NewTicket(ticket_id=one.ticket_id, received_at=time.time()) for one in (filed, other)))
    desk.settle()
    assert (desk.record(filed).outcome, desk.record(filed).reason) == ("left_alone", "ticket_deleted")
    assert desk.record(other).outcome == "filled"


def test_a_ticket_that_cannot_be_read_now_comes_back_later(desk: Desk) -> None:
    filed, known = desk.file(), desk.file()
    assert desk.parts.own_user_id
    desk.zendesk.post("/simulator/faults", {"down": True})
    desk.classify(NewTicket(ticket_id=filed.ticket_id, received_at=time.time()), known)
    assert desk.parts.store.waiting(messages.CLASSIFY) == 1
    assert desk.parts.store.ticket(known.ticket_id, "category")


def test_an_unknown_own_user_does_not_stop_the_sorting(desk: Desk) -> None:
    """Who we are is asked of Zendesk; an outage must not park every ticket."""
    ticket = desk.file()
    desk.zendesk.post("/simulator/faults", {"down": True})
    desk.classify(ticket)
    assert desk.record(ticket).decision.category == SURE[2]
    assert desk.parts.store.parked() == []


def test_tickets_of_our_own_user_are_left_alone(desk: Desk) -> None:
    ticket = msgspec.structs.replace(desk.file(), actor_id=desk.parts.own_user_id)
    desk.classify(ticket)
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "own_ticket")


def test_a_poisonous_ticket_is_parked_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks on one text must not take the batch with it; and the log tells no text."""
    good, poison = desk.file(), desk.file("Subject", "poison in the cup")
    predictor: Any = desk.parts.predictors["category"]
    predict = predictor.predict

    def fragile(texts: list[str]) -> object:
        if any("poison" in text for text in texts):
            raise RuntimeError(texts[0])
        return predict(texts)

    monkeypatch.setattr(predictor, "predict", fragile)
    with caplog.at_level(logging.DEBUG):
        desk.classify(good, poison)
    desk.settle()
    assert desk.record(good).outcome == "filled"
    (parked,) = desk.parts.store.parked()
    assert parked.task == messages.CLASSIFY
    assert parked.payload["ticket_id"] == poison.ticket_id
    assert parked.reason == "RuntimeError while classifying"
    assert "poison in the cup" not in caplog.text


def test_only_confident_answers_count_for_alerts(desk: Desk) -> None:
    sure, unsure = desk.file(), desk.file("Hello", "Hello, I have a question. Thank you.")
    desk.classify(sure, unsure)
    confidence, threshold = (getattr(desk.record(unsure).decision, name) for name in ("confidence", "threshold"))
    assert confidence < threshold
    assert counted(desk) == {SURE[2]: 1}
