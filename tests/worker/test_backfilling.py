"""Old tickets, a batch at a time, and never before a new one."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import pytest

from integration import backfills, counting, messages, outcomes
from integration.publisher import publish
from integration.settings import Classifier
from integration.simulator.account import AGENT, CUSTOMER
from integration.zendesk.client import BULK
from tests.worker.conftest import ACCOUNT, SURE, Desk
from tests.worker.test_classifying import counted
from worker import backfilling
from worker.deferred import MISSED_AFTER_S
from worker.judging import judge
from worker.writing import take_slot


def old(desk: Desk, count: int = 1, **more: object) -> list[int]:
    return [desk.zendesk.create(SURE[0], SURE[1], **more) for _ in range(count)]


def start(desk: Desk, ids: Sequence[int]) -> None:
    backfills.start(desk.parts.store.redis, "a test", ids, time.time())


def run(desk: Desk) -> backfills.Backfill:
    found = backfills.current(desk.parts.store.redis)
    assert found is not None
    return found


def finish(desk: Desk) -> backfills.Backfill:
    """Steps and the workers' other work in turn, until nothing is left."""
    for _ in range(20):
        backfilling.go_on(desk.parts, time.time())
        if run(desk).state == "done":
            return run(desk)
        desk.settle()
    raise AssertionError(f"still going: {run(desk)}")


def outcome(desk: Desk, ticket_id: int) -> str | None:
    record = desk.parts.store.ticket(ticket_id, "category")
    return None if record is None else record.outcome


def test_old_tickets_are_decided_and_written(desk: Desk) -> None:
    ids = old(desk, 3)
    start(desk, ids)
    done = finish(desk)
    assert (done.left, done.results) == (0, {"filled": 3})
    assert [outcome(desk, one) for one in ids] == ["filled"] * 3


def test_they_are_no_news(desk: Desk) -> None:
    """Neither the counts that alerts are made of nor their samples, nor the new tickets' funnel."""
    start(desk, old(desk, 2))
    finish(desk)
    assert counted(desk) == {}
    assert counting.began(desk.parts.store.redis, "category") is None
    assert counting.newest(desk.parts.store.redis, "category", SURE[2], limit=5) == []
    assert desk.parts.store.funnel() == {}
    assert desk.parts.store.funnel(backfill=True)["filled"] == 2


def test_that_their_value_stands_is_no_evidence(desk: Desk) -> None:
    """Nobody looks at most old tickets again; neither Presort's memory nor the ticket's history may count them."""
    ids = old(desk, 2)
    start(desk, ids)
    finish(desk)
    for one in ids:
        desk.zendesk.simulation.update(one, {"status": "solved"}, actor_id=AGENT.id, channel="web")
    desk.parts.store.redis.delete(f"presort:ticket:{ids[0]}:category")  # as after two days
    outcomes.await_judgement(desk.parts.store.redis, ids)
    judge(desk.parts)
    assert list(desk.parts.store.redis.scan_iter("presort:outcomes:*")) == []


def test_a_batch_is_one_request_and_the_next_begins_when_it_ended(desk: Desk) -> None:
    start(desk, old(desk, BULK + 5))
    for _ in range(3):
        backfilling.go_on(desk.parts, time.time())
    assert run(desk).left == BULK + 5
    assert desk.parts.store.depths()["writes"] == 1
    desk.settle()
    backfilling.go_on(desk.parts, time.time())
    assert (run(desk).left, run(desk).results) == (5, {"filled": BULK})
    assert finish(desk).results == {"filled": BULK + 5}


@pytest.mark.parametrize("where", [messages.CLASSIFY, messages.WRITE])
def test_it_waits_while_a_message_waits(desk: Desk, where: str) -> None:
    start(desk, old(desk))
    publish(desk.parts.celery, where, desk.file())
    backfilling.go_on(desk.parts, time.time())
    assert run(desk).asks == 0
    desk.parts.store.redis.delete(messages.QUEUES[where])
    assert finish(desk).results == {"filled": 1}


def test_it_waits_while_a_decision_waits_for_the_budget(desk: Desk) -> None:
    start(desk, old(desk))
    desk.parts.store.defer(messages.WRITE, [{}], delay_s=60, reason="update budget")
    backfilling.go_on(desk.parts, time.time())
    assert run(desk).asks == 0


def test_it_waits_while_zendesk_does(desk: Desk) -> None:
    start(desk, old(desk))
    desk.parts.store.hold_updates(60)
    backfilling.go_on(desk.parts, time.time())
    assert run(desk).asks == 0


