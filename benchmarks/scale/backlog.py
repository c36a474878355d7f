"""A backlog that built up while no worker ran, drained: how fast, and whether memory stays flat meanwhile."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.scale import watching
from benchmarks.scale.crews import PLENTY, sleeper
from benchmarks.scale.rig import rig, texts, workers
from benchmarks.scale.watching import Say

WORKERS = 2
STREAM = "presort:decisions"
LOOK_S = 2.0
PATIENCE_S = 5_400.0

AHEAD = 10_000
"""Webhooks that the local Zendesk may owe before more tickets are filed; it keeps their bodies."""


def measure(tickets: int, say: Say) -> dict[str, Any]:
    """Fill the queue through the receiver, then start the workers; their model answers at once.

    Figures: bytes of Redis for a waiting ticket, for what is kept of one that has ended (record, mark), and for its
    decision in the stream, which keeps so many and no more; tickets a second in and out; megabytes of each process when
    the drain began and ended, and its slope.
    """
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), zendesk=PLENTY) as running:
        empty, began = watching.memory(running), time.monotonic()
        filed, made = 0, texts()
        while (queued := running.store.depths()["tickets"]) < tickets:
            if filed < tickets and filed - queued < AHEAD:
                filed += len(running.file(min(5_000, tickets - filed), made))
                say(f"{time.monotonic() - began:6.0f} s  {queued:,} of {tickets:,} queued")
            time.sleep(0.2)
        took, full = time.monotonic() - began, watching.memory(running)
        with workers(running, WORKERS, sleeper(0)):
            samples = watching.follow(running, tickets, say, every_s=LOOK_S, patience_s=PATIENCE_S, weigh=True)
        after, updates = samples[-1].memory_mb, running.summary()["updates"]
        redis = running.store.redis
        streamed, stream = int(redis.xlen(STREAM)), int(redis.memory_usage(STREAM, samples=0) or 0)
    kinds = [kind for kind in after if kind != "redis_data"]
    return {
        "tickets": tickets,
        "queued_per_s": round(tickets / took, 1),
        "drained_per_s": round(watching.rate(samples), 1),
        "lost": tickets - samples[-1].ended,
        "written_twice": updates - tickets,
        "bytes_a_waiting_ticket": round((full["redis_data"] - empty["redis_data"]) * 1e6 / tickets),
        "bytes_kept_of_an_ended_one": round(((after["redis_data"] - empty["redis_data"]) * 1e6 - stream) / tickets),
        "bytes_of_a_streamed_decision": round(stream / streamed),
        "began_mb": {kind: round(samples[0].memory_mb[kind], 1) for kind in kinds},
        "ended_mb": {kind: round(after[kind], 1) for kind in kinds},
        "mb_per_100_000": {kind: round(watching.slope(samples, kind), 1) for kind in kinds},
    }
