"""``presort alerts backtest``: which alerts there would have been."""

from __future__ import annotations

import os
import sys

import click


@click.command("backtest", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def backtest(options: tuple[str, ...]) -> None:
    """Show which spike alerts there would have been, to choose one of three sensitivities by looking.

    Takes the options that `presort alerts backtest --help` lists.

    Example: presort alerts backtest --from 2026-05-01 --to 2026-11-01
    """
    command = [sys.executable, "-m", "worker", "backtest", *options]
    os.execv(command[0], command)  # noqa: S606 - becomes the worker's own command: nobody here may import it
