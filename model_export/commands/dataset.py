"""``presort-model dataset``: from a file of tickets to rows a model may learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from model_export.dataset.rows import DataError

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("tickets", type=FILE)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--column", "columns", multiple=True, metavar="ROLE=NAME", help="Another header, as description=body.")
@click.option("--separator", help="Splits a label into several: a multi-select field.")
@click.option("--aliases", type=FILE, help='TOML, a line "old label" = "new label" each: renames and merges.')
@click.option(
    "--bot-weight", default=0.3, show_default=True, help="Belief in labels that Presort itself wrote; 0: none."
)
@click.option("--near-duplicates", default=5, show_default=True, help="Rows kept of texts that say nearly the same.")
@click.option("--min-support", default=20, show_default=True, help="Rows that a label needs.")
@click.option("--split", type=click.Choice(["time", "random"]), default="time", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the random split.")
def dataset(
    *,
    tickets: Path,
    folder: Path,
    columns: tuple[str, ...],
    separator: str | None,
    aliases: Path | None,
    bot_weight: float,
    near_duplicates: int,
    min_support: int,
    split: Literal["time", "random"],
    seed: int,
) -> None:
    """Read TICKETS (CSV, JSONL or Parquet), apply the rules, and save the data set to FOLDER.

    What was left out, and why, is printed with its counts.

    Example: presort-model dataset tickets.csv var/tickets --column description=body
    """
    from model_export.dataset import build, store  # noqa: PLC0415 - pyarrow and datasketch, which `check` needs not
    from model_export.dataset.options import Options, parse_columns, read_aliases  # noqa: PLC0415 - see above

    try:
        options = Options(
            columns=parse_columns(columns),
            separator=separator,
            aliases=read_aliases(aliases) if aliases else {},
            bot_weight=bot_weight,
            near_duplicates=near_duplicates,
            min_support=min_support,
            split=split,
            seed=seed,
        )
        made, report = build.build(tickets, options)
        store.save(made, folder)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    click.echo(report.render())
    click.echo(f"\nSaved to {folder}.")
