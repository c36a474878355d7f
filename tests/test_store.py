"""What is in Redis, and that races and losses leave it right."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from integration import counting, messages
from integration.messages import Decision
from integration.records import Tick
from integration.store import WORKER_TTL, Store
from integration.stream import read
from tests.conftest import awaited


def decision(ticket_id: int = 1, **more: object) -> Decision:
    base = Decision(
        id=f"d{ticket_id}",
        ticket_id=ticket_id,
        classifier="category",
        action="fill",
        reason="confident",
        category="refund",
        confidence=0.9,
        top=(("refund", 0.9),),
        threshold=0.8,
        model="m@1",
        created_at=600.0,
        received_at=601.0,
        decided_at=602.0,
    )
    return msgspec.structs.replace(base, **more)


def test_a_decision_is_recorded_and_counted_once(store: Store) -> None:
    assert store.record([decision(1), decision(2)], tick_s=60) == [None, None]
    first, new = store.record([decision(1, id="other"), decision(3)], tick_s=60)
    assert first is not None
    assert first.decision.id == "d1"
    assert new is None
    assert counting.ticks(store.redis, "category", 10, 11) == [Tick(3, {"refund": 3})]
    assert store.funnel()["decided"] == 3


def test_a_ticket_is_missed_until_it_has_an_outcome(store: Store) -> None:
    awaited(store, 7, 600.0, ["category", "topic"])
    awaited(store, 8, 900.0)
    assert store.unanswered(700.0, 10) == [(7, "category", 600.0), (7, "topic", 600.0)]
    store.asked_again([(7, "category"), (7, "topic"), (9, "category")], 1000.0)
    assert store.unanswered(2000.0, 10) == [(8, "category", 900.0), (7, "category", 1000.0), (7, "topic", 1000.0)]
    store.finish([(decision(7), "filled", "confident"), (decision(8), "left_alone", "no_text")])
    assert store.unanswered(2000.0, 10) == [(7, "topic", 1000.0)]
    store.answered([(7, "topic")])
    assert store.unanswered(2000.0, 10) == []


def test_a_hold_is_never_shortened(store: Store) -> None:
    store.hold_updates(60)
    store.hold_updates(5)
    assert store.updates_held() > 50


def test_an_unsure_decision_is_recorded_but_not_counted(store: Store) -> None:
    store.record([decision(confidence=0.7), decision(2, category=None, confidence=None)], tick_s=60)
    assert counting.ticks(store.redis, "category", 10, 11) == [Tick(0, {})]
    assert store.funnel()["decided"] == 2


def test_two_models_agree_when_they_give_the_same_labels(store: Store) -> None:
    active, staged = decision(values=("refund", "delivery")), decision(values=("delivery", "refund"), model="m@2")
    store.count_shadow([(active, staged), (active, decision(values=(), model="m@2")), (active, decision(model="m@2"))])
    (shadow,) = store.shadows("category")
    assert shadow.pairs == {("delivery, refund", "delivery, refund"): 1, ("delivery, refund", "refund"): 2}


def test_many_workers_recording_the_same_ticket_count_it_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        before = list(pool.map(lambda n: store.record([decision(id=f"d{n}")], tick_s=60)[0], range(40)))
    assert before.count(None) == 1
    assert counting.ticks(store.redis, "category", 10, 11) == [Tick(1, {"refund": 1})]


def test_the_first_outcome_stays(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "filled", "confident")])
    store.finish([(decision(), "left_alone", "person_set_it")])
    record = store.ticket(1, "category")
    assert record is not None
    assert (record.outcome, record.reason) == ("filled", "confident")
    assert store.funnel() == {"decided": 1, "eligible": 1, "predicted": 1, "sure": 1, "filled": 1}


def test_what_was_parked_ends_well_only_when_a_person_sends_it_again(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "parked", "no rights")])
    store.finish([(decision(), "filled", "confident")])
    assert [one.record.outcome for one in read(store.redis, 0)] == ["parked"]
    store.reopen([decision()])
    assert [one[0] for one in store.unanswered(time.time(), 9)] == [1], "if its message is lost, it is missed"
    store.finish([(decision(), "filled", "confident")])
    assert [one.record.outcome for one in read(store.redis, 0)] == ["parked", "filled"]
    store.reopen([decision()])
    record = store.ticket(1, "category")
    assert record is not None
    assert record.outcome == "filled"
    assert store.funnel() == {"decided": 1, "eligible": 1, "predicted": 1, "sure": 1, "filled": 1, "parked": 1}


def test_what_is_deferred_comes_back_when_due_and_only_then(store: Store) -> None:
    store.defer(messages.WRITE, [{"n": 1}, {"n": 2}], delay_s=-1, reason="x")
    store.defer(messages.WRITE, [{"n": 3}], delay_s=60, reason="x")
    due = store.due(messages.WRITE, 10)
    assert [payload for _, payload in due] == [{"n": 1}, {"n": 2}]
    assert store.depths()["deferred"] == 3
    store.drop_deferred(messages.WRITE, [handle for handle, _ in due])
    assert store.due(messages.WRITE, 10) == []
    assert store.waiting(messages.WRITE) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_wrong_puts_nothing_aside_for_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + hours * 3600)
    store.defer(messages.WRITE, [{"n": 1}], delay_s=-1, reason="x")
    store.defer(messages.WRITE, [{"n": 2}], delay_s=60, reason="x")
    monkeypatch.undo()
    assert [payload for _, payload in store.due(messages.WRITE, 10)] == [{"n": 1}]
    monkeypatch.setattr(time, "time", lambda: right() + hours * 3600)
    assert [payload for _, payload in store.due(messages.WRITE, 10)] == [{"n": 1}]
    assert store.waiting(messages.WRITE, overdue_s=0.5) == 1


def test_a_message_that_is_deferred_twice_waits_once(store: Store) -> None:
    for _ in range(2):
        store.defer(messages.WRITE, [{"n": 1}], delay_s=-1, reason="x")
    assert len(store.due(messages.WRITE, 10)) == 1


def test_what_is_finished_is_not_unfinished(store: Store) -> None:
    new, open_, done, parked = (decision(number) for number in range(1, 5))
    store.record([open_, done, parked], tick_s=60)
    store.finish([(done, "filled", "confident"), (parked, "parked", "no rights")])
    assert store.unfinished([new, open_, done, parked]) == [new, open_]
    store.reopen([done, parked])
    assert store.unfinished([new, open_, done, parked]) == [new, open_, parked]
    assert store.unfinished([]) == []


def test_a_decision_is_written_by_one_worker_at_a_time(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: store.claim([decision(1), decision(2)]), range(20)))
    assert sum(len(ours) for ours in claimed) == 2
    store.release([decision(1)])
    assert store.claim([decision(1), decision(2)]) == [decision(1)]
    store.finish([(decision(2), "filled", "confident")])
    assert store.claim([decision(2)]) == [decision(2)]


@pytest.mark.parametrize("payload", ["half a pair \ud800", {"bytes": b"x"}, [float("nan")], None])
def test_anything_can_be_parked(store: Store, payload: object) -> None:
    store.park("?", payload, "broken")
    (parked,) = store.parked()
    assert parked.reason == "broken"


def test_the_same_message_is_parked_once_and_dropped_unless_it_came_back(store: Store) -> None:
    store.park(messages.WRITE, {"n": 1}, "no rights")
    (first,) = store.parked()
    store.park(messages.WRITE, {"n": 1}, "still no rights")
    (second,) = store.parked()
    assert (second.id, second.reason) == (first.id, "still no rights")
    store.drop_parked(first)
    assert store.parked() == [second]
    store.drop_parked(second)
    assert store.parked() == []


def test_what_waits_keeps_its_order(store: Store) -> None:
    store.defer(messages.WRITE, [{"n": number} for number in (3, 1, 2, 9, 5)], delay_s=-1, reason="x")
    assert [payload["n"] for _, payload in store.due(messages.WRITE, 10)] == [3, 1, 2, 9, 5]


def test_the_stream_of_decisions_is_bounded_by_number_and_age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis trims by whole nodes of 100 entries."""
    monkeypatch.setattr("integration.store.DECISIONS", 250)
    store.finish([(decision(number), "filled", "confident") for number in range(1000)])
    kept = [one.record.decision.ticket_id for one in read(store.redis, 0)]
    assert 250 <= len(kept) < 350
    assert kept == list(range(1000 - len(kept), 1000))
    monkeypatch.setattr("integration.store.DECISIONS_TTL", -60)
    store.finish([(decision(number), "filled", "confident") for number in range(1000, 1200)])
    assert len(list(read(store.redis, 0))) < 200


