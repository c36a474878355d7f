"""``presort-model check``: look at a bundle before a worker does."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from model_export.bundle.manifest import BundleError, Label
from model_export.bundle.predictor import Predictor, read_golden
from model_export.bundle.text import prepare_text


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
def check(bundle: Path, texts: tuple[str, ...]) -> None:
    """Load BUNDLE as a worker would, with its self-test, and say what is in it.

    Each TEXT is classified as a ticket's description; the three likeliest categories are shown. The exit status is 1
    when the bundle must not serve.

    Example: presort-model check demo/bundle "My parcel never arrived"
    """
    try:
        predictor = Predictor(bundle)
        _describe(predictor, bundle)
    except BundleError as error:
        raise click.ClickException(str(error)) from error
    for text in texts:
        _classify(predictor, text)
    click.echo(f"\nNext: presort-model publish {bundle} --registry URL")


def _describe(predictor: Predictor, bundle: Path) -> None:
    manifest = predictor.manifest
    sequences, _ = read_golden(bundle)
    start = time.perf_counter()
    predictor.logits(sequences)
    milliseconds = (time.perf_counter() - start) * 1000 / len(sequences)
    tokens = np.mean([len(sequence) for sequence in sequences])
    size = sum(file.size for file in manifest.files.values())
    rows = {
        "name": manifest.name,
        "version": manifest.version,
        "base": manifest.base,
        "task": f"{manifest.task}, at most {manifest.max_length} tokens, text version {manifest.text_version}",
        "self-test": f"{predictor.agreement:.1%} of {len(sequences)} golden sequences agree",
        "graph": f"{predictor.graph} on {predictor.provider}",
        "speed": f"{milliseconds:.2f} ms a ticket of {tokens:.0f} tokens on average",
        "size": f"{size / 1e6:.2f} MB",
        **{f"  {name}": f"{file.size / 1e6:.2f} MB" for name, file in manifest.files.items()},
        "metrics": "" if manifest.metrics else "none",
        **{f"  {name}": f"{value:.6g}" for name, value in manifest.metrics.items()},
    }
    width = max(len(name) for name in rows)
    for name, value in rows.items():
        click.echo(f"{name:{width}}  {value}".rstrip())
    width = max(len(label.value) for label in manifest.labels)
    click.echo(f"\n{'label':{width}}  {'threshold':>12}  {'proved right':>12}  name")
    for label in manifest.labels:
        proved = "-" if label.precision_bound is None else f"{label.precision_bound:.0%}"
        click.echo(f"{label.value:{width}}  {_threshold(label):>12}  {proved:>12}  {label.name}")


def _threshold(label: Label) -> str:
    return f"{label.threshold:.0%}" if label.threshold <= 1 else "suggest only"


def _classify(predictor: Predictor, text: str) -> None:
    prepared = prepare_text("", text)
    probabilities = predictor.predict([prepared])[0]
    click.echo(f"\n{prepared}")
    for rank, index in enumerate(probabilities.argsort()[::-1][:3]):
        label = predictor.manifest.labels[index]
        verdict = ", sure enough to fill" if rank == 0 and probabilities[index] >= label.threshold else ""
        click.echo(f"{probabilities[index]:7.1%}  {label.value} ({label.name}){verdict}")
