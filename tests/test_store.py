"""What is in Redis, and that races and losses leave it right."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from integration import messages
from integration.messages import Decision
from integration.store import Alert, Store


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


def alert(**more: object) -> Alert:
    base = Alert(
        id="a",
        classifier="category",
        category="refund",
        name="Refund",
        opened_at=1.0,
        started_at=0.0,
        observed=10,
        expected=1.0,
        window_s=60,
        once_in_weeks=9,
    )
    return msgspec.structs.replace(base, **more)


def test_a_decision_is_recorded_and_counted_once(store: Store) -> None:
    assert store.record([decision(1), decision(2)], tick_s=60) == [None, None]
    first, new = store.record([decision(1, id="other"), decision(3)], tick_s=60)
    assert first is not None
    assert first.decision.id == "d1"
    assert new is None
    assert store.counts("category", 10, 11) == [{"refund": 3}]
    assert store.samples("category", "refund", 2) == [3, 2]
    assert store.funnel()["decided"] == 3


def test_an_unsure_decision_is_recorded_but_not_counted(store: Store) -> None:
    store.record([decision(confidence=0.7), decision(2, category=None, confidence=None)], tick_s=60)
    assert store.counts("category", 10, 11) == [{}]
    assert store.funnel()["decided"] == 2


def test_many_workers_recording_the_same_ticket_count_it_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        before = list(pool.map(lambda n: store.record([decision(id=f"d{n}")], tick_s=60)[0], range(40)))
    assert before.count(None) == 1
    assert store.counts("category", 10, 11) == [{"refund": 1}]


def test_the_first_outcome_stays(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "filled", "confident")])
    store.finish([(decision(), "left_alone", "person_set_it")])
    record = store.ticket(1, "category")
    assert record is not None
    assert (record.outcome, record.reason) == ("filled", "confident")
    assert store.funnel() == {"decided": 1, "filled": 1}


def test_what_was_parked_may_still_end_well(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "parked", "no rights")])
    store.finish([(decision(), "filled", "confident")])
    record = store.ticket(1, "category")
    assert record is not None
    assert record.outcome == "filled"
    assert store.funnel() == {"decided": 1, "filled": 1, "parked": 0}


def test_what_is_deferred_comes_back_when_due_and_only_then(store: Store) -> None:
    store.defer(messages.WRITE, {"n": 1}, delay_s=-1, reason="x")
    store.defer(messages.WRITE, {"n": 1}, delay_s=-1, reason="x")
    store.defer(messages.WRITE, {"n": 2}, delay_s=60, reason="x")
    due = store.due(messages.WRITE, 10)
    assert [one.payload for _, one in due] == [{"n": 1}, {"n": 1}]
    assert store.depths()["deferred"] == 3
    store.drop_deferred(messages.WRITE, [handle for handle, _ in due])
    assert store.due(messages.WRITE, 10) == []
    assert store.waiting(messages.WRITE) == 1


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


def test_one_of_two_watchers_opens_an_alert(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda n: store.open_alert(alert(id=str(n))), range(20)))
    assert opened.count(True) == 1
    assert len(store.alerts()) == 1


def test_an_alert_moves_to_the_log(store: Store) -> None:
    store.open_alert(alert())
    store.save_alert(alert(observed=12))
    assert store.alerts()["category/refund"].observed == 12
    store.close_alert(alert(state="resolved"))
    assert store.alerts() == {}
    assert [one.state for one in store.alert_log()] == ["resolved"]


def test_a_lock_is_held_by_one_and_freed(store: Store) -> None:
    with store.lock("x", 10) as first, store.lock("x", 10) as second:
        assert (first, second) == (True, False)
    with store.lock("x", 10) as again:
        assert again


def test_a_lock_that_ran_out_is_let_go_in_silence(store: Store) -> None:
    with store.lock("x", 0.05) as held:
        assert held
        time.sleep(0.1)


def test_workers_are_those_heard_of(store: Store) -> None:
    store.beat("b:2")
    store.beat("a:1")
    assert store.workers() == ["a:1", "b:2"]
    assert 0 < store.redis.ttl("presort:worker:a:1") <= 30


@pytest.mark.parametrize("life_s", [0.05, 5])
def test_a_token_lives_as_long_as_told(store: Store, life_s: float) -> None:
    store.save_token("client", "secret", life_s)
    time.sleep(0.1)
    assert store.token("client") == ("secret" if life_s > 1 else None)


def test_every_key_has_our_prefix(store: Store) -> None:
    store.record([decision()], tick_s=60)
    store.finish([(decision(), "filled", "confident")])
    store.mark_delivered("x")
    store.defer(messages.WRITE, {}, delay_s=1, reason="x")
    store.park(messages.WRITE, {}, "x")
    store.open_alert(alert())
    store.hold_updates(1)
    store.take_update(1)
    assert [key for key in store.redis.scan_iter() if not str(key).startswith("presort:")] == []