def test_parked_messages_keep_their_reason(store: Store) -> None:
    store.park(messages.CLASSIFY, {"ticket_id": 5}, "no rights")
    (parked,) = store.parked()
    assert (parked.task, parked.payload, parked.reason) == (messages.CLASSIFY, {"ticket_id": 5}, "no rights")


def test_the_update_budget_allows_a_burst_and_then_its_rate(store: Store) -> None:
    waits = [store.take_update(600, burst=10) for _ in range(13)]
    assert waits[:10] == [0] * 10
    assert 0 < waits[12] <= 0.1
    time.sleep(0.12)
    assert store.take_update(600, burst=10) == 0


def test_the_update_budget_is_shared(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: store.take_update(1, burst=5), range(40)))
    assert waits.count(0) == 5


def test_nothing_is_sent_while_zendesk_said_wait(store: Store) -> None:
    store.hold_updates(0.3)
    assert 0 < store.take_update(600) <= 0.3
    time.sleep(0.35)
    assert store.take_update(600) == 0


def test_a_lock_is_held_by_one_and_freed(store: Store) -> None:
    with store.lock("x", 10) as first, store.lock("x", 10) as second:
        assert first is not None
        assert second is None
    with store.lock("x", 10) as again:
        assert again is not None


def test_a_lock_can_be_prolonged(store: Store) -> None:
    with store.lock("x", 60) as prolong:
        assert prolong is not None
        store.redis.pexpire("presort:lock:x", 30_000)  # as if half of its life had passed
        prolong()
        assert store.redis.pttl("presort:lock:x") > 50_000
        with store.lock("x", 1) as other:
            assert other is None


