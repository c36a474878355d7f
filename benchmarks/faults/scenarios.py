"""The scenarios: which fault, for how long, how many tickets meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults import faults, models, tally
from benchmarks.faults.faults import Scene
from benchmarks.faults.people import People
from benchmarks.faults.stage import FaultError, stage
from demo.stage import Stage
from integration.store import Store

QUIET_S = 5.0
"""Before the fault and, once nothing waits any more, before the count: what would be written twice has its time."""

SHORTEST_S = 10.0
"""A fault is not scaled below this."""


class Scenario(NamedTuple):
    """One way to break Presort.

    Attributes:
        fault: a ``with`` block, see ``faults``.
        seconds: for which it lasts.
        rate: tickets a second.
        patience_s: after which what has no decision is lost.
    """

    fault: Callable[[Scene], AbstractContextManager[None]]
    seconds: float
    rate: float = 4.0
    patience_s: float = 900.0


SCENARIOS = {
    "worker_killed_mid_batch": Scenario(faults.worker_mid_batch, 3),
    "worker_killed_mid_write": Scenario(faults.worker_mid_write, 3),
    "workers_down": Scenario(faults.workers_down, 60),
    "beat_killed": Scenario(faults.beat_killed, 60),
    "receiver_killed": Scenario(faults.receiver_killed, 30),
    "redis_restarted": Scenario(faults.redis_restarted, 5),
    "redis_flushed": Scenario(faults.redis_flushed, 5),
    "redis_full": Scenario(faults.redis_full, 60),
    "redis_slow": Scenario(faults.redis_slow, 60),
    "zendesk_down": Scenario(faults.zendesk_down, 600, rate=1),
    "zendesk_limited": Scenario(faults.zendesk_limited, 300, rate=1),
    "deliveries_doubled": Scenario(faults.deliveries_doubled, 30),
    "deliveries_lost": Scenario(faults.deliveries_lost, 30),
    "clocks_jump": Scenario(faults.clocks_jump, 60),
    "cache_full": Scenario(models.cache_full, 60),
    "bundle_corrupt": Scenario(models.bundle_corrupt, 60),
    "model_promoted": Scenario(models.model_promoted, 60),
    "poison": Scenario(faults.poison, 10),
}


def play(name: str, folder: Path, *, scale: float, seed: int) -> dict[str, Any]:
    """Play one and count.

    Args:
        name: of the scenario.
        folder: for data and logs.
        scale: of how long the fault lasts.
        seed: of who writes what, and who is looked at.

    Returns:
        ``tally.Count`` with the scenario's name before and ``recovered_s`` behind: seconds from the end of the fault,
        when customers stop writing, until every ticket has its decision; None when that did not happen.

    Raises:
        FaultError: the fault could not be brought about, or Presort did not do what ends it.
    """
    scenario = SCENARIOS[name]
    seconds = min(scenario.seconds, max(SHORTEST_S, scenario.seconds * scale))
    with stage(folder, scale) as running, People(running.zendesk_url, scenario.rate, seed) as people:
        time.sleep(QUIET_S)
        with scenario.fault(Scene(running, people, seconds)):
            tell(name, running, people, f"the fault lasts {seconds:.0f} s")
            time.sleep(seconds)
        people.stop_writing()
        ended = time.monotonic()
        at = recovered(name, running, people, ended + scenario.patience_s)
        settle(running)
        people.check()
        counted = tally.count(tally.read(running.zendesk_url, people.filed))
    took = None if at is None else round(at - ended, 1)
    return {"scenario": name, **counted._asdict(), "recovered_s": took}


def recovered(name: str, running: Stage, people: People, deadline: float) -> float | None:
    """When no ticket waited any more, by ``time.monotonic``; None after the deadline."""
    told = time.monotonic()
    while tally.waiting(running.zendesk_url):
        now = time.monotonic()
        if now > deadline:
            return None
        if now - told > 20:
            told = now
            tell(name, running, people, "the fault is over")
        time.sleep(0.1)
    return time.monotonic()


def settle(running: Stage) -> None:
    """Wait until Presort holds no message any more, so that nothing is counted too early.

    Raises:
        FaultError: it still does after five minutes.
    """
    store, last = Store(running.redis_url), time.monotonic()
    deadline = last + 300
    while time.monotonic() - last < QUIET_S:
        depths = store.depths()
        if depths["tickets"] + depths["writes"] + depths["unacknowledged"] + depths["deferred"]:
            last = time.monotonic()
        if last > deadline:
            raise FaultError(f"messages still wait five minutes after the last decision: {depths}")
        time.sleep(0.2)


def tell(name: str, running: Stage, people: People, what: str) -> None:
    """A line of progress."""
    sent, waiting = len(people.filed), tally.waiting(running.zendesk_url)
    print(f"{time.strftime('%H:%M:%S')} {name}: {what}; {sent} sent, {waiting} wait", file=sys.stderr, flush=True)
