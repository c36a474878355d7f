"""What is usual: learned from whole hours in the account's time, not from spikes; what holds a category back."""

from __future__ import annotations

from datetime import date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from integration import alerting, counting, settings, usual
from integration.counting import DAY, HOUR, Change
from integration.records import Alert
from model_export.bundle.manifest import Label
from tests.worker.history import WEEK, add_hours, past_hours, rebuilt
from worker import baselines, calendar
from worker.baselines import Expected
from worker.counted import counted
from worker.parts import Parts

NOW = 500_000 * HOUR + 1800.0
"""Half past an hour, so that no test crosses one by chance."""

HOUR_NOW = int(NOW // HOUR)
REFUND, DELIVERY, ORDERS, ALL = "refund_request", "delivery_delay", "Orders::*", "*"
RATES = {REFUND: 6, DELIVERY: 12}


def look(parts: Parts, now: float = NOW) -> Expected | None:
    (classifier,) = parts.config.classifiers
    seen = counted(parts, classifier, now)
    found = baselines.expected(parts, classifier, seen, now)
    if found is not None:
        assert found.rows == seen.rows
        assert found.expected.shape == seen.counts.shape
    return found


def rates(parts: Parts, now: float = NOW) -> dict[str, float]:
    """Row to tickets an hour expected at the newest tick."""
    found = look(parts, now)
    assert found is not None
    return {row: float(per_tick[-1]) * 60 for row, per_tick in zip(found.rows, found.expected, strict=True)}


def weeks(parts: Parts, now: float = NOW) -> dict[str, float]:
    found = look(parts, now)
    assert found is not None
    return dict(zip(found.rows, found.weeks.tolist(), strict=True))


def held(parts: Parts, now: float = NOW) -> dict[str, str]:
    """Of the rows that have ever had a ticket."""
    found = look(parts, now)
    assert found is not None
    return {
        row: found.held[row] for row, weeks in zip(found.rows, found.weeks, strict=True) if weeks and row in found.held
    }


def alert(**more: object) -> Alert:
    base = Alert(
        id="a",
        classifier="category",
        category=REFUND,
        name="Refund",
        opened_at=NOW - 2 * DAY,
        started_at=NOW - 2 * DAY,
        observed=10,
        expected=1.0,
        window_s=60,
        once_in_weeks=9,
    )
    return msgspec.structs.replace(base, **more)


# Learning


def test_nothing_is_expected_before_a_whole_hour_was_counted(parts: Parts) -> None:
    assert look(parts) is None
    parts.store.redis.set("presort:counting_began:category", NOW - 600)
    assert look(parts) is None
    assert look(parts, NOW + HOUR) is None, "the hour in which counting began is not whole"
    assert look(parts, NOW + 2 * HOUR) is not None


def test_rows_parents_and_all_tickets_are_expected_at_their_rates(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    found = rates(parts)
    assert [found[row] for row in (REFUND, DELIVERY, ORDERS, ALL)] == pytest.approx([6, 12, 18, 18], rel=0.1)
    assert found["data_privacy"] < 0.05
    assert held(parts) == {}


def test_a_category_does_not_fire_from_zero(parts: Parts) -> None:
    """The model knew the label all along; its weeks begin with its first ticket."""
    past_hours(parts, NOW, 8, RATES)
    before = look(parts)
    assert before is not None
    assert (before.held["data_privacy"], weeks(parts)["data_privacy"]) == ("learning", 0)
    add_hours(parts, range(HOUR_NOW, HOUR_NOW + 8 * 24), RATES)
    add_hours(parts, [HOUR_NOW, HOUR_NOW + 1], {"data_privacy": 3})
    assert held(parts, NOW + 6 * DAY)["data_privacy"] == "learning"
    assert "data_privacy" not in held(parts, NOW + 8 * DAY)


def test_each_hour_of_the_local_week_has_its_own_rate_through_a_change_of_clocks(parts: Parts) -> None:
    """Nine o'clock is nine o'clock for customers: before and after Berlin's clocks went back on 25 October 2026."""
    zone = "Europe/Berlin"
    parts.config = msgspec.structs.replace(
        parts.config, zendesk=msgspec.structs.replace(parts.config.zendesk, time_zone=zone)
    )
    now = datetime(2026, 10, 29, 9, 30, tzinfo=ZoneInfo(zone)).timestamp()
    hours = np.arange(int(now // HOUR) - 6 * WEEK, int(now // HOUR))
    past_hours(parts, now, 6, {})
    add_hours(parts, hours[calendar.slots(hours, zone) % 24 == 9].tolist(), {REFUND: 60})
    assert rates(parts, now)[REFUND] > 30
    assert rates(parts, now + 2 * HOUR)[REFUND] < 5


def test_on_a_holiday_a_sunday_is_expected(parts: Parts) -> None:
    now = datetime(2026, 12, 25, 10, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    hours = np.arange(int(now // HOUR) - 6 * WEEK, int(now // HOUR))
    past_hours(parts, now, 6, {})
    add_hours(parts, hours[calendar.slots(hours, "UTC") < 144].tolist(), {REFUND: 30})
    assert rates(parts, now)[REFUND] == pytest.approx(30, rel=0.2)
    spikes = settings.Spikes(holidays=(date(2026, 12, 25),))
    parts.config = msgspec.structs.replace(parts.config, spikes=spikes)
    parts.store.redis.delete("presort:baseline:category")
    assert rates(parts, now)[REFUND] < 3


@pytest.mark.parametrize(
    ("ended", "expected"), [({}, 6), ({"state": "resolved", "resolved_at": NOW - DAY}, 6)], ids=["open", "ended"]
)
def test_a_spike_does_not_become_the_usual(parts: Parts, ended: dict[str, object], expected: float) -> None:
    past_hours(parts, NOW, 4, RATES)
    assert alerting.save(parts.store.redis, alert(**ended), over=0)
    add_hours(parts, range(HOUR_NOW - 48, HOUR_NOW - 24), {REFUND: 200})
    found = rates(parts)
    assert found[REFUND] == pytest.approx(expected, rel=0.1)
    hours = 48 if not ended else 25
    assert weeks(parts)[REFUND] == pytest.approx(4 - hours / WEEK, abs=2 / WEEK)
    assert weeks(parts)[DELIVERY] == 4


def test_one_that_has_settled_is_the_usual_from_then_on(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    add_hours(parts, range(HOUR_NOW - 3 * 24, HOUR_NOW), {REFUND: 54})
    settled = alert(state="settled", started_at=NOW - 3 * DAY, resolved_at=NOW - 2 * DAY)
    assert alerting.save(parts.store.redis, settled, over=0)
    found = rates(parts)
    assert [found[row] for row in (REFUND, DELIVERY, ORDERS, ALL)] == pytest.approx([60, 12, 72, 72], rel=0.1)


def test_hours_in_which_nothing_at_all_came_teach_nothing_where_many_are_usual(parts: Parts) -> None:
    """Presort, or Zendesk, was down for two days."""
    past_hours(parts, NOW, 4, {})
    up = [hour for hour in range(HOUR_NOW - 4 * WEEK, HOUR_NOW) if not HOUR_NOW - 60 <= hour < HOUR_NOW - 12]
    add_hours(parts, up, {REFUND: 20})
    assert weeks(parts)[REFUND] == pytest.approx(4 - 48 / WEEK)
    assert rates(parts)[REFUND] == pytest.approx(20, rel=0.05)


def test_quiet_nights_of_a_small_account_do_teach(parts: Parts) -> None:
    past_hours(parts, NOW, 4, {})
    add_hours(parts, range(HOUR_NOW - 4 * WEEK, HOUR_NOW, 2), {REFUND: 1})
    assert weeks(parts)[REFUND] == 4


# What holds back


def test_a_category_learns_first(parts: Parts) -> None:
    past_hours(parts, NOW, 0.9, RATES)
    assert set(held(parts).values()) == {"learning"}
    assert held(parts).keys() == {REFUND, DELIVERY, ORDERS, ALL}


def test_after_a_rebuild_of_lost_counts_alerts_are_back_at_once(parts: Parts) -> None:
    past_hours(parts, NOW, 12 / WEEK, RATES)
    assert set(held(parts).values()) == {"learning"}
    first = HOUR_NOW - 4 * WEEK
    add_hours(parts, range(first, HOUR_NOW - 12), RATES)
    assert set(held(parts).values()) == {"learning"}, "half a rebuild would teach half of the rates"
    rebuilt(parts, NOW, first)
    assert held(parts) == {}
    assert rates(parts)[REFUND] == pytest.approx(6, rel=0.1)


def serve(parts: Parts, *, version: str, labels: tuple[Label, ...] | None = None) -> None:
    """Swap the model for one that differs by this only."""
    manifest = parts.predictors["category"].manifest

    other = msgspec.structs.replace(manifest, version=version, labels=labels or manifest.labels)
    parts.__dict__["predictors"] = {"category": SimpleNamespace(manifest=other)}


def test_a_promotion_holds_every_category_for_a_day_and_its_level_is_learned_anew(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    assert held(parts) == {}
    serve(parts, version="promoted")
    assert set(held(parts).values()) == {"model_changed"}
    later = NOW + 25 * HOUR
    add_hours(parts, range(HOUR_NOW + 1, HOUR_NOW + 25), {REFUND: 18, DELIVERY: 4})
    assert set(held(parts, NOW + 23 * HOUR).values()) == {"model_changed"}
    assert held(parts, later) == {}
    found = rates(parts, later)
    assert (found[REFUND], found[DELIVERY]) == pytest.approx((18, 4), rel=0.1)
    (change,) = counting.changes(parts.store.redis, "category")
    assert (change.kind, change.at) == ("model", NOW)


def test_a_new_label_learns_alone_and_does_not_fire_from_zero(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    held(parts)
    labels = parts.predictors["category"].manifest.labels
    serve(parts, version="more", labels=(*labels, Label("warranty", "Orders::Warranty")))
    assert set(held(parts).values()) == {"taxonomy_changed"}
    later = NOW + 3 * DAY
    add_hours(parts, range(HOUR_NOW, HOUR_NOW + 72), {**RATES, "warranty": 3})
    assert held(parts, later) == {"warranty": "learning"}
    assert weeks(parts, later)["warranty"] == pytest.approx(71 / WEEK)
    add_hours(parts, range(HOUR_NOW + 72, HOUR_NOW + 8 * 24), {**RATES, "warranty": 3})
    assert held(parts, NOW + 8 * DAY) == {}
    assert rates(parts, NOW + 8 * DAY)["warranty"] == pytest.approx(3, rel=0.15)


def test_a_model_that_is_swapped_between_reading_and_learning_is_looked_at_the_next_time(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    (classifier,) = parts.config.classifiers
    seen = counted(parts, classifier, NOW)
    labels = parts.predictors["category"].manifest.labels
    serve(parts, version="fewer", labels=labels[1:])
    assert baselines.expected(parts, classifier, seen, NOW) is None
    assert look(parts) is not None


# Sharing


def test_it_is_learned_once_an_hour_and_published(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    first = rates(parts)
    learned = usual.baseline(parts.store.redis, "category")
    assert learned is not None
    assert (learned.until, learned.changed_at) == (HOUR_NOW, 0.0)
    (row,) = [one for one in learned.rows if one.row == REFUND]
    assert (row.name, row.weeks, row.held, len(row.rate), len(row.error)) == ("Orders::Refund", 4, None, 168, 168)
    assert row.rate == pytest.approx([6] * 168, rel=0.1)
    add_hours(parts, range(HOUR_NOW - WEEK, HOUR_NOW), {REFUND: 100})
    assert rates(parts, NOW + 60) == pytest.approx(first, rel=1e-3)
    assert rates(parts, NOW + HOUR)[REFUND] > 20
    learned = usual.baseline(parts.store.redis, "category")
    assert learned is not None
    assert learned.until == HOUR_NOW + 1


def test_a_change_is_learned_at_once(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    assert held(parts) == {}
    counting.mark(parts.store.redis, "category", Change(at=NOW, kind="thresholds"))
    assert set(held(parts).values()) == {"thresholds_changed"}


def test_an_hour_is_whole_when_its_late_tickets_have_come(parts: Parts) -> None:
    past_hours(parts, NOW, 4, RATES)
    begin = (HOUR_NOW + 1) * HOUR
    for at, until in ((begin + 119, HOUR_NOW), (begin + 120, HOUR_NOW + 1)):
        look(parts, at)
        learned = usual.baseline(parts.store.redis, "category")
        assert learned is not None
        assert learned.until == until
