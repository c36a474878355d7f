"""Which hour of the local week a moment belongs to: time zones, clocks that change, holidays."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from integration.times import week_hour

HOUR = 3600


def slots(hours: NDArray[np.int64], zone: str, holidays: Collection[date] = ()) -> NDArray[np.int64]:
    """(H,) hour of the local week of each Unix hour, see ``times.week_hour``.

    Args:
        hours: (H,) Unix hours.
        zone: IANA name.
        holidays: local days.
    """
    local = ZoneInfo(zone)
    return np.array([week_hour(hour, local, holidays) for hour in hours.tolist()], dtype=np.int64)


def positions(times: NDArray[np.float64], zone: str, holidays: Collection[date] = ()) -> NDArray[np.float64]:
    """(T,) the same for moments in Unix seconds, with the part of the hour that has passed: 0 <= position < 168."""
    hours = np.floor(times / HOUR).astype(np.int64)
    different, place = np.unique(hours, return_inverse=True)
    passed: NDArray[np.float64] = times / HOUR - hours
    return slots(different, zone, holidays)[place] + passed
