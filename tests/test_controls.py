"""Kill switch, day's cap and demotions, on a real Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from integration.controls import Controls
from integration.settings import Zendesk
from integration.store import Store

NOON = 1_800_000_000.0 // 86_400 * 86_400 + 43_200
DAY = 86_400
UNLIMITED = Zendesk(subdomain="acme", client_id="presort")
CAPPED = Zendesk(subdomain="acme", client_id="presort", writes_per_day=5)


@pytest.fixture
def controls(store: Store) -> Controls:
    return Controls(store.redis)


def test_a_pause_holds_everybody_until_a_person_ends_it(store: Store, controls: Controls) -> None:
    assert controls.refusal(UNLIMITED, NOON) is None
    assert controls.throw(paused=True, by="anna", reason="wrong categories") is None
    other = Controls(store.redis)
    assert other.refusal(UNLIMITED, NOON) == "paused by anna"
    assert other.admit([1, 2], UNLIMITED, NOON) == (frozenset(), "paused by anna", False)
    before = other.throw(paused=False, by="ben")
    assert before is not None
    assert (before.paused, before.by, before.reason) == (True, "anna", "wrong categories")
    assert controls.admit([1, 2], UNLIMITED, NOON) == (frozenset({1, 2}), None, False)
    said = [(one.by, one.what) for one in controls.changes()]
    assert said == [("ben", "resumed all writes"), ("anna", "paused all writes: wrong categories")]


def test_a_pause_that_redis_lost_is_put_back_by_who_saw_it(store: Store, controls: Controls) -> None:
    controls.throw(paused=True, by="anna")
    worker = Controls(store.redis)
    assert worker.refusal(UNLIMITED, NOON)
    store.redis.flushall()
    assert worker.refusal(UNLIMITED, NOON) == "paused by anna"
    assert Controls(store.redis).refusal(UNLIMITED, NOON) == "paused by anna"
    Controls(store.redis).throw(paused=False, by="ben")
    assert worker.refusal(UNLIMITED, NOON) is None
    store.redis.flushall()
    assert worker.refusal(UNLIMITED, NOON) is None


def test_a_redis_that_comes_back_with_an_older_state_ends_no_pause(store: Store, controls: Controls) -> None:
    """As a snapshot of before the pause does; `presort resume` does, by whatever clock."""
    controls.throw(paused=False, by="anna")
    snapshot = str(store.redis.get("presort:switch"))
    controls.throw(paused=True, by="ben")
    worker = Controls(store.redis)
    assert worker.refusal(UNLIMITED, NOON)
    store.redis.set("presort:switch", snapshot)
    assert worker.refusal(UNLIMITED, NOON) == "paused by ben"
    assert Controls(store.redis).refusal(UNLIMITED, NOON) == "paused by ben"


def test_a_resume_that_comes_while_a_lost_pause_is_put_back_holds(
    store: Store, controls: Controls, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls.throw(paused=True, by="anna")
    worker = Controls(store.redis)
    assert worker.refusal(UNLIMITED, NOON)
    store.redis.flushall()
    log = "integration.controls.log.error"
    monkeypatch.setattr(log, lambda _: Controls(store.redis).throw(paused=False, by="ben"))
    assert worker.refusal(UNLIMITED, NOON)
    assert worker.refusal(UNLIMITED, NOON) is None


def test_a_clock_that_is_behind_does_not_undo_a_resume(
    store: Store, controls: Controls, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls.throw(paused=True, by="anna")
    worker = Controls(store.redis)
    assert worker.refusal(UNLIMITED, NOON)
    monkeypatch.setattr("integration.controls.time.time", lambda: 1.0)
    Controls(store.redis).throw(paused=False, by="ben")
    assert worker.refusal(UNLIMITED, NOON) is None


def test_a_pause_in_the_settings_needs_no_redis(store: Store, controls: Controls) -> None:
    paused = Zendesk(subdomain="acme", client_id="presort", paused=True)
    assert controls.refusal(paused, NOON) == "paused in presort.toml"
    assert controls.admit([1], paused, NOON).tickets == frozenset()
    assert store.redis.dbsize() == 0


def test_the_cap_counts_a_ticket_once_a_day_and_ends_at_midnight(store: Store, controls: Controls) -> None:
    assert controls.admit([1, 2, 3], CAPPED, NOON) == (frozenset({1, 2, 3}), None, False)
    assert DAY < store.redis.ttl(str(store.redis.keys("presort:written:*")[0])) <= 2 * DAY
    assert controls.admit([3, 1], CAPPED, NOON) == (frozenset({1, 3}), None, False)
    admitted, refusal, filled_up = controls.admit([3, 4, 5, 6, 7], CAPPED, NOON)
    assert (admitted, filled_up) == (frozenset({3, 4, 5}), True)
    assert refusal == controls.refusal(CAPPED, NOON) == "today's cap of 5 tickets (UTC) is reached"
    assert controls.admit([5, 8], CAPPED, NOON)[::2] == (frozenset({5}), False)
    assert (controls.written_on(NOON), controls.written_on(NOON + DAY)) == (5, 0)
    assert controls.refusal(CAPPED, NOON + DAY / 2 - 1)
    assert controls.refusal(CAPPED, NOON + DAY / 2) is None
    assert controls.admit([6, 7], CAPPED, NOON + DAY / 2).tickets == {6, 7}


def test_many_workers_share_one_cap(controls: Controls) -> None:
    with ThreadPoolExecutor(8) as pool:
        admissions = list(pool.map(lambda n: controls.admit([n, 100 + n], CAPPED, NOON), range(40)))
    assert sum(len(one.tickets) for one in admissions) == 5
    assert [one.filled_up for one in admissions].count(True) == 1


def test_a_demotion_is_told_once_and_ended_by_a_person(controls: Controls) -> None:
    assert controls.demote("category", "a/b", "61 of 90 right")
    assert not controls.demote("category", "a/b", "60 of 90 right")
    assert {place: one.reason for place, one in controls.demotions().items()} == {("category", "a/b"): "61 of 90 right"}
    assert controls.restore("category", "a/b", by="anna")
    assert not controls.restore("category", "a/b", by="anna")
    assert controls.demotions() == {}
    assert [one.by for one in controls.changes()] == ["anna", "Presort"]
    assert controls.demote("category", "a/b", "again")


def test_what_is_remembered_of_changes_is_bounded(store: Store, controls: Controls) -> None:
    for number in range(205):
        controls.demote("category", str(number), "x")
    assert store.redis.llen("presort:changes") == len(controls.changes()) == 200
    assert controls.changes()[0].what == "demoted category/204: x"
