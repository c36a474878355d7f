"""Looks at what runs, again and again: what waits, what has ended, how much memory is whose."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.scale.rig import Rig
from benchmarks.usage import pss_mb

Say = Callable[[str], None]

FLAT_FROM = 0.25
"""Of a run's samples, those from here on speak of its slope; before it, caches fill and connections are made."""

STEADY = (0.1, 0.9)
"""Of the tickets, those that speak of the rate: the first ones come out a batch and a merged request after they went
in, and the last ones are shared out in whole batches, of which some workers have none."""


class Sample(NamedTuple):
    """One look.

    Attributes:
        at: seconds since the first look.
        ended: tickets whose way has ended.
        waiting: messages in the queue of tickets.
        oldest_s: for how long the oldest ticket without an outcome has waited since its webhook.
        memory_mb: see ``memory``; empty when nothing was weighed.
    """

    at: float
    ended: int
    waiting: int
    oldest_s: float
    memory_mb: dict[str, float]


def memory(running: Rig) -> dict[str, float]:
    """Megabytes (PSS) now by kind of process, the mean of several; ``redis_data`` is Redis's own count of its data."""
    used = {
        kind: statistics.fmean(pss_mb(one.pid) for one in children)
        for kind, children in running.children.items()
        if children
    }
    data = float(str(running.store.redis.info("memory")["used_memory"])) / 1e6
    return used | {"redis": pss_mb(running.redis_pid()), "redis_data": data}


def look(running: Rig, began: float, *, weigh: bool = False) -> Sample:
    """One look; ``began`` by ``time.monotonic``."""
    oldest = running.store.unanswered(time.time(), 1)
    return Sample(
        at=time.monotonic() - began,
        ended=running.ended(),
        waiting=running.store.depths()["tickets"],
        oldest_s=time.time() - oldest[0][2] if oldest else 0.0,
        memory_mb=memory(running) if weigh else {},
    )


def follow(
    running: Rig,
    until: int,
    say: Say,
    *,
    every_s: float,
    patience_s: float,
    weigh: bool = False,
    feed: Callable[[], None] = lambda: None,
) -> list[Sample]:
    """Look until so many tickets have ended; ``feed`` is called before each look.

    Raises:
        TimeoutError: they had not within ``patience_s``.
    """
    samples: list[Sample] = []
    began = told = time.monotonic()
    while not samples or samples[-1].ended < until:
        seconds = time.monotonic() - began
        if seconds > patience_s:
            raise TimeoutError(
                f"{samples[-1].ended} of {until} tickets ended in {patience_s:.0f} s: see {running.folder}"
            )
        feed()
        samples.append(look(running, began, weigh=weigh))
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{seconds:6.0f} s  {samples[-1].ended:,} of {until:,} ended, {samples[-1].waiting:,} in the queue")
        time.sleep(every_s)
    return samples


def rate(samples: Sequence[Sample]) -> float:
    """Tickets a second, by least squares over the ``STEADY`` part; over all of a run too short for that, 0 of one look.

    Least squares, since they end up to 100 at once, as a request's job is done.
    """
    began, all_ended = samples[0].ended, samples[-1].ended - samples[0].ended
    low, high = (began + share * all_ended for share in STEADY)
    steady = [one for one in samples if low <= one.ended <= high]
    looks = [(one.at, one.ended) for one in (steady if len(steady) > 2 else samples)]
    return statistics.linear_regression(*zip(*looks, strict=True)).slope if len(looks) > 1 else 0.0


def slope(samples: Sequence[Sample], kind: str) -> float:
    """Megabytes that a kind of process grows by with every 100,000 tickets, by least squares; 0 of one look."""
    late = samples[int(len(samples) * FLAT_FROM) :]
    ended = [one.ended / 100_000 for one in late]
    if len(set(ended)) < 2:
        return 0.0
    return statistics.linear_regression(ended, [one.memory_mb[kind] for one in late]).slope