def test_it_leaves_the_budget_to_new_tickets(desk: Desk) -> None:
    """Not from one that was used; and after a batch a new ticket is still written at once."""
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, zendesk=msgspec.structs.replace(desk.parts.config.zendesk, updates_per_minute=1)
    )
    start(desk, old(desk))
    assert take_slot(desk.parts) == 0
    backfilling.go_on(desk.parts, time.time())
    assert run(desk).asks == 0
    desk.parts.store.redis.delete("presort:updates_next")
    backfilling.go_on(desk.parts, time.time())
    assert run(desk).asks == 1
    fresh = desk.file()
    desk.classify(fresh)
    desk.work()
    assert outcome(desk, fresh.ticket_id) == "filled"


def test_it_leaves_half_of_a_days_cap_to_new_tickets(desk: Desk) -> None:
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, zendesk=msgspec.structs.replace(desk.parts.config.zendesk, writes_per_day=4)
    )
    start(desk, old(desk, 5))
    for _ in range(4):
        backfilling.go_on(desk.parts, time.time())
        desk.settle()
    assert (run(desk).results, run(desk).left) == ({"filled": 2}, 3)


def test_a_persons_value_stays_and_closed_tickets_too(desk: Desk) -> None:
    theirs, closed, deleted = old(desk, 3)
    start(desk, [theirs, closed, deleted])
    desk.zendesk.post(f"/simulator/tickets/{theirs}/agent", {"Category": "login_problem"})
    desk.zendesk.post(f"/simulator/tickets/{closed}/close")
    desk.zendesk.post(f"/simulator/tickets/{deleted}/delete")
    assert finish(desk).results == {"left_alone": 3}
    reasons = [
        record.reason for one in (theirs, closed, deleted) if (record := desk.parts.store.ticket(one, "category"))
    ]
    assert reasons == ["person_set_it", "ticket_closed", "ticket_deleted"]


def test_what_was_decided_before_is_not_decided_again(desk: Desk) -> None:
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    start(desk, [ticket.ticket_id])
    assert finish(desk).results == {"decided_before": 1}
    assert desk.zendesk.get("/simulator/summary")["updates"] == 1


def test_a_killed_worker_costs_nothing(desk: Desk) -> None:
    """Its batch is asked about again after the time in which a message may be on its way; nothing is written twice."""
    start(desk, old(desk, 2))
    backfilling.go_on(desk.parts, time.time())
    desk.parts.store.redis.delete(messages.WRITES_QUEUE)
    backfilling.go_on(desk.parts, time.time())
    assert desk.parts.store.depths()["writes"] == 0
    assert run(desk).asks == 1
    backfilling.go_on(desk.parts, time.time() + MISSED_AFTER_S + 1)
    desk.settle()
    assert finish(desk).results == {"filled": 2}
    assert desk.zendesk.get("/simulator/summary")["updates"] == 2


def test_a_ticket_that_never_gets_an_outcome_does_not_stop_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, good = desk.zendesk.create("Subject", "poison in the cup"), old(desk)[0]
    predictor = desk.parts.predictors["category"]
    predict = predictor.predict

    def fragile(texts: list[str]) -> object:
        if any("poison" in text for text in texts):
            raise RuntimeError(texts[0])
        return predict(texts)

    monkeypatch.setattr(predictor, "predict", fragile)
    start(desk, [poison, good])
    now = time.time()
    for ask in range(backfilling.ASKS + 1):
        backfilling.go_on(desk.parts, now + ask * (MISSED_AFTER_S + 1))
        desk.settle()
    assert run(desk).results == {"undecided": 1, "filled": 1}
    assert outcome(desk, good) == "filled"


def test_a_stopped_one_keeps_its_place(desk: Desk) -> None:
    start(desk, old(desk, 2))
    backfills.turn(desk.parts.store.redis, "stopped")
    backfilling.go_on(desk.parts, time.time())
    assert (run(desk).asks, run(desk).left) == (0, 2)
    backfills.turn(desk.parts.store.redis, "running")
    assert finish(desk).results == {"filled": 2}


def test_old_conversations_are_read_and_not_waited_for(desk: Desk) -> None:
    spoken, silent = old(desk, 2, channel="native_messaging")
    message = {"comment": {"body": SURE[1]}}
    desk.zendesk.simulation.update(spoken, message, actor_id=CUSTOMER.id, channel="native_messaging")
    start(desk, [spoken, silent])
    assert finish(desk).results == {"filled": 1, "left_alone": 1}
    record = desk.parts.store.ticket(silent, "category")
    assert record
    assert record.reason == "stub_text"


def test_a_batch_of_several_classifiers_is_still_one_request(desk: Desk) -> None:
    second = Classifier(name="other", field_id=ACCOUNT.category_field_id, bundle="demo/bundle", mode="shadow")
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=(*desk.parts.config.classifiers, second))
    desk.parts.predictors["other"] = desk.parts.predictors["category"]
    try:
        start(desk, old(desk, BULK))
        backfilling.go_on(desk.parts, time.time())
        desk.settle()
        backfilling.go_on(desk.parts, time.time())
        assert run(desk).left == BULK // 2
    finally:
        del desk.parts.predictors["other"]
