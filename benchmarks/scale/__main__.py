"""How Presort grows: ``python -m benchmarks.scale --json``.

Real processes on this machine: Redis, receiver, workers, beat and the local Zendesk, whose own CPU is told apart. Each
part stops all that it started. ``sizes`` calculates; it needs the figures of all other parts, from the same run or from
``--figures``, a file with the lines that ``--json`` printed.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.scale import backlog, crews, day, memory, sizing

PARTS = ("workers", "sessions", "backlog", "day", "memory", "sizes")

ONE, TWO, FOUR, SIXTEEN = (1,), (1, 2), (1, 2, 4), (1, 2, 4, 8, 16)
SLEEP_S = 0.1


@click.command()
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="May be repeated; all unless told.")
@click.option("--tickets", default=200_000, show_default=True, help="Of the backlog.")
@click.option("--minutes", default=12.0, show_default=True, help="Of the day that are replayed; 1440 for all of it.")
@click.option("--figures", type=click.Path(path_type=Path, exists=True), help="Parts measured before, for sizes.")
@click.option("--quick", is_flag=True, help="Few of everything: whether it runs, not what it is worth.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a part instead of words.")
def main(
    *, only: tuple[str, ...], tickets: int, minutes: float, figures: Path | None, quick: bool, as_json: bool
) -> None:
    """Measure what more workers, a backlog and a day with bursts cost, and what memory each process takes.

    Example: python -m benchmarks.scale --only backlog --tickets 20000
    """
    say = partial(click.echo, err=True)
    found: dict[str, Any] = {}
    for line in figures.read_text(encoding="utf-8").splitlines() if figures else ():
        found |= json.loads(line)
    for name in only or PARTS:
        began = time.monotonic()
        say(name)
        if name == "sizes":
            try:
                click.echo(sizing.table(found))
            except KeyError as error:
                raise click.ClickException(
                    f"sizes needs the figures of {error}: run that part too, or --figures"
                ) from error
            continue
        found[name] = _measure(name, tickets=tickets, minutes=minutes, quick=quick, say=say)
        click.echo(json.dumps({name: found[name]}, indent=None if as_json else 1))
        say(f"{name}: {(time.monotonic() - began) / 60:.1f} minutes")


def _measure(name: str, *, tickets: int, minutes: float, quick: bool, say: Any) -> Any:  # noqa: ANN401 - each part has figures of its own
    match name:
        case "workers":
            return {
                "receivers": crews.receivers(ONE if quick else TWO, 200 if quick else 5_000, say),
                "workers": crews.with_model(ONE if quick else FOUR, 100 if quick else 4_000, say),
            }
        case "sessions":
            return crews.asleep(TWO if quick else SIXTEEN, 20 if quick else 300, SLEEP_S, say)
        case "backlog":
            return backlog.measure(300 if quick else tickets, say)
        case "day":
            return day.measure(day.TICKETS, 0.2 if quick else minutes, say, trial=200 if quick else 3_000)
        case _:
            return memory.measure(100 if quick else 5_000, say)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of all that must be stopped
    sys.exit(main())
