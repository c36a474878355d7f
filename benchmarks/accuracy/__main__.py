"""Accuracy on public data: ``python -m benchmarks.accuracy --data FOLDER --json``.

Every strategy learns from the same rows and is scored on the same others in one run; the network is scored as the int8
bundle that would ship, beside what it was before. The data sets take from ten minutes to two hours each on two cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.accuracy import measure, public
from model_export.factory import make_bundle
from model_export.strategies import STRATEGIES, Settings, load_strategy
from model_export.strategies.finetune import FineTuned

BASE = "sentence-transformers/all-MiniLM-L6-v2"
NETWORK = "finetune"
COMPARED = ("naive_bayes", "tfidf_linear", "tfidf_lightgbm", NETWORK)

RECIPES: dict[str, dict[str, Any]] = {
    "banking77": {"epochs": 10, "max_length": 64},
    "banking77_promise": {"epochs": 6, "max_length": 64},
    "clinc150": {"epochs": 6, "max_length": 48},
    "goemotions": {"epochs": 3, "max_length": 64, "batch_size": 64, "learning_rate": 2.5e-4},
    "firefox": {"epochs": 1, "max_length": 64, "learning_rate": 2e-4},
}
"""What differs from the defaults: public texts are shorter than tickets, and two cores are slow."""


@click.command()
@click.option("--data", default="var/data", show_default=True, type=click.Path(path_type=Path), help="The files.")
@click.option("--only", multiple=True, type=click.Choice(list(public.FILES)), help="May be repeated; all unless told.")
@click.option("--strategy", multiple=True, type=click.Choice(list(STRATEGIES)), help="The same.")
@click.option("--base", default=BASE, show_default=True, help="The encoder, a hub id or a folder.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--bundles", type=click.Path(path_type=Path), help="Keep the bundles in this folder.")
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Keep trainings here, and go on with them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a data set instead of words.")
def main(
    *,
    data: Path,
    only: tuple[str, ...],
    strategy: tuple[str, ...],
    base: str,
    device: str,
    bundles: Path | None,
    checkpoints: Path | None,
    as_json: bool,
) -> None:
    """Measure strategies on public data sets.

    Example: python -m benchmarks.accuracy --data var/data --only banking77 --json
    """
    names = only or tuple(public.FILES)
    if missing := [public.FILES[name] for name in names if not (data / public.FILES[name]).exists()]:
        raise click.ClickException(f"{data} has no {', '.join(missing)}: docs/benchmarks.md says where they are from")
    for name in names:
        started = time.monotonic()
        loaded = public.load(name, data)
        settings = msgspec.convert(
            {
                "task": loaded.dataset.task,
                "labels": len(loaded.dataset.labels),
                "base": base,
                "device": device,
                "checkpoints": checkpoints and checkpoints / name,
                "resume": True,
                **RECIPES[name],
            },
            Settings,
        )
        figures = _measure(name, loaded, settings, strategy or COMPARED, bundles)
        figures["minutes"] = round((time.monotonic() - started) / 60, 1)
        click.echo(json.dumps({name: figures}) if as_json else _words(name, figures))


def _measure(
    name: str, loaded: public.Public, settings: Settings, strategies: tuple[str, ...], bundles: Path | None
) -> dict[str, Any]:
    dataset = loaded.dataset
    figures: dict[str, Any] = {
        "rows": [len(split.texts) for split in (dataset.train, dataset.calibration, dataset.test)],
        "labels": len(dataset.labels),
        "strategies": {},
    }
    resplit = name != "firefox"
    for strategy in strategies:
        click.echo(f"{name}: {STRATEGIES[strategy]}", err=True)
        started = time.monotonic()
        fitted = load_strategy(strategy).fit(dataset.train, dataset.calibration, settings=settings)
        held, test = measure.recalibrated(fitted, dataset)
        found = measure.scores(dataset, held, test)
        found["minutes"] = round((time.monotonic() - started) / 60, 1)
        figures["strategies"][strategy] = found
        click.echo(f"{name}: {strategy}: {json.dumps(found)}", err=True)
        if strategy != NETWORK:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            bundle = (bundles or Path(scratch)) / name
            bundle.parent.mkdir(parents=True, exist_ok=True)
            assert isinstance(fitted, FineTuned), "the other strategies make no bundle"
            made = make_bundle(fitted, dataset, bundle, name=name, target=0.9, say=partial(click.echo, err=True))
            figures["bundle"] = measure.bundle(bundle, made, fitted, loaded, resplit=resplit)
    return figures


def _words(name: str, figures: dict[str, Any], indent: str = "") -> str:
    lines = [f"{indent}{name}"]
    for key, value in figures.items():
        if isinstance(value, dict):
            lines.append(_words(key, value, indent + "  "))
        else:
            lines.append(f"{indent}  {key:24} {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
