"""Hours of the local week: zones, clocks that change, holidays."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from worker.calendar import positions, slots

MONDAY, SUNDAY = 0, 144


def hours(first: str, count: int, zone: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Unix hours from a local time on."""
    begin = int(datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).timestamp() // 3600)
    return np.arange(begin, begin + count)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland"])
def test_a_week_begins_on_monday_at_midnight_where_the_account_is(zone: str) -> None:
    assert slots(hours("2026-06-01", 168, zone), zone).tolist() == list(range(168))


def test_in_spring_one_hour_is_left_out_and_in_autumn_one_comes_twice() -> None:
    """Berlin's clocks: 02:00 -> 03:00 on 29 March 2026, 03:00 -> 02:00 on 25 October."""
    spring = slots(hours("2026-03-29", 5, "Europe/Berlin"), "Europe/Berlin")
    autumn = slots(hours("2026-10-25", 5, "Europe/Berlin"), "Europe/Berlin")
    assert (spring - SUNDAY).tolist() == [0, 1, 3, 4, 5]
    assert (autumn - SUNDAY).tolist() == [0, 1, 2, 2, 3]


def test_nine_in_the_morning_stays_nine_when_clocks_change() -> None:
    for day in ("2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26"):
        assert slots(hours(f"{day}T09:00", 1, "America/New_York"), "America/New_York") % 24 == 9


@pytest.mark.parametrize(("zone", "local"), [("Asia/Kolkata", "15:30"), ("Asia/Kathmandu", "15:45")])
def test_where_hours_begin_at_the_half_each_has_one_slot_all_the_same(zone: str, local: str) -> None:
    """Tickets are counted in whole hours of UTC: 10:00 of it is 15:30 in Kolkata, whose middle is 16:00."""
    week = slots(hours(f"2026-06-01T{local}", 168, zone), zone)
    assert week.tolist() == [(16 + hour) % 168 for hour in range(168)]


def test_a_holiday_is_a_sunday_from_midnight_to_midnight_local_time() -> None:
    christmas = [date(2026, 12, 25)]  # a Friday
    found = slots(hours("2026-12-24T22:00", 28, "America/New_York"), "America/New_York", christmas)
    thursday, saturday = 72, 120
    assert found.tolist() == [thursday + 22, thursday + 23, *range(SUNDAY, SUNDAY + 24), saturday, saturday + 1]


def test_a_moment_is_its_hour_and_the_part_that_has_passed() -> None:
    zone = "Europe/Berlin"
    begin = datetime(2026, 6, 1, tzinfo=ZoneInfo(zone)).timestamp()
    at = np.array([0.0, 90.0, 3599.0, 3600.0, 7 * 86400 - 18.0])
    np.testing.assert_allclose(positions(begin + at, zone), at / 3600, atol=1e-9)
    assert positions(np.array([begin + 7 * 86400]), zone) == MONDAY
    assert positions(np.array([begin + 1800]), zone, [date(2026, 6, 1)]) == SUNDAY + 0.5