def test_a_lock_that_ran_out_is_let_go_in_silence(store: Store) -> None:
    with store.lock("x", 0.05) as held:
        assert held
        time.sleep(0.1)


def test_workers_are_those_heard_of(store: Store) -> None:
    store.beat("b:2")
    store.beat("a:1")
    assert store.workers() == ["a:1", "b:2"]
    store.redis.zincrby("presort:workers", -WORKER_TTL, "a:1")
    assert store.workers() == ["b:2"], "nothing was heard of it for 30 s"
    store.beat("b:2")
    assert store.redis.zrange("presort:workers", 0, -1) == ["b:2"], "and nothing is kept of it"


def test_who_asks_for_workers_does_not_look_at_every_ticket(store: Store) -> None:
    """Metrics and readiness ask every few seconds, beside millions of keys."""
    store.beat("a:1")
    before = store.redis.info("commandstats")
    assert store.workers() == ["a:1"]
    after = store.redis.info("commandstats")
    called = {name for name in after if after[name] != before.get(name)}
    assert called <= {"cmdstat_zrangebyscore", "cmdstat_time", "cmdstat_info"}


@pytest.mark.parametrize("life_s", [0.05, 5])
def test_a_token_lives_as_long_as_told(store: Store, life_s: float) -> None:
    store.save_token("client", "secret", life_s)
    time.sleep(0.1)
    assert store.token("client") == ("secret" if life_s > 1 else None)


def test_every_key_has_our_prefix(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "filled", "confident")])
    awaited(store, 1, 600.0)
    store.defer(messages.WRITE, [{}], delay_s=1, reason="x")
    store.claim([decision(9)])
    store.park(messages.WRITE, {}, "x")
    store.hold_updates(1)
    store.take_update(1)
    assert [key for key in store.redis.scan_iter() if not str(key).startswith("presort:")] == []
