"""``presort-model export``: a network that is trained already, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from model_export.commands.making import BundleOptions, bundle_options, learning_of, make, refuse_existing
from model_export.commands.rows import FILE_OR_FOLDER, Rules, data_options, options_from, read
from model_export.dataset.rows import DataError


@click.command()
@click.argument("network", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tickets", type=FILE_OR_FOLDER)
@bundle_options
@click.option(
    "--max-length", type=click.IntRange(8, 512), help="Tokens of a text; what the tokenizer says unless told."
)
@data_options
@click.option("--seed", default=0, show_default=True, help="Of the random split.")
def export(
    *,
    network: Path,
    tickets: Path,
    out: Path,
    name: str,
    target: float,
    fp16: bool,
    compared: Path | None,
    languages: tuple[str, ...],
    max_length: int | None,
    seed: int,
    **given: Unpack[Rules],
) -> None:
    """Make a bundle of NETWORK, a folder with a fine-tuned BERT or DistilBERT classifier, with its report.

    It may come from `train --keep-network`, or from elsewhere: then the labels in its config.json (id2label) must be
    the field's values. TICKETS (a file, or a folder that `dataset` made) calibrate and test it: give what it was not
    trained on, or the very data set, whose calibration and test rows it left alone.

    Example: presort-model export var/network var/tickets --out var/bundle
    """
    refuse_existing(out)
    try:
        from model_export.dataset.report import count_supports  # noqa: PLC0415 - numpy
        from model_export.network import NetworkError, in_order_of, load_network  # noqa: PLC0415 - torch
    except ModuleNotFoundError as error:
        raise click.ClickException(f"export needs {error.name}: pip install 'presort[train]'") from error
    try:
        loaded = load_network(network, max_length)
        data = in_order_of(loaded.labels, read(tickets, options_from(given, seed)), loaded.task)
        learning = learning_of(compared, data)
    except (DataError, NetworkError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\n{loaded.describe()}, {len(loaded.labels)} labels, {loaded.max_length} tokens a text")
    bare = [label for label, rows in count_supports(data).items() if not sum(rows)]
    if bare:
        click.echo(f"No ticket has these labels, so they are only suggested: {', '.join(bare)}")
    unseen = loaded.data == data.fingerprint
    if not unseen:
        click.echo("Whether it was trained on these tickets is not known; if it was, it looks better than it is.")
    make(loaded, data, BundleOptions(out, name, target, fp16, languages), unseen=unseen, learning=learning)
