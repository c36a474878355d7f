"""How well spikes are found: ``python -m benchmarks.spikes --json``.

All of it takes some ten minutes on one core; ``--quick`` takes less than one and leaves real questions out. Every
detector sees the same made-up tickets; Farrington Flexible's own test bench and real questions are measured besides.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.spikes import experiments, firefox, noufaily

REAL = "firefox"
"""Needs the files of ``--data``."""

TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"comparison": experiments.table, "noufaily": noufaily.table}
EXPERIMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "speed": experiments.speed,
    "comparison": experiments.comparison,
    "cold_start": experiments.cold_start,
    "leak": experiments.leak,
}
NAMES = (*EXPERIMENTS, "noufaily", REAL)


@click.command()
@click.option("--data", default="var/data", show_default=True, type=click.Path(path_type=Path), help="Real series.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="May be repeated; all unless told.")
@click.option("--quick", is_flag=True, help="Few categories and weeks: whether it runs, not what it is worth.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an experiment instead of words.")
def main(*, data: Path, only: tuple[str, ...], quick: bool, as_json: bool) -> None:
    """Measure how well spikes are found, beside other detectors.

    Example: python -m benchmarks.spikes --only comparison --quick
    """
    say = partial(click.echo, err=True)
    there = (data / firefox.QUESTIONS).exists()
    if REAL in only and not there:
        raise click.ClickException(f"{data} has no {firefox.QUESTIONS}: docs/benchmarks.md says where it is from")
    names = only or (NAMES if there and not quick else tuple(name for name in NAMES if name != REAL))
    if not only and REAL not in names:
        say(f"without {REAL}, which needs {firefox.QUESTIONS} in {data} and four minutes: --only {REAL}")
    for name in names:
        started = time.monotonic()
        say(name)
        if name == REAL:
            figures = firefox.measure(data)
        elif name == "noufaily":
            figures = noufaily.measure(10 if quick else 100, data=data)
        else:
            figures = EXPERIMENTS[name](say, quick=quick)
        if as_json:
            click.echo(json.dumps({name: figures}))
        else:
            click.echo(f"{name}\n{TABLES.get(name, partial(json.dumps, indent=1))(figures)}")
        say(f"{name}: {(time.monotonic() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    sys.exit(main())
