"""The same history at each of the three sensitivities, with and without the budget controller: six replays at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing.queues import SimpleQueue
from typing import NamedTuple

import msgspec

from integration.settings import Spikes
from worker.backtest.history import History
from worker.backtest.replay import DAY_TICKS, TICK, Replay, first_judged, replay

WEEKS = (4, 12, 52)
"""At most one false alert per category in so many weeks."""

LOOK_S = 0.2
"""Between two looks at how far the replays are."""


class Pair(NamedTuple):
    """One sensitivity, as Presort watches and without its budget of false alerts."""

    budgeted: Replay
    free: Replay


class _Task(NamedTuple):
    history: History
    zone: str
    config: Spikes
    played: SimpleQueue[int]


def replay_all(
    history: History, zone: str, config: Spikes, progress: Callable[[int], None] = lambda _: None
) -> dict[int, Pair]:
    """Replay at each of ``WEEKS``.

    Args:
        history: what was counted.
        zone: the account's, an IANA name.
        config: all other rules.
        progress: is told of each day that was played, 1; there are ``days(history, config)``.
    """
    # The arrays are small: threads of the linear algebra library cost more than they bring, and six processes are
    # there already. It reads this when it is loaded, so the processes are new ones.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    played: SimpleQueue[int] = context.SimpleQueue()
    kinds = [(weeks, budget) for budget in (True, False) for weeks in WEEKS]
    with ProcessPoolExecutor(
        min(len(kinds), os.cpu_count() or 1), context, _begin, (_Task(history, zone, config, played),)
    ) as pool:
        running = {kind: pool.submit(_play, *kind) for kind in kinds}
        while wait(running.values(), timeout=LOOK_S).not_done or not played.empty():
            while not played.empty():
                progress(played.get())
        found = {kind: one.result() for kind, one in running.items()}
    return {weeks: Pair(found[weeks, True], found[weeks, False]) for weeks in WEEKS}


def days(history: History, config: Spikes) -> int:
    """How many days ``replay_all`` plays, those of all replays together."""
    ticks = int(history.counts.shape[1]) // TICK - first_judged(config)
    return 2 * len(WEEKS) * max(0, -(-ticks // DAY_TICKS))


_tasks: list[_Task] = []


def _begin(task: _Task) -> None:
    """Once a process, so that the history is sent only once."""
    _tasks.append(task)


def _play(weeks: int, budget: bool) -> Replay:  # noqa: FBT001 - called by the pool alone
    task = _tasks[0]
    config = msgspec.structs.replace(task.config, weeks=weeks)
    return replay(task.history, task.zone, config, budget=budget, progress=task.played.put)
