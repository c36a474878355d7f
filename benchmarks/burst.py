"""A burst under Zendesk's real limits: ``python -m benchmarks.burst --json``.

All of the demo's processes on this machine, and its local Zendesk with a Professional plan's limits: 400 requests and
100 ticket updates a minute, 30 jobs at once. 3,000 tickets in 60 s are the busiest minutes of 650,000 a day, times six.
It ends when every ticket has its outcome.

Zendesk does not say whether each ticket of a bulk update counts as one of the 100; ``--jobs-counted`` lets it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from demo import tickets
from demo.stage import Stage, call, stage
from integration.simulator.config import SimulatorConfig
from integration.store import Store

ENDS = ("filled", "suggested", "left_alone", "parked")


def main() -> None:
    """Print one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=3_000)
    parser.add_argument("--over", type=float, default=60.0, help="seconds in which they are filed")
    parser.add_argument("--jobs-counted", action="store_true", help="each ticket of a bulk update is an update")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds after which what is missing is lost")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    account = SimulatorConfig(update_many_counts_tickets=args.jobs_counted)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), account) as running:
        store = Store(running.redis_url)
        while len(store.workers()) < 2:
            time.sleep(0.1)
        began = time.monotonic()
        file(running, args.tickets, args.over)
        seconds = wait(store, args.tickets, began, args.patience)
        figures = count(running, store, args.tickets) | {"seconds": round(seconds, 1)}
    print(json.dumps(figures) if args.json else "\n".join(f"{key:20} {value}" for key, value in figures.items()))


def file(running: Stage, number: int, over_s: float) -> None:
    """File the tickets evenly over so many seconds, in phrasings the model never saw."""
    rng, began, filed = random.Random(1), time.monotonic(), 0
    while filed < number:
        wanted = min(number, max(filed + 1, round(number * (time.monotonic() - began) / over_s)))
        made = [tickets.generate(rng, rng.choice(tickets.CATEGORIES).value, "held_out") for _ in range(wanted - filed)]
        new = [{"subject": one.subject, "description": one.description} for one in made]
        call(f"{running.zendesk_url}/simulator/tickets", {"tickets": new})
        filed = wanted
        time.sleep(0.1)


def wait(store: Store, number: int, began: float, patience_s: float) -> float:
    """Seconds from ``began`` until all tickets have an outcome, or patience ends."""
    told = began
    while (ended := sum(store.funnel().get(step, 0) for step in ENDS)) < number:
        seconds = time.monotonic() - began
        if seconds > patience_s:
            break
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{seconds:6.0f} s  {ended} of {number}  {store.depths()}", file=sys.stderr)
        time.sleep(0.2)
    return time.monotonic() - began


def count(running: Stage, store: Store, number: int) -> dict[str, Any]:
    """What the local Zendesk and the store say about it."""
    summary = call(f"{running.zendesk_url}/simulator/summary")
    records = [store.ticket(one, "category") for one in range(1, number + 1)]
    written = summary["tickets"]["filled"] + summary["tickets"]["suggested"]
    requests = sum(summary["requests"].values())
    return {
        "tickets": number,
        "written": written,
        "lost": sum(record is None or record.outcome is None for record in records),
        "written_twice": summary["updates"] - written,
        "requests": requests,
        "requests_per_ticket": round(requests / number, 4),
        "rate_limited": summary["limited"],
    }


if __name__ == "__main__":
    main()
