"""Tickets by hour of the week: what was counted, what is usual, and the sentence that says the same."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from integration.console import week
from integration.console.week import Week

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = int(datetime(2026, 11, 1, 23, tzinfo=UTC).timestamp()) // 3600
"""Unix hour of a Monday 00:00 in Berlin."""


def test_hours_of_several_weeks_are_their_mean() -> None:
    tickets = [0] * (2 * week.HOURS)
    tickets[9], tickets[week.HOURS + 9] = 4, 6
    found = week.week(tickets, MONDAY, BERLIN, (), None)
    assert found.counted[9] == 5
    assert sum(one or 0 for one in found.counted) == 5
    assert found.weeks == 2


def test_an_hour_that_was_never_counted_is_not_none_at_all() -> None:
    found = week.week([3] * 30, MONDAY, BERLIN, (), None)
    assert found.counted[29] == 3
    assert found.counted[30] is None
    monday, tuesday, *_ = week.days(found)
    assert (monday.counted, tuesday.counted, monday.usual) == (72, None, None)


def test_a_holiday_counts_as_a_sunday() -> None:
    found = week.week([2] * 24, MONDAY, BERLIN, (date(2026, 11, 2),), None)
    assert found.counted[0] is None
    assert found.counted[6 * 24] == 2


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (week.week([], MONDAY, BERLIN, (), None), "No whole hour was counted yet."),
        (week.week([0] * 168, MONDAY, BERLIN, (), None), "No ticket in 1.0 weeks."),
        (
            Week((*[1.0] * 32, 7.5, *[1.0] * 135), (2.0,) * 168, 4.0),
            "Most tickets on Tuesday at 08:00, 7.5 an hour, where 2.0 are usual; the mean of 4.0 weeks.",
        ),
    ],
)
def test_the_picture_in_words(found: Week, sentence: str) -> None:
    assert week.sentence(found) == sentence
    assert week.figure(found, BERLIN)["text"] == sentence


def test_the_picture_has_the_usual_as_a_line_once_it_was_learned() -> None:
    bars, line = week.figure(Week((1.0,) * 168, (2.0,) * 168, 4.0), BERLIN)["data"]
    assert (bars["type"], len(bars["y"]), line["type"], line["y"][0]) == ("bar", 168, "scatter", 2)
    assert bars["customdata"][33] == "Tuesday 09:00"
    assert len(week.figure(Week((1.0,) * 168, None, 4.0), BERLIN)["data"]) == 1
