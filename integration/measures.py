"""The contract of measurements: what workers measure, added up in Redis, and shown by the receiver's ``/metrics``.

Workers come and go and share machines, so none of them has a port to be asked at. Each adds up in its own memory and
tells Redis every 10 s: a measurement costs its process two additions and no command. What a killed worker had not told
yet is lost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis

_KEY = "presort:measured"
SUM, OVER = "sum", "+Inf"
"""Beside a histogram's upper bounds: the sum of what was measured, and what was above all of them."""

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


class Measure(NamedTuple):
    """A counter, or with ``bounds`` (upper ones, ascending) a histogram."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


DECIDED = Measure(
    "presort_decisions",
    "Decisions by what is to be written: fill, suggest or leave; a backfill's too",
    ("classifier", "category", "action"),
)
OUTCOMES = Measure(
    "presort_outcomes",
    "Decisions that ended, by what became of them: filled, suggested, left_alone or parked; a backfill's too",
    ("classifier", "outcome"),
)
BATCH_TICKETS = Measure(
    "presort_batch_tickets", "Tickets in a batch that was classified", (), (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0)
)
INFERENCE_SECONDS = Measure(
    "presort_inference_seconds",
    "Seconds from a batch's texts to its decisions: cleaning, tokens, model, thresholds",
    ("classifier",),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
DECIDED_SECONDS = Measure(
    "presort_decided_seconds", "Seconds from a ticket's webhook to its decision", ("classifier",), SECONDS
)
WRITTEN_SECONDS = Measure(
    "presort_written_seconds", "Seconds from a decision to its being filled or suggested", ("classifier",), SECONDS
)
ZENDESK_SECONDS = Measure(
    "presort_zendesk_update_seconds",
    "Seconds that Zendesk took to answer an update of one ticket, or to take one of many",
    ("kind",),
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
MEASURES = (DECIDED, OUTCOMES, BATCH_TICKETS, INFERENCE_SECONDS, DECIDED_SECONDS, WRITTEN_SECONDS, ZENDESK_SECONDS)


class Tally:
    """What one process has measured and not told yet; for one thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def count(self, measure: Measure, *labels: str) -> None:
        """One more."""
        self._counts[_field(measure.name, "", labels)] += 1

    def observe(self, measure: Measure, value: float, *labels: str) -> None:
        """A value, for a histogram; a negative one, of clocks that differ, is 0."""
        value = max(0.0, value)
        place = bisect_left(measure.bounds, value)
        bound = OVER if place == len(measure.bounds) else str(measure.bounds[place])
        self._counts[_field(measure.name, bound, labels)] += 1
        self._sums[_field(measure.name, SUM, labels)] += value  # type: ignore[assignment]  # a Counter adds floats too

    def tell(self, redis: Redis) -> None:
        """Add it to what all processes have measured; an error of Redis leaves it for the next time."""
        if not self._counts:
            return
        pipe = redis.pipeline()
        for field, count in self._counts.items():
            pipe.hincrby(_KEY, field, count)
        for field, total in self._sums.items():
            pipe.hincrbyfloat(_KEY, field, total)
        pipe.execute()
        self._counts.clear()
        self._sums.clear()


def read(redis: Redis) -> dict[str, dict[tuple[str, ...], dict[str, float]]]:
    """What all processes have measured: by name and labels, each bound's count (not cumulative), ``SUM`` and ``OVER``.

    A counter's one bound is "".
    """
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = {one.name: {} for one in MEASURES}
    rows: Any = redis.hgetall(_KEY)
    for field, value in rows.items():
        name, bound, *labels = field.split("\t")
        if name in found:  # else of another release
            found[name].setdefault(tuple(labels), {})[bound] = float(value)
    return found


def _field(name: str, bound: str, labels: Sequence[str]) -> str:
    return "\t".join((name, bound, *labels))
