"""The newest ticks as rows: labels, parents, all tickets."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from integration import counting, settings
from tests.worker.conftest import SURE, Desk
from worker.counted import HISTORY, counted, parents, rolled_up
from worker.parts import Parts

NOW = 1_800_000_000 // 3600 * 3600 + 1800.0
TICK = int(NOW // 60)
LATE = settings.Spikes().late_ticks


def look(parts: Parts, now: float = NOW) -> dict[str, list[int]]:
    """Row to tickets by tick."""
    (classifier,) = parts.config.classifiers
    seen = counted(parts, classifier, now)
    assert seen.tickets.tolist() == seen.counts[-1].tolist()
    assert (len(seen.rows), len(seen.names)) == (len(seen.counts), len(seen.counts))
    return dict(zip(seen.rows, seen.counts.tolist(), strict=True))


def add(parts: Parts, counts: dict[tuple[int, str], int], began: float = NOW - 7 * 86400) -> None:
    parts.store.redis.set("presort:counting_began:category", began)
    counting.add(parts.store.redis, "ticks", "category", counts)


def test_every_label_has_a_row_and_so_have_parents_and_all_tickets(parts: Parts) -> None:
    (classifier,) = parts.config.classifiers
    add(parts, {(TICK - 10, "refund_request"): 2, (TICK - 10, "delivery_delay"): 3, (TICK - 10, ""): -1})
    seen = counted(parts, classifier, NOW)
    labels = parts.predictors["category"].manifest.labels
    above = [row for row in seen.rows if row.endswith("::*")]
    assert seen.rows == [*(label.value for label in labels), *above, "*"]
    assert seen.names[: len(labels)] == [label.name for label in labels]
    assert (seen.names[seen.rows.index("Orders::*")], seen.names[-1]) == ("Orders (all)", "All tickets")
    assert seen.counts.shape == (len(seen.rows), HISTORY)
    sums = dict(zip(seen.rows, seen.counts.sum(axis=1).tolist(), strict=True))
    assert {row: tickets for row, tickets in sums.items() if tickets} == {
        "refund_request": 2,
        "delivery_delay": 3,
        "Orders::*": 5,
        "*": 4,
    }, "one ticket has both: among all tickets it is one"


def test_workers_look_by_redis_s_clock_not_by_their_own(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is ten minutes ahead would find the last ten minutes empty, and call for it."""
    assert abs(parts.clock() - time.time()) < 60
    monkeypatch.setattr(parts.store.redis, "time", lambda: (1_800_000_000, 250_000))
    assert parts.clock() == 1_800_000_000.25


def test_the_newest_ticks_wait_for_late_tickets(parts: Parts) -> None:
    add(parts, {(tick, "refund_request"): 1 for tick in range(TICK - 5, TICK + 1)})
    row = look(parts)["refund_request"]
    assert (row[-(6 - LATE) :], sum(row)) == ([0, 1, 1, 1], 3)
    assert look(parts, NOW + 60 * LATE)["refund_request"][-1] == 1


def test_a_ticket_that_comes_late_counts_where_it_was_created(desk: Desk) -> None:
    """Its tick may have been judged already: the windows that hold it are looked at again."""
    parts, now = desk.parts, time.time()
    parts.store.redis.set("presort:counting_began:category", now - 86400)
    ticket = msgspec.structs.replace(desk.file(), created_at=now - 3600)
    desk.classify(ticket)
    row = look(parts, now)[SURE[2]]
    last = int(now // 60) - LATE
    assert [last - len(row) + place for place, tickets in enumerate(row) if tickets] == [int((now - 3600) // 60)]


def test_ticks_before_counting_began_are_unknown_and_not_empty(parts: Parts) -> None:
    add(parts, {}, began=NOW - 600)
    assert len(look(parts)["*"]) == 10 - LATE - 1, "nor is the tick in which it began whole"


def test_nothing_is_seen_before_the_first_decision(parts: Parts) -> None:
    assert look(parts)["*"] == []


def test_a_label_that_the_model_lost_has_no_row_and_is_among_all(parts: Parts) -> None:
    add(parts, {(TICK - 10, "gone"): 5})
    seen = look(parts)
    assert "gone" not in seen
    assert sum(seen["*"]) == 5


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A::x", "A::y", "B"], {"A::*": [0, 1]}),
        (["A::x", "B::y", "C"], {}),
        (["A::x", "A::y"], {}),
        (["A::B::x", "A::B::y", "A::C", "D"], {"A::*": [0, 1, 2], "A::B::*": [0, 1]}),
        (["A::B::x", "A::B::y", "D"], {"A::B::*": [0, 1]}),
        (["A", "AB", "A:x", "B"], {}),
    ],
)
def test_a_parent_is_told_apart_from_its_children_and_from_all(names: Sequence[str], expected: object) -> None:
    assert parents(names) == expected


def test_small_counts_stay_small() -> None:
    """A back-test holds half a year of minutes."""
    counts = np.array([[1, 2], [3, 4], [0, 1]], dtype=np.uint16)
    rows, whole = rolled_up(["A::x", "A::y", "B"], counts, counts.sum(axis=0, dtype=np.uint16))
    assert rows == ["A::x", "A::y", "B", "A::*", "*"]
    assert whole.dtype == np.uint16
    assert whole[3:].tolist() == [[4, 6], [4, 7]]
