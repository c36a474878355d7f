"""``presort-model evaluate``: a bundle as it ships, on tickets whose labels are known."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

import click
import numpy as np
from numpy.typing import NDArray

from model_export.bundle.manifest import BundleError, Label, Manifest
from model_export.bundle.predictor import Predictor
from model_export.commands.rows import FILE_OR_FOLDER, Reading, reading_options
from model_export.dataset.rows import DataError, Dataset, Row

if TYPE_CHECKING:
    from model_export.calibrate import Threshold

ASKED_AT_ONCE = 256


class Known(NamedTuple):
    """Rows that a bundle can be asked about.

    Attributes:
        dataset: they are its test split.
        unknown: labels that the bundle does not know, with the rows that had them.
        unseen: whether the bundle was made from the same data set, whose test split it never saw.
    """

    dataset: Dataset
    unknown: dict[str, int]
    unseen: bool


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tickets", type=FILE_OR_FOLDER)
@reading_options
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the report to this folder.")
def evaluate(*, bundle: Path, tickets: Path, out: Path | None, **given: Unpack[Reading]) -> None:
    """Score BUNDLE as it ships on TICKETS: all rows of a file, or the test rows of a folder that `dataset` made.

    Macro-F1 first, then what would be filled at the bundle's thresholds and how much of it is right, and each
    category. Labels that the bundle does not know are named and left out, and so is what Presort labelled itself.
    Give tickets that the model was not trained on: on others it looks better than it is.

    Example: presort-model evaluate var/bundle new-tickets.csv --out var/evaluation
    """
    from model_export.evaluate import measure_speed  # noqa: PLC0415 - scipy, which other commands need not
    from model_export.report.measuring import judge  # noqa: PLC0415 - see above
    from model_export.report.page import write_report  # noqa: PLC0415 - matplotlib and jinja2
    from model_export.report.summary import summarise  # noqa: PLC0415 - see above

    try:
        predictor = Predictor(bundle)
        manifest = predictor.manifest
        known = _from_folder(tickets, manifest, given) if tickets.is_dir() else _from_file(tickets, manifest, given)
        texts = known.dataset.test.texts
        findings = judge(
            f"{manifest.name} {manifest.version}",
            known.dataset,
            _ask(predictor, texts),
            [_threshold(label) for label in manifest.labels],
            target=manifest.metrics.get("target_precision", float("nan")),
            unseen=known.unseen,
            speed=measure_speed(predictor.predict, texts),
            sizes={predictor.graph: manifest.files[predictor.graph].size},
        )
    except (BundleError, DataError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{manifest.name}@{manifest.version}, {predictor.graph} on {predictor.provider}\n")
    click.echo(summarise(findings))
    _say_what_was_left_out(known)
    if out is not None:
        click.echo(f"\nReport: {write_report(out, findings)}")
    click.echo(f"\nNext: presort-model publish {bundle} --registry URL")


def _from_file(tickets: Path, manifest: Manifest, given: Reading) -> Known:
    from model_export.dataset.options import Options, parse_columns, read_aliases  # noqa: PLC0415 - pyarrow
    from model_export.dataset.rules import apply_label_rules, make_rows  # noqa: PLC0415 - see above
    from model_export.dataset.tickets import read_tickets  # noqa: PLC0415 - see above

    options = Options(
        columns=parse_columns(given["columns"]),
        separator=given["separator"],
        aliases=read_aliases(given["aliases"]) if given["aliases"] else {},
        allowed=tuple(label.value for label in manifest.labels),
        split="random",  # none is made; times are not needed
    )
    file = read_tickets(tickets, options)
    if file.task == "multi" and manifest.task == "single":
        raise DataError(f"{tickets} has several labels a ticket, {manifest.name} gives one: leave --separator out")
    known, _, unknown = apply_label_rules(file.tickets, options)
    rows, _ = make_rows(known, options)
    return Known(_as_test(rows, manifest), unknown, unseen=False)


def _from_folder(folder: Path, manifest: Manifest, given: Reading) -> Known:
    from model_export.dataset import store  # noqa: PLC0415 - pyarrow
    from model_export.dataset.arrays import rows_of  # noqa: PLC0415 - see above
    from model_export.dataset.rules import without_labels  # noqa: PLC0415 - see above

    if any(given.values()):
        raise DataError(f"{folder} was made by rules of its own: give a file of tickets, or leave the options out")
    data = store.load(folder)
    if data.task == "multi" and manifest.task == "single":
        raise DataError(f"{folder} has several labels a ticket, {manifest.name} gives one: they cannot be compared")
    rows = rows_of(data.test, data.labels)
    counts = Counter(label for row in rows for label in row.labels)
    unknown = {label: n for label, n in counts.most_common() if label not in {one.value for one in manifest.labels}}
    known = [row for row in (without_labels(row, unknown) for row in rows) if row.labels]
    if not known:
        raise DataError(f"{manifest.name} knows none of the labels in {folder}: {', '.join(unknown)}")
    unseen = manifest.data.get("fingerprint") == data.fingerprint and "training_rows" in manifest.data
    return Known(_as_test(known, manifest), unknown, unseen)


def _as_test(rows: list[Row], manifest: Manifest) -> Dataset:
    """The rows as a test split, numbered as the bundle numbers its labels."""
    from model_export.dataset.arrays import assemble  # noqa: PLC0415 - like its neighbours

    labels = [label.value for label in manifest.labels]
    names = {label.value: label.name for label in manifest.labels}
    return assemble({"train": [], "calibration": [], "test": rows}, labels, names, manifest.task)


def _ask(predictor: Predictor, texts: list[str]) -> NDArray[np.float32]:
    """Probabilities, (texts, L), with a progress bar on standard error."""
    parts = [texts[at : at + ASKED_AT_ONCE] for at in range(0, len(texts), ASKED_AT_ONCE)]
    with click.progressbar(parts, label="asking the model", file=sys.stderr) as bar:
        return np.concatenate([predictor.predict(part) for part in bar])


def _threshold(label: Label) -> Threshold:
    from model_export.calibrate import Threshold  # noqa: PLC0415 - scipy, which other commands need not

    return Threshold(label.threshold, label.support or 0, 0, label.precision_bound or 0.0, 0)


def _say_what_was_left_out(known: Known) -> None:
    if known.unknown:
        labels = ", ".join(f"{label} ({rows:,})" for label, rows in known.unknown.items())
        click.echo(f"\nLabels that the bundle does not know, with their tickets, left out: {labels}")
    ours = int((known.dataset.test.weights < 1).sum())
    if ours:
        click.echo(f"\nLabelled by Presort itself, left out: {ours:,}")
