"""``presort-model compare``: which strategy is best on these tickets, and how many labels it needs."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from model_export.commands.rows import FILE, FILE_OR_FOLDER, Rules, as_typed, data_options, options_from, read
from model_export.dataset.arrays import by_people
from model_export.dataset.rows import DataError, Dataset, Split
from model_export.strategies import Settings, StrategyError
from model_export.tables import aligned

if TYPE_CHECKING:
    from model_export.compare.plan import Run
    from model_export.compare.scoring import Outcome
    from model_export.compare.tracking import Store

BASE, MAX_LENGTH = "distilbert-base-uncased", 256


@click.command()
@click.argument("tickets", type=FILE_OR_FOLDER)
@click.option("--strategies", metavar="A,B", help="Default: naive_bayes,tfidf_linear,frozen,finetune; one of each way.")
@click.option("--sizes", metavar="N,N,all", help="Training rows. Default: 100, 200, 500, 1000 and so on up to all.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), help="Runs of each, on other rows.")
@click.option("--base", default=BASE, show_default=True, help="A hub id or a folder.")
@click.option("--vectors", type=FILE, help="Word vectors in GloVe's text format: `frozen` reads them, not the base.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training rows; 4 or more unless told.")
@click.option("--max-length", default=MAX_LENGTH, show_default=True, type=click.IntRange(8, 512), help="Tokens a text.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--mlflow", "uri", default="sqlite:///var/mlflow.db", show_default=True, help="Where runs are kept.")
@click.option("--experiment", default="presort-compare", show_default=True, help="Its name in MLflow.")
@click.option("--out", default="var/compare", show_default=True, type=click.Path(path_type=Path), help="The pages.")
@data_options
def compare(
    *,
    tickets: Path,
    strategies: str | None,
    sizes: str | None,
    seeds: int,
    base: str,
    vectors: Path | None,
    epochs: int | None,
    max_length: int,
    device: Literal["auto", "cpu", "cuda"],
    uri: str,
    experiment: str,
    out: Path,
    **given: Unpack[Rules],
) -> None:
    """Learn from growing parts of TICKETS (a file, or a folder that `dataset` made) in several ways, and compare.

    Every run is scored on the same test rows and kept in MLflow. What is finished is not run again: after an
    interruption the same command goes on. A run that fails is listed with its reason.

    Example: presort-model compare tickets.csv --strategies naive_bayes,tfidf_linear --sizes 100,1000,all
    """
    try:
        from model_export.compare import plan, tracking  # noqa: PLC0415 - MLflow, which other commands need not
    except ModuleNotFoundError as error:
        raise click.ClickException(f"compare needs {error.name}: pip install 'presort[compare]'") from error
    try:
        chosen = plan.parse_strategies(strategies)
        data = read(tickets, options_from(given, seed=0))
        steps = plan.parse_sizes(sizes, len(data.train.texts), len(data.labels))
        test = by_people(data.test, "test")
        settings = Settings(
            task=data.task,
            labels=len(data.labels),
            base=base,
            vectors=vectors,
            epochs=epochs,
            max_length=max_length,
            device=device,
        )
        store = tracking.open_store(uri, experiment)
        runs = plan.make_plan(chosen, steps, seeds)
        outcomes, failures = _run_all(runs, data, settings, store, uri)
    except (DataError, StrategyError, tracking.TrackingError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nInterrupted. What is finished is kept: the same command goes on from there.", err=True)
        raise click.exceptions.Exit(130) from None
    if not outcomes:
        raise click.ClickException(f"all {len(runs)} runs failed, the last one because: {failures[-1][1]}")
    _report(data, test, settings, outcomes, failures, source=[str(tickets), *as_typed(given)], out=out)
    click.echo(f"Every run, in MLflow's pages: {tracking.ui_command(uri)}")


def _run_all(
    runs: Sequence[Run], data: Dataset, settings: Settings, store: Store, uri: str
) -> tuple[list[Outcome], list[tuple[Run, str]]]:
    """Outcomes, and reasons of failure; on stderr the plan, then a line a run with the time left."""
    from model_export.compare import plan, running, tracking  # noqa: PLC0415 - see above

    fingerprint = plan.fingerprint_data(data)
    numbers = {run: plan.fingerprint(fingerprint, run, settings) for run in runs}
    kept = tracking.finished(store, set(numbers.values()))
    outcomes = [kept[numbers[run]] for run in runs if numbers[run] in kept]
    todo = [run for run in runs if numbers[run] not in kept]
    _say_plan(runs, len(data.train.texts), done=len(outcomes), uri=uri)
    measured = [(outcome.run, outcome.metrics["fit_seconds"]) for outcome in outcomes]
    failures: list[tuple[Run, str]] = []
    for number, run in enumerate(todo, start=1):
        started = time.monotonic()
        perform = partial(running.perform, run, data, settings, progress=sys.stderr.isatty())
        result = tracking.record(store, run, numbers[run], {"data": data.fingerprint, **_shared(settings)}, perform)
        seconds = time.monotonic() - started
        measured.append((run, seconds))
        if isinstance(result, str):
            failures.append((run, result))
            said = f"failed: {result}"
        else:
            outcomes.append(result)
            said = f"macro-F1 {result.metrics['macro_f1']:.1%}"
        left = plan.seconds_left(measured, todo[number:])
        click.echo(
            f"  {number} of {len(todo)}  {run.strategy}, {run.rows:,} rows, seed {run.seed}: {said}, {seconds:.1f} s"
            + (f"; about {_duration(left)} left" if left else ""),
            err=True,
        )
    return outcomes, failures


def _say_plan(runs: Sequence[Run], rows: int, *, done: int, uri: str) -> None:
    strategies, sizes = dict.fromkeys(run.strategy for run in runs), dict.fromkeys(run.rows for run in runs)
    seeds = len({run.seed for run in runs})
    click.echo(
        f"{len(runs)} runs: {', '.join(strategies)} x {', '.join(f'{size:,}' for size in sizes)} of {rows:,} rows x "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}. {done} are in {uri} already, {len(runs) - done} to do, the "
        "smallest first; the time left is told once every strategy has run.",
        err=True,
    )


def _duration(seconds: float) -> str:
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 3600:.1f} h"


def _shared(settings: Settings) -> dict[str, str]:
    """What all runs have in common, by option."""
    return {
        "base": settings.base,
        **({"vectors": str(settings.vectors)} if settings.vectors else {}),
        "epochs": str(settings.epochs or "by the rows"),
        "max-length": str(settings.max_length),
        "device": settings.device,
    }


def _report(
    data: Dataset,
    test: Split,
    settings: Settings,
    outcomes: Sequence[Outcome],
    failures: Sequence[tuple[Run, str]],
    *,
    source: Sequence[str],
    out: Path,
) -> None:
    """Write the pages; print the table, the answers and what to type next."""
    from model_export.compare.answers import answer  # noqa: PLC0415 - see above
    from model_export.compare.page import Comparison, table, write_comparison  # noqa: PLC0415 - see above
    from model_export.compare.scoring import make_points  # noqa: PLC0415 - see above
    from model_export.compare.words import in_words  # noqa: PLC0415 - see above

    points = make_points(outcomes, test.targets, len(data.labels))
    answers = answer(points)
    command = ["presort-model", "train", *source]
    if answers.best_to_ship:
        command += ["--strategy", answers.best_to_ship.strategy]
    for option, value, default in (
        ("--base", settings.base, BASE),
        ("--epochs", settings.epochs, None),
        ("--max-length", settings.max_length, MAX_LENGTH),
        ("--device", settings.device, "auto"),
    ):
        command += [option, str(value)] if value != default else []
    comparison = Comparison(
        task=data.task,
        labels=len(data.labels),
        training=len(data.train.texts),
        test=len(test.texts),
        fingerprint=data.fingerprint,
        settings=_shared(settings),
        points=points,
        failures=failures,
        answers=answers,
        next_command=shlex.join(command),
    )
    page = write_comparison(out, comparison)
    click.echo(aligned(table(comparison)))
    for run, reason in failures:
        click.echo(f"failed: {run.strategy}, {run.rows:,} rows, seed {run.seed}: {reason}")
    for question, said in in_words(answers):
        click.echo(f"\n{question}\n  {said}")
    click.echo(f"\nThe page: {page}\nNext: {comparison.next_command}")
