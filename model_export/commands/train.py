"""``presort-model train``: from tickets to a bundle on disk, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from model_export.commands.making import (
    BundleOptions,
    bundle_options,
    learning_of,
    make,
    refuse_existing,
    refuse_unfit,
)
from model_export.commands.rows import FILE, FILE_OR_FOLDER, Rules, data_options, options_from, read
from model_export.dataset.rows import DataError, Dataset
from model_export.strategies import STRATEGIES, Settings, StrategyError, load_strategy

if TYPE_CHECKING:
    from model_export.dataset.options import Columns
    from model_export.strategies.finetune import FineTuned

EXPORTABLE = ("finetune", "adapt_finetune", "few_shot")


@click.command()
@click.argument("tickets", type=FILE_OR_FOLDER)
@bundle_options
@click.option("--strategy", default="finetune", show_default=True, type=click.Choice(EXPORTABLE))
@click.option("--base", default="distilbert-base-uncased", show_default=True, help="A hub id or a folder.")
@click.option("--unlabelled", type=FILE, help="More tickets, labels not needed: adapt_finetune reads them first.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training rows; 4 or more unless told.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1))
@click.option("--max-length", default=256, show_default=True, type=click.IntRange(8, 512), help="Tokens of a text.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="The encoder's highest; unless told, one that suits its width, or that a range test finds.",
)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--seed", default=0, show_default=True, help="Of the training, and of a random split.")
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Keep the training's state in this folder.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option(
    "--keep-network", type=click.Path(file_okay=False, path_type=Path), help="Save the network too, for `export`, here."
)
@data_options
def train(
    *,
    tickets: Path,
    out: Path,
    name: str,
    target: float,
    fp16: bool,
    compared: Path | None,
    languages: tuple[str, ...],
    strategy: str,
    base: str,
    unlabelled: Path | None,
    epochs: int | None,
    batch_size: int,
    max_length: int,
    learning_rate: float | None,
    device: Literal["auto", "cpu", "cuda"],
    seed: int,
    checkpoints: Path | None,
    resume: bool,
    keep_network: Path | None,
    **given: Unpack[Rules],
) -> None:
    """Train on TICKETS (a file, or a folder that `dataset` made) and write a bundle with its report.

    Thresholds are solved on rows the training never saw, so that what is filled is right as often as --target says; a
    category that cannot promise that is only suggested.

    Example: presort-model train tickets.csv --out var/bundle --base sentence-transformers/all-MiniLM-L6-v2
    """
    refuse_existing(out)
    if unlabelled and strategy != "adapt_finetune":
        raise click.ClickException(f"{strategy} does not read --unlabelled: add --strategy adapt_finetune")
    if resume and not checkpoints:
        raise click.ClickException("--resume needs the folder to go on from: add --checkpoints FOLDER")
    try:
        load_strategy(strategy)  # before the tickets are read: it says what is not installed
        options = options_from(given, seed)
        data = read(tickets, options)
        refuse_unfit(data)
        learning = learning_of(compared, data)
        settings = Settings(
            task=data.task,
            labels=len(data.labels),
            seed=seed,
            base=base,
            unlabelled=_texts(unlabelled, options.columns) if unlabelled else (),
            max_length=max_length,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            device=device,
            checkpoints=checkpoints,
            resume=resume,
        )
        fitted = _fit(data, settings, strategy)
    except (DataError, StrategyError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\nTrained: {fitted.describe()}.")
    if keep_network:
        from model_export.network import save_network  # noqa: PLC0415 - torch

        save_network(fitted, data, keep_network)
        click.echo(f"The network is in {keep_network}; presort-model export makes other bundles of it.")
    from model_export.report.training import training_curves  # noqa: PLC0415 - torch

    curves = training_curves(fitted.curves, fitted.range_test)
    make(fitted, data, BundleOptions(out, name, target, fp16, languages), curves=curves, learning=learning)


def _texts(unlabelled: Path, columns: Columns) -> tuple[str, ...]:
    from model_export.dataset.unlabelled import read_texts  # noqa: PLC0415 - pyarrow

    return read_texts(unlabelled, columns)


def _fit(data: Dataset, settings: Settings, strategy: str) -> FineTuned:
    """Say the plan, then train.

    Raises:
        DataError, StrategyError: it cannot be done.
    """
    from model_export.base import BaseModelError  # noqa: PLC0415 - torch
    from model_export.train import TrainingError, choose_device  # noqa: PLC0415 - torch

    try:
        click.echo(f"\n{_plan(data, settings, strategy, str(choose_device(settings.device)))}\n")
        return load_strategy(strategy).fit(data.train, data.calibration, settings=settings)  # type: ignore[return-value]  # EXPORTABLE are networks
    except (BaseModelError, TrainingError) as error:
        raise StrategyError(str(error)) from error


def _plan(data: Dataset, settings: Settings, strategy: str, device: str) -> str:
    train, calibration, test = (len(split.texts) for split in (data.train, data.calibration, data.test))
    more = f", after {len(settings.unlabelled):,} without labels" if settings.unlabelled else ""
    epochs = settings.epochs
    if strategy == "finetune" and not epochs:
        from model_export.strategies.finetune import default_epochs  # noqa: PLC0415 - torch

        epochs = default_epochs(train, settings.batch_size)
    passes = f"{epochs} times each" if epochs else "as often as the strategy finds fit (--epochs)"
    rows = {
        "tickets": f"{train:,} to train on{more}, {calibration:,} to calibrate, {test:,} to test",
        "labels": f"{len(data.labels):,}, {'any number' if data.task == 'multi' else 'one'} a ticket",
        "strategy": f"{strategy}: {STRATEGIES[strategy]}",
        "base": f"{settings.base}, at most {settings.max_length} tokens of a ticket",
        "reads them": f"{passes}, {settings.batch_size} at a time",
        "device": device,
        "time": "said below, after the first batch",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
