"""An hour of mixed load with faults at random: ``python -m benchmarks.soak --minutes 60 --json``.

All of Presort's processes, customers and agents, and every half a minute to a minute one of the faults of
``benchmarks.faults``, drawn by a seed. Faults kill worker 1 and beat only, so that the memory and the open files of the
others can be followed from the first minute to the last. Ends with status 1 unless every ticket was decided, none
written twice and no person's category replaced, by the local Zendesk's audits.

Example: python -m benchmarks.soak --minutes 5 --every 10 --picture soak.png
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import usage
from benchmarks.faults import faults, models, tally
from benchmarks.faults.faults import Scene
from benchmarks.faults.people import People
from benchmarks.faults.scenarios import recovered, settle, tell
from benchmarks.faults.stage import stage
from benchmarks.services import meanwhile
from demo.stage import Stage

FAULTS = (
    faults.worker_mid_batch,
    faults.worker_mid_write,
    faults.beat_killed,
    faults.redis_restarted,
    faults.redis_full,
    faults.redis_slow,
    faults.zendesk_down,
    faults.zendesk_limited,
    faults.deliveries_doubled,
    faults.deliveries_lost,
    models.bundle_corrupt,
    models.model_promoted,
    faults.poison,
)
PATIENCE_S = 900.0

Series = dict[tuple[str, int], list["Sample"]]
"""By name and id of a process: one that was started again is another."""


class Sample(NamedTuple):
    """A process with those that it has started, at a moment."""

    minute: float
    rss_mb: float
    handles: int


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2.0, help="tickets a second")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two looks at the processes")
    parser.add_argument("--seed", type=int, default=1, help="of tickets, agents and faults")
    parser.add_argument("--keep", type=Path, help="keep data and logs in this folder")
    parser.add_argument("--picture", type=Path, help="draw memory and open files into this PNG")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes are ended on the way out
    series: Series = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        with stage(folder, 1.0) as running, People(running.zendesk_url, args.rate, args.seed) as people:
            with _watching(running, args.every, series):
                played = _play(running, people, args.minutes * 60, args.seed)
                people.stop_writing()
                ended = time.monotonic()
                at = recovered("soak", running, people, ended + PATIENCE_S)
                settle(running)
            people.check()
            counted = tally.count(tally.read(running.zendesk_url, people.filed))
    figures: dict[str, Any] = {
        "minutes": args.minutes,
        "faults": dict(played),
        **counted._asdict(),
        "recovered_s": None if at is None else round(at - ended, 1),
        "processes": _longest(series),
    }
    if args.picture:
        _draw(series, args.picture)
    print(json.dumps(figures) if args.json else _words(figures))
    sys.exit(not counted.clean)


def _play(running: Stage, people: People, seconds: float, seed: int) -> Counter[str]:
    """One fault after the other, until time is up; how often which."""
    rng, end, played = random.Random(seed), time.monotonic() + seconds, Counter[str]()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, rng.uniform(30, 60)))
        fault, lasts = rng.choice(FAULTS), rng.uniform(5, 60)
        if end - time.monotonic() > lasts:
            with fault(Scene(running, people, lasts)):
                tell("soak", running, people, f"{fault.__name__}, {lasts:.0f} s")
                time.sleep(lasts)
            played[fault.__name__] += 1
            people.check()
    return played


@contextmanager
def _watching(running: Stage, every_s: float, series: Series) -> Iterator[None]:
    """Look at all processes again and again within the block."""
    began = time.monotonic()

    def look() -> None:
        for name, child in list(running.children.items()):
            if handles := usage.open_files(child.pid):  # else it was killed this moment
                minute = (time.monotonic() - began) / 60
                series[name, child.pid].append(Sample(minute, usage.rss_mb(child.pid), handles))

    with meanwhile(look, every_s=lambda: every_s):
        yield


def _longest(series: Series) -> dict[str, dict[str, float]]:
    """Of each name the process that lived longest: first and last value, and the slope from its second quarter on."""
    found: dict[str, dict[str, float]] = {}
    for (name, _), samples in sorted(series.items(), key=lambda one: len(one[1])):
        settled = samples[len(samples) // 4 :]
        if len(settled) < 2:
            continue
        minutes = [one.minute for one in settled]
        rss = statistics.linear_regression(minutes, [one.rss_mb for one in settled]).slope
        handles = statistics.linear_regression(minutes, [one.handles for one in settled]).slope
        found[name] = {
            "minutes": round(samples[-1].minute - samples[0].minute, 1),
            "rss_mb_first": round(settled[0].rss_mb, 1),
            "rss_mb_last": round(settled[-1].rss_mb, 1),
            "rss_mb_an_hour": round(rss * 60, 2),
            "handles_first": settled[0].handles,
            "handles_last": settled[-1].handles,
            "handles_an_hour": round(handles * 60, 2),
        }
    return found


def _words(figures: dict[str, Any]) -> str:
    lines = [f"{name:14} {value}" for name, value in figures.items() if name != "processes"]
    lines.append(f"\n{'process':12} minutes  RSS in MB (slope an hour)   open files (slope an hour)")
    for name, one in figures["processes"].items():
        rss = f"{one['rss_mb_first']} to {one['rss_mb_last']} ({one['rss_mb_an_hour']:+})"
        handles = f"{one['handles_first']} to {one['handles_last']} ({one['handles_an_hour']:+})"
        lines.append(f"{name:12} {one['minutes']:7}  {rss:26} {handles}")
    return "\n".join(lines)


def _draw(series: Series, path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants the picture needs it

    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, what, title in zip(
        figure.subplots(2, 1, sharex=True), ("rss_mb", "handles"), ("memory, MB", "open files"), strict=True
    ):
        names = sorted({name for name, _ in series})
        for (name, _), samples in series.items():
            values = [getattr(one, what) for one in samples]
            axes.plot([one.minute for one in samples], values, color=f"C{names.index(name)}", label=name)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
    handles, labels = axes.get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))  # a process that was started again has one entry
    figure.legend(list(known.values()), list(known), loc="outside right upper")
    axes.set_xlabel("minutes")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
