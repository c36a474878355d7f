"""``presort-model dataset``: from a file of tickets to rows a model may learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from model_export.commands.rows import FILE, Rules, data_options, options_from, read
from model_export.dataset.rows import DataError


@click.command()
@click.argument("tickets", type=FILE)
@click.argument("folder", type=click.Path(path_type=Path))
@data_options
@click.option("--seed", default=0, show_default=True, help="Of the random split.")
def dataset(*, tickets: Path, folder: Path, seed: int, **given: Unpack[Rules]) -> None:
    """Read TICKETS (CSV, JSONL or Parquet), apply the rules, and save the data set to FOLDER.

    What was left out, and why, is printed with its counts.

    Example: presort-model dataset tickets.csv var/tickets --column description=body
    """
    from model_export.dataset import store  # noqa: PLC0415 - pyarrow, which `check` needs not

    try:
        store.save(read(tickets, options_from(given, seed)), folder)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\nSaved to {folder}.")
    click.echo(f"Next: presort-model compare {folder}, or presort-model train {folder}")
