"""What is usual at a time, from what a worker has learned: the expected tickets and the band around them.

The same figures as in ``worker.spikes.expect`` and ``worker.backtest.picture``, for a process without numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from redis import Redis

from integration import counting
from integration.counting import ALL, HOUR
from integration.settings import Settings
from integration.times import week_hour
from integration.usual import Row

WEEK = 168
BAND = 1.645
"""Standard deviations to either side: nine of ten quiet counts lie within."""


class Usual(NamedTuple):
    """Tickets that are usual in a time, and between which counts nine of ten quiet such times lie."""

    expected: float
    low: float
    high: float


class Times:
    """Where moments lie in the local week, worked out once for all categories: T steps of ``step_s`` seconds."""

    def __init__(self, starts: Sequence[float], step_s: float, config: Settings) -> None:
        """``starts`` are (T,) Unix seconds of the steps' begins."""
        zone, holidays = ZoneInfo(config.zendesk.time_zone), config.spikes.holidays
        middles = [start + step_s / 2 for start in starts]
        week = {hour: week_hour(hour, zone, holidays) for hour in {int(at // HOUR) for at in middles}}
        self._hours = step_s / HOUR
        self._places = [week[int(at // HOUR)] + at % HOUR / HOUR for at in middles]

    def expected(self, row: Row) -> list[float]:
        """(T,) tickets: the logarithm of the rate, linear between the middles of hours."""
        logs = [math.log(rate) if rate > 0 else -math.inf for rate in row.rate]
        found = []
        for place in self._places:
            hour = math.floor(place - 0.5)
            part = place - 0.5 - hour
            found.append(math.exp((1 - part) * logs[hour % WEEK] + part * logs[(hour + 1) % WEEK]) * self._hours)
        return found

    def usual(self, row: Row) -> list[Usual]:
        """(T,) what is usual in each step."""
        errors = [row.error[int(place) % WEEK] for place in self._places]
        return [
            band(expected, row.dispersion[0] + error)
            for expected, error in zip(self.expected(row), errors, strict=True)
        ]

    def together(self, row: Row) -> Usual:
        """What is usual in all steps together, up to some hours."""
        errors = [row.error[int(place) % WEEK] for place in self._places]
        return band(sum(self.expected(row)), row.dispersion[0] + sum(errors) / len(errors))


def band(expected: float, spread: float) -> Usual:
    """What is usual where ``spread`` is the squared coefficient of variation of the rate.

    Such counts have the variance m + spread m^2; their square root has about a quarter of 1 + spread m, whatever m is
    (the delta method), and is far nearer to normal.
    """
    root, reach = math.sqrt(expected), 0.5 * BAND * math.sqrt(1 + spread * expected)
    return Usual(expected, max(root - reach, 0.0) ** 2, (root + reach) ** 2)


def tickets(
    redis: Redis, classifier: str, row: str, labels: Mapping[str, str], *, unit: counting.Unit, first: int, last: int
) -> list[int]:
    """(last - first,) tickets of a row of a ``usual.Baseline`` in each tick or Unix hour.

    Args:
        redis: the connection.
        classifier: its name.
        row: a label's tag, ``A::*`` for the sum of all labels named ``A::...``, ``*`` for all tickets.
        labels: the model's, tag to name.
        unit: ticks or hours.
        first: the first of them.
        last: the one after the last.
    """
    rows = counting.series(redis, unit, classifier, tags(row, labels), first=first, last=last)
    return [sum(step) for step in zip(*rows, strict=True)] if rows else [0] * (last - first)


def tags(row: str, labels: Mapping[str, str]) -> list[str]:
    """The tags whose tickets a row adds up."""
    if row == ALL or not row.endswith("::*"):
        return [row]
    return [tag for tag, name in labels.items() if name.startswith(row[:-1])]
