"""What looking at counts costs: ``python -m benchmarks.counting --json``."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from demo.processes import redis_server
from integration import counting, settings
from integration.counting import HOUR, WEEKS, Change
from integration.store import Store
from model_export.bundle.manifest import Label
from worker import baselines
from worker.counted import HISTORY, counted

CATEGORIES = 500
RATE = 4.0
"""Tickets an hour and category: 48,000 a day, none of whose hours is empty for long."""


@dataclass
class _Parts:
    """What a look needs of a worker's parts."""

    store: Store
    config: Any
    predictors: dict[str, Any]


def main() -> None:
    """Print Redis's memory for half a year of hours and a day of ticks, and seconds and memory of a look at them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        figures = measure(Store(url), time.time() // HOUR * HOUR + HOUR / 2)
    print(json.dumps(figures) if args.json else "\n".join(f"{key:20} {value}" for key, value in figures.items()))


def measure(store: Store, now: float, categories: int = CATEGORIES) -> dict[str, float]:
    """The figures, CPU seconds of this process and megabytes; ``now`` in Unix seconds, inside an hour."""
    labels = tuple(Label(f"category_{one}", f"Group {one // 10}::Category {one}") for one in range(categories))
    start = store.redis.info("memory")["used_memory"]
    fill(store, labels, now)
    stored = store.redis.info("memory")["used_memory"] - start
    manifest = SimpleNamespace(name="benchmark", version="1", labels=labels)
    zendesk = settings.Zendesk(subdomain="acme", client_id="presort", time_zone="Europe/Berlin")
    config = SimpleNamespace(spikes=settings.Spikes(), zendesk=zendesk)
    parts: Any = _Parts(store, config, {"category": SimpleNamespace(manifest=manifest)})
    classifier = settings.Classifier(field_id=1, bundle="benchmark")
    before, took = _peak_mb(), []
    for _ in range(5):
        began = time.process_time()
        seen = counted(parts, classifier, now)
        baselines.expected(parts, classifier, seen, now)
        took.append(time.process_time() - began)
    return {
        "categories": categories,
        "weeks": WEEKS,
        "redis_mb": round(stored / 1e6, 1),
        "learning_s": round(took[0], 2),
        "learning_mb": round(_peak_mb() - before),
        "look_ms": round(1000 * sorted(took[1:])[2]),
    }


def fill(store: Store, labels: tuple[Label, ...], now: float) -> None:
    """Past hours and ticks of every label."""
    rng, hour, tick = np.random.default_rng(1), int(now // HOUR), int(now // 60)
    for label in labels:
        hours, ticks = rng.poisson(RATE, WEEKS * 168).tolist(), rng.poisson(RATE / 60, HISTORY).tolist()
        pipe = store.redis.pipeline(transaction=False)
        counting.add(pipe, "hours", "category", {(hour - 1 - ago, label.value): n for ago, n in enumerate(hours)})
        counting.add(pipe, "ticks", "category", {(tick - 1 - ago, label.value): n for ago, n in enumerate(ticks)})
        pipe.execute()
    store.redis.set("presort:counting_began:category", now - 7 * 24 * HOUR)
    counting.reach_back(store.redis, "category", hour - WEEKS * 168, Change(at=now - 7 * 24 * HOUR, kind="rebuilt"))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
