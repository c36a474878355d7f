"""``presort-model train``: from tickets to a bundle on disk, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from model_export.bundle.manifest import Manifest
from model_export.dataset.rows import DataError, Dataset
from model_export.strategies import Settings, StrategyError, load_strategy

EXPORTABLE = ("finetune", "adapt_finetune", "few_shot")


@click.command()
@click.argument("tickets", type=click.Path(exists=True, path_type=Path))
@click.option("--out", default="var/bundle", show_default=True, type=click.Path(path_type=Path), help="The bundle.")
@click.option("--name", default="category", show_default=True, help="Of the model, in the registry and on tickets.")
@click.option("--target", default=0.9, show_default=True, help="Precision that a filled category must reach.")
@click.option("--strategy", default="finetune", show_default=True, type=click.Choice(EXPORTABLE))
@click.option("--base", default="distilbert-base-uncased", show_default=True, help="A hub id or a folder.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training rows; 4 or more unless told.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1))
@click.option("--max-length", default=256, show_default=True, type=click.IntRange(8, 512), help="Tokens of a text.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--seed", default=0, show_default=True)
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Keep the training's state in this folder.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
def train(
    *,
    tickets: Path,
    out: Path,
    name: str,
    target: float,
    strategy: str,
    base: str,
    epochs: int | None,
    batch_size: int,
    max_length: int,
    device: Literal["auto", "cpu", "cuda"],
    seed: int,
    checkpoints: Path | None,
    resume: bool,
) -> None:
    """Train on TICKETS (a file, or a folder that `dataset` made) and write a bundle with its report.

    Thresholds are solved on rows the training never saw, so that what is filled is right as often as --target says; a
    category that cannot promise that is only suggested.

    Example: presort-model train tickets.csv --out var/bundle --base models/minilm
    """
    if out.exists():
        raise click.ClickException(f"{out} exists, and a bundle is never changed: choose another --out or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = _read(tickets)
        settings = Settings(
            task=data.task,
            labels=len(data.labels),
            seed=seed,
            base=base,
            max_length=max_length,
            epochs=epochs,
            batch_size=batch_size,
            device=device,
            checkpoints=checkpoints,
            resume=resume,
        )
        manifest = _make(data, settings, strategy=strategy, out=out, name=name, target=target)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    except StrategyError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\n{manifest.name}@{manifest.version} is in {out}; its report: {out / 'report' / 'report.html'}")
    for figure, value in manifest.metrics.items():
        click.echo(f"  {figure:20} {value:.4g}")
    click.echo(f"Next: presort-model check {out}, then presort-model publish {out} --registry URL")


def _read(tickets: Path) -> Dataset:
    from model_export.dataset import build, store  # noqa: PLC0415 - pyarrow and datasketch, which other commands need not

    if tickets.is_dir():
        return store.load(tickets)
    data, report = build.build(tickets)
    click.echo(report.render())
    return data


def _make(data: Dataset, settings: Settings, *, strategy: str, out: Path, name: str, target: float) -> Manifest:
    module = load_strategy(strategy)  # before anything else: it says what is not installed
    from model_export.base import BaseModelError  # noqa: PLC0415 - torch
    from model_export.evaluate import ParityError  # noqa: PLC0415 - scipy
    from model_export.export import ExportError  # noqa: PLC0415 - torch
    from model_export.factory import Exportable, make_bundle  # noqa: PLC0415 - torch
    from model_export.train import TrainingError  # noqa: PLC0415 - torch

    try:
        fitted: Exportable = module.fit(data.train, data.calibration, settings=settings)  # type: ignore[assignment]  # the three choices are networks
        click.echo(f"\nTrained: {fitted.describe()}. Now export, int8, calibration, report.")
        return make_bundle(fitted, data, out, name=name, target=target).manifest
    except (BaseModelError, TrainingError, ExportError, ParityError) as error:
        raise StrategyError(str(error)) from error
