"""A day of arrivals with bursts: what waits how long, on paper and, for a part of it, at speed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale import watching
from benchmarks.scale.crews import PLENTY
from benchmarks.scale.rig import Rig, rig, texts, workers
from benchmarks.scale.watching import Say

Arrivals = NDArray[np.int64]

TICKETS = 650_000
DAY_S = 86_400

HOURS = (4, 3, 2, 2, 2, 3, 5, 8, 12, 15, 16, 16, 15, 15, 15, 15, 14, 12, 10, 9, 8, 7, 6, 5)
"""How the hours of a working day share its tickets; only proportions count."""

BURSTS = ((10 * 3600, 4.0), (14 * 3600 + 1800, 3.0), (20 * 3600, 6.0))
"""Begins, seconds after midnight, and by how much the usual rate is multiplied."""

BURST_S = 300
LOAD = 0.7
"""Of what the workers carry: what the replay's hour without a burst asks of them."""

BEFORE_S = 120
"""Of the day, before its busiest minute, that the replay begins."""

LOOK_S = 0.25
PATIENCE_S = 600.0


class Waits(NamedTuple):
    """What a queue made of a day. Times are seconds of that day.

    Attributes:
        worst_s: the longest that a ticket waited.
        p99_s: 99 of 100 tickets waited no longer.
        most: tickets in the queue.
    """

    worst_s: float
    p99_s: float
    most: int


def arrivals(tickets: int, seed: int = 1) -> Arrivals:
    """Tickets by second of a day: Poisson around its hours and bursts, about so many in all."""
    shape = np.interp(np.arange(DAY_S) / 3600, np.arange(25), [*HOURS, HOURS[0]])
    for begins, times in BURSTS:
        shape[begins : begins + BURST_S] *= times
    return np.asarray(np.random.default_rng(seed).poisson(shape * tickets / shape.sum()), dtype=np.int64)


def busiest_minute(coming: Arrivals) -> int:
    """Tickets in it."""
    return int(np.convolve(coming, np.ones(60, dtype=np.int64), "valid").max())


def queue(coming: Arrivals, per_s: float) -> Waits:
    """A first-come queue that serves so many tickets a second, looked at every second.

    What waits after each second is Lindley's recursion, w(t) = max(0, w(t - 1) + arrivals(t) - per_s); who comes last
    in that second waits w / per_s.
    """
    change = np.cumsum(coming - per_s)
    waiting = change - np.minimum(0, np.minimum.accumulate(change))
    waits, weights = waiting / per_s, coming / coming.sum()
    order = np.argsort(waits)
    p99 = waits[order][np.searchsorted(np.cumsum(weights[order]), 0.99)]
    return Waits(float(waits.max()), float(p99), int(waiting.max()))


def measure(tickets: int, minutes: float, say: Say, *, trial: int = 3_000) -> dict[str, Any]:
    """Two workers with the demo's model: what this machine carries first, then the busiest part as fast as it can.

    Zendesk's limits are raised by the same factor, so that what waits for them waits as long, in the day's time, as it
    would. ``paper`` is the calculation for the same part at the rate that was measured.
    """
    per_s = _carried(trial, say)
    coming = arrivals(tickets)
    peak = int(np.convolve(coming, np.ones(60), "valid").argmax())
    part = coming[max(0, peak - BEFORE_S) :][: round(minutes * 60)]
    total = int(part.sum())
    factor = LOAD * per_s / (tickets * max(HOURS) / sum(HOURS) / 3600)
    say(f"{per_s:.0f} tickets/s carried; {total:,} tickets of {minutes:.0f} minutes, {factor:.1f} times as fast")
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), zendesk=factor) as running, workers(running, 2):
        samples = _replay(running, part, factor, say)
        summary = running.summary()
    paper = queue(part, per_s / factor)
    return {
        "tickets_a_day": int(coming.sum()),
        "busiest_minute": busiest_minute(coming),
        "factor": round(factor, 2),
        "minutes": minutes,
        "tickets": total,
        "carried_per_s": round(per_s, 1),
        "oldest_s": round(max(one.oldest_s for one in samples), 1),
        "most_in_queue": max(one.waiting for one in samples),
        "p99_written_s": summary["latency_s"]["p99"] and round(summary["latency_s"]["p99"], 1),
        "paper": {"oldest_s": round(paper.worst_s / factor, 1), "most_in_queue": paper.most},
        "requests_per_ticket": round(sum(summary["requests"].values()) / total, 4),
        "lost": total - samples[-1].ended,
        "written_twice": summary["updates"] - total,
    }


def _carried(tickets: int, say: Say) -> float:
    """Tickets a second from filed to written, when all are filed at once: receiver and Zendesk have the same cores."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), zendesk=PLENTY) as running, workers(running, 2):
        running.file(tickets, texts())
        return watching.rate(watching.follow(running, tickets, say, every_s=LOOK_S, patience_s=PATIENCE_S))


def _replay(running: Rig, part: Arrivals, factor: float, say: Say) -> list[watching.Sample]:
    made, due, filed, began = texts(), np.cumsum(part), 0, time.monotonic()

    def feed() -> None:
        nonlocal filed
        second = min(len(part) - 1, int((time.monotonic() - began) * factor))
        filed += len(running.file(int(due[second]) - filed, made))

    return watching.follow(running, int(due[-1]), say, every_s=LOOK_S, patience_s=PATIENCE_S, feed=feed)
