"""Seconds from webhook to field on an idle system: ``python -m benchmarks.latency --json``.

All of the demo's processes on this machine; one ticket at a time, a second and a half apart. Measured by the local
Zendesk, from the first sending of a ticket's webhook to the update that fills its field.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks.receiver import percentile
from demo import tickets
from demo.stage import Stage, call, stage
from integration import backfills
from integration.store import Store


def text(rng: random.Random) -> dict[str, str]:
    """A ticket as the local Zendesk takes it."""
    ticket = tickets.generate(rng, rng.choice(tickets.CATEGORIES).value)
    return {"subject": ticket.subject, "description": ticket.description}


def start_backfill(running: Stage, store: Store, old: list[dict[str, str]]) -> None:
    """File tickets of which no webhook tells, and let the workers sort them beside the new ones."""
    call(f"{running.zendesk_url}/simulator/faults", {"drop": 1.0})
    ids = [call(f"{running.zendesk_url}/simulator/tickets", one)["id"] for one in old]
    call(f"{running.zendesk_url}/simulator/faults", {})
    backfills.start(store.redis, "a benchmark", ids, time.time())


def main() -> None:
    """Print one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=40)
    parser.add_argument("--backfill", type=int, default=0, help="so many old tickets are sorted meanwhile")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as running:
        store = Store(running.redis_url)
        while len(store.workers()) < 2:
            time.sleep(0.1)
        if args.backfill:
            start_backfill(running, store, [text(rng) for _ in range(args.backfill)])
        for _ in range(args.tickets):
            call(f"{running.zendesk_url}/simulator/tickets", text(rng))
            time.sleep(1.5)
        time.sleep(3)
        rows = call(f"{running.zendesk_url}/simulator/tickets?limit={args.tickets}")["tickets"]
        backfilled = sum(store.funnel(backfill=True).get(step, 0) for step in ("filled", "suggested"))
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    figures = {
        "tickets": len(rows),
        "written": len(seconds),
        "p50_s": round(percentile(seconds, 0.50), 3),
        "p99_s": round(percentile(seconds, 0.99), 3),
    } | ({"backfilled": backfilled} if args.backfill else {})
    print(json.dumps(figures) if args.json else "\n".join(f"{key:10} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
