"""More workers and receivers: what each ticket costs, and how far the queue and the writes carry."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import receiver as webhooks
from benchmarks.scale import watching
from benchmarks.scale.rig import WORKER, rig, texts, workers
from benchmarks.scale.watching import Say
from benchmarks.services import wait_until

PLENTY = 1_000.0
"""Of a Professional plan's limits, so that they are not what is measured."""

CONNECTIONS = 8

SLEEPERS_BATCH = 16
"""Tickets: of a whole batch of 64 nothing would be heard for 64 sleeps, and the last ones would go to few workers."""

LOOK_S = 0.25
PATIENCE_S = 300.0


def receivers(numbers: Sequence[int], requests: int, say: Say) -> list[dict[str, Any]]:
    """Signed webhooks a second, as fast as they are answered, and milliseconds of CPU for each."""
    rows = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder, rig(Path(folder), receivers=number, zendesk=PLENTY) as running:
            port = int(running.receiver_url.rpartition(":")[2])
            asyncio.run(webhooks.run(port, 1, 200, CONNECTIONS))  # connections, imports, caches
            before = running.cpu()
            load, took = asyncio.run(webhooks.run(port, 1_000_000, requests, CONNECTIONS))
            spent = {kind: 1000 * (after - before[kind]) / len(load.good) for kind, after in running.cpu().items()}
        rows.append(
            {
                "receivers": number,
                "webhooks_per_s": round(len(load.good) / took, 1),
                "refused": load.good.count(False),
                "p99_ms": round(1000 * webhooks.percentile(load.seconds, 0.99), 1),
                "receiver_cpu_ms": round(spent["receiver"], 2),
                "redis_cpu_ms": round(spent["redis"], 2),
            }
        )
        say(f"{number} receivers: {rows[-1]['webhooks_per_s']} webhooks/s")
    return rows


def with_model(numbers: Sequence[int], tickets: int, say: Say) -> list[dict[str, Any]]:
    """Workers with the demo's model."""
    return [_drain(number, tickets, list(WORKER), say) for number in numbers]


def asleep(numbers: Sequence[int], tickets: int, seconds: float, say: Say) -> list[dict[str, Any]]:
    """Workers whose model sleeps so many seconds a ticket; ``tickets`` for each worker.

    ``of_ideal`` is the share of what they would do if nothing but the sleep took time.
    """
    command = sleeper(seconds)
    rows = [_drain(number, tickets * number, command, say, batch=SLEEPERS_BATCH) for number in numbers]
    return [row | {"of_ideal": round(row["tickets_per_s"] * seconds / row["workers"], 3)} for row in rows]


def sleeper(seconds: float) -> list[str]:
    """The command of a worker whose model sleeps."""
    return [sys.executable, "-m", "benchmarks.scale.sleeper", str(seconds), "run", "--loglevel", "WARNING"]


def _drain(number: int, tickets: int, command: Sequence[str], say: Say, *, batch: int = 64) -> dict[str, Any]:
    """So many tickets wait; the workers start and work them off."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), zendesk=PLENTY, batch=batch) as running:
        running.file(tickets, texts())
        wait_until(lambda: running.store.depths()["tickets"] >= tickets, PATIENCE_S, "all webhooks to be queued")
        before = running.cpu()
        with workers(running, number, command):
            started = {"worker": running.cpu()["worker"]}  # a good second each for imports and the model
            already = running.ended()
            samples = watching.follow(running, tickets, say, every_s=LOOK_S, patience_s=PATIENCE_S)
            after = running.cpu()
        summary = running.summary()
        lost, twice = tickets - running.ended(), summary["updates"] - tickets
    per_ticket = {kind: 1000 * (spent - (before | started)[kind]) / tickets for kind, spent in after.items()}
    rest = tickets / max(1, tickets - already)  # what was worked off before all had started is in nobody's CPU
    row = {
        "workers": number,
        "tickets": tickets,
        "tickets_per_s": round(watching.rate(samples), 1),
        "worker_cpu_ms": round(per_ticket["worker"] * rest, 2),
        "redis_cpu_ms": round(per_ticket["redis"], 2),
        "simulator_cpu_ms": round(per_ticket["simulator"], 2),
        "requests_per_ticket": round(sum(summary["requests"].values()) / tickets, 3),
        "lost": lost,
        "written_twice": twice,
    }
    say(f"{number} workers: {row['tickets_per_s']} tickets/s")
    return row
