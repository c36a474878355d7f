"""What counts, once, in which tick and hour, and how it is read back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from integration import alerting, counting
from integration.counting import DAY, HOUR, Change, Served
from integration.messages import Decision
from integration.records import Tick
from integration.store import Store
from integration.usual import Baseline, Row, baseline, publish

BEGAN = 1_000_000 * HOUR
"""A whole hour: counting begins with it, unless a test says otherwise."""

FIRST = BEGAN // HOUR


def decision(ticket_id: int, created_at: float = BEGAN + 5, **more: object) -> Decision:
    base = Decision(
        id=f"d{ticket_id}",
        ticket_id=ticket_id,
        classifier="category",
        action="fill",
        reason="confident",
        category="refund",
        confidence=0.9,
        threshold=0.8,
        model="m@1",
        created_at=created_at,
        received_at=created_at + 1,
        decided_at=created_at + 2,
    )
    return msgspec.structs.replace(base, **more)


@pytest.fixture
def counted(store: Store) -> Store:
    """Counting began on the hour."""
    store.redis.set("presort:counting_began:category", BEGAN)
    return store


def record(store: Store, *decisions: Decision) -> None:
    store.record(decisions, tick_s=60)


def ticks(store: Store, tick: int = BEGAN // 60) -> Tick:
    return counting.ticks(store.redis, "category", tick, tick + 1)[0]


def hours(store: Store, hour: int = FIRST) -> dict[str, int]:
    return counting.hours(store.redis, "category", hour, hour + 1)[0]


def test_what_an_earlier_release_left_is_not_misread(store: Store) -> None:
    """It kept a tick's number where counting began, which as a second would promise half a year of silence."""
    store.redis.set("presort:counting_since:category", int(BEGAN // 60))
    store.redis.hset("presort:count:category:1", mapping={"refund": 3})
    store.redis.lpush("presort:samples:category:refund", 7)
    alert = b'{"id": "a", "classifier": "category", "category": "refund", "told": {"ab12": "firing"}}'
    store.redis.hset("presort:alerts", "category/refund", alert)
    store.redis.lpush("presort:alert_log", alert)
    assert counting.counting_since(store.redis, "category") is None
    record(store, decision(1))
    assert counting.counting_since(store.redis, "category") == FIRST + 1
    assert alerting.known(store.redis, "category") == []


# What counts


def test_a_ticket_counts_in_the_tick_and_the_hour_of_its_creation_however_late_it_is_decided(counted: Store) -> None:
    record(counted, decision(1, BEGAN + 5), decision(2, BEGAN + 65), decision(3, BEGAN + 7, decided_at=BEGAN + 3000))
    assert counting.ticks(counted.redis, "category", BEGAN // 60, BEGAN // 60 + 2) == [
        Tick(2, {"refund": 2}),
        Tick(1, {"refund": 1}),
    ]
    assert counting.hours(counted.redis, "category", FIRST - 1, FIRST + 2) == [{}, {"refund": 3}, {}]


def test_a_ticket_with_several_labels_counts_under_each_and_is_one_ticket(counted: Store) -> None:
    both, two = decision(1, values=("refund", "delivery")), decision(2, values=("delivery",), category="delivery")
    record(counted, both, both, two, decision(3, values=()), decision(4))
    assert ticks(counted) == Tick(3, {"refund": 2, "delivery": 2})
    assert hours(counted) == {"refund": 2, "delivery": 2, "": -1}, "all values add up to tickets"
    assert sum(hours(counted).values()) == 3


def test_old_tickets_and_imports_are_no_news(store: Store) -> None:
    record(store, decision(1, backfill=True), decision(2, news=False))
    assert (ticks(store), hours(store), counting.began(store.redis, "category")) == (Tick(0, {}), {}, None)


def test_what_is_decided_after_days_of_an_outage_is_history_and_no_news(counted: Store) -> None:
    record(counted, decision(1, decided_at=BEGAN + 3 * DAY))
    assert ticks(counted) == Tick(0, {}), "nobody may be called for what was three days ago"
    assert hours(counted) == {"refund": 1}


def test_only_hours_that_are_counted_whole_are_history(store: Store) -> None:
    """The hour in which counting began has lost its first tickets; and hours before are a rebuild's to count."""
    begin = BEGAN + 1800
    record(store, decision(1, begin), decision(2, begin - 2 * HOUR, decided_at=begin), decision(3, BEGAN + HOUR))
    assert counting.began(store.redis, "category") == begin + 2
    assert counting.counting_since(store.redis, "category") == FIRST + 1
    assert counting.hours(store.redis, "category", FIRST - 2, FIRST + 2) == [{}, {}, {}, {"refund": 1}]
    assert ticks(store, int(begin // 60)) == Tick(1, {"refund": 1})


def test_counts_live_longer_than_they_are_looked_at(counted: Store) -> None:
    record(counted, decision(1))
    ttl = {str(key).split(":")[1]: counted.redis.ttl(key) for key in counted.redis.scan_iter("presort:*:refund*")}
    assert ttl == {"ticks": 3 * DAY, "hours": 28 * 7 * DAY, "newest": 8 * DAY}


def test_series_go_on_across_their_blocks_and_through_silence(counted: Store) -> None:
    at = [0, 167, 168, 400]
    record(counted, *(decision(place, (168 * 6000 + hour) * HOUR) for place, hour in enumerate(at)))
    counted.redis.delete("presort:counting_began:category")
    (row, silent) = counting.series(
        counted.redis, "hours", "category", ["refund", "never"], first=168 * 6000 - 5, last=168 * 6000 + 500
    )
    assert [place - 5 for place, tickets in enumerate(row) if tickets] == at
    assert (len(row), list(silent)) == (505, [0] * 505)


# What is taken back


def test_spam_is_taken_back_once_from_wherever_it_counted(counted: Store) -> None:
    spam, good = decision(1, values=("refund", "delivery")), decision(2)
    record(counted, spam, good)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: counting.uncount(counted.redis, [spam], tick_s=60), range(20)))
    assert sum(taken) == 1
    assert (ticks(counted), hours(counted)) == (Tick(1, {"refund": 1}), {"refund": 1})
    assert counting.newest(counted.redis, "category", "refund", limit=9) == [2]


def test_what_never_counted_is_not_taken_back(store: Store) -> None:
    """Nor hours of it, when it came before the first whole one."""
    first = decision(1, BEGAN + 1800)
    record(store, first, decision(2, backfill=True))
    assert counting.uncount(store.redis, [first, decision(2, backfill=True)], tick_s=60) == 1
    assert (ticks(store, BEGAN // 60 + 30), hours(store)) == (Tick(0, {}), {})


# What a rebuild adds


def test_a_rebuild_reaches_back_when_all_of_its_hours_are_there(counted: Store) -> None:
    counting.add(
        counted.redis, "hours", "category", {(FIRST - 9, "refund"): 3, (FIRST - 9, "delivery"): 2, (FIRST - 9, ""): -1}
    )
    counting.add(counted.redis, "hours", "category", {(FIRST - 9, "refund"): 1})
    assert hours(counted, FIRST - 9) == {"refund": 4, "delivery": 2, "": -1}
    assert counting.counting_since(counted.redis, "category") == FIRST
    counting.reach_back(counted.redis, "category", FIRST - 10, Change(at=BEGAN, kind="rebuilt"))
    assert counting.counting_since(counted.redis, "category") == FIRST - 10
    assert counting.began(counted.redis, "category") == BEGAN


def test_a_rebuilds_counts_go_with_its_cursor_or_not_at_all(store: Store) -> None:
    pipe = store.redis.pipeline()
    counting.add(pipe, "hours", "category", {(FIRST, "refund"): 1})
    assert hours(store) == {}
    pipe.set("presort:cursor", "next")
    pipe.execute()
    assert hours(store) == {"refund": 1}


# The newest tickets


def test_the_newest_are_those_created_last_whenever_they_were_decided(counted: Store) -> None:
    record(
        counted,
        decision(3, BEGAN + 30),
        decision(1, BEGAN + 10),
        decision(2, BEGAN + 20, values=("refund", "delivery")),
    )

    def newest(category: str, **more: float) -> list[int]:
        return counting.newest(counted.redis, "category", category, limit=2, **more)

    assert newest("refund") == [3, 2]
    assert newest("refund", until=BEGAN + 29) == [2, 1]
    assert newest("refund", since=BEGAN + 15) == [3, 2]
    assert newest("refund", since=BEGAN + 11, until=BEGAN + 20.5) == [2]
    assert newest("delivery") == [2]
    assert newest("*") == [3, 2]


def test_some_two_hundred_are_remembered(counted: Store) -> None:
    record(counted, *(decision(number, BEGAN + number) for number in range(300)))
    assert counting.newest(counted.redis, "category", "refund", limit=999) == list(range(299, 99, -1))


# What changed, what answers, what is usual


def test_changes_are_remembered_newest_first(store: Store) -> None:
    for number in range(205):
        counting.mark(store.redis, "category", Change(at=number, kind="model", detail=f"m@{number}"))
    found = counting.changes(store.redis, "category")
    assert (len(found), found[0].at, found[-1].at) == (200, 204, 5)
    assert counting.changes(store.redis, "topic") == []


def test_what_answers_and_what_is_usual_is_shared(store: Store) -> None:
    assert counting.served(store.redis, "category") is None
    assert baseline(store.redis, "category") is None
    state = Served(seen={"m@1 abc": 5.0}, labels={"refund": 0.0})
    row = Row(row="refund", name="Refund", rate=(1.5,) * 168, error=(0.1,) * 168, dispersion=(0.05, 0.02), weeks=2.0)
    counting.save_served(store.redis, "category", state)
    publish(store.redis, "category", Baseline(until=FIRST, changed_at=0.0, rows=[row]))
    assert counting.served(store.redis, "category") == state
    learned = baseline(store.redis, "category")
    assert learned is not None
    assert learned.rows == [row]


def test_half_a_year_of_500_categories_is_read_in_few_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command holds up everybody else: at most ``MGET`` keys each."""
    monkeypatch.setattr(counting, "MGET", 50)
    rows = [f"c{number}" for number in range(40)]
    counting.add(store.redis, "hours", "category", {(FIRST + 200, row): place for place, row in enumerate(rows)})
    found = counting.series(store.redis, "hours", "category", rows, first=FIRST, last=FIRST + 500)
    assert [row[200] for row in found] == list(range(40))
    assert sum(map(sum, found)) == sum(range(40))


def test_every_key_has_our_prefix(store: Store) -> None:
    one = decision(1, time.time())
    record(store, one)
    counting.uncount(store.redis, [one], tick_s=60)
    counting.add(store.redis, "ticks", "category", {(1, "refund"): 1})
    counting.reach_back(store.redis, "category", 1, Change(at=1.0, kind="rebuilt"))
    counting.save_served(store.redis, "category", Served(seen={}, labels={}))
    publish(store.redis, "category", Baseline(until=1, changed_at=0.0, rows=[]))
    assert [key for key in store.redis.scan_iter() if not str(key).startswith("presort:")] == []
