"""The second half of ``train`` and the whole of ``export``: a network becomes a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from model_export.bundle.manifest import BundleError
from model_export.commands.rows import FILE
from model_export.dataset.arrays import by_people
from model_export.dataset.rows import DataError, Dataset

if TYPE_CHECKING:
    from model_export.factory import Exportable
    from model_export.report.findings import Curve, LearningPoint

Command = TypeVar("Command", bound=Callable[..., Any])


class BundleOptions(NamedTuple):
    """What ``bundle_options`` say; see their help."""

    out: Path
    name: str
    target: float
    fp16: bool
    languages: tuple[str, ...] = ()


def _check_languages(_: click.Context, option: click.Parameter, codes: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [code for code in codes if not (len(code) in (2, 3) and code.isascii() and code.islower())]:
        raise click.BadParameter(f"{wrong[0]} is no ISO 639 code: write en, de, pt", param=option)
    return codes


def bundle_options(command: Command) -> Command:
    """A command with ``BundleOptions``."""
    for option in (
        click.option(
            "--language",
            "languages",
            multiple=True,
            metavar="CODE",
            callback=_check_languages,
            help="That tickets are written in, ISO 639: en; may be repeated. In others they are only suggested.",
        ),
        click.option("--compared", type=FILE, help="compare.json of `compare`: its learning curve joins the report."),
        click.option("--fp16", is_flag=True, help="Add the graph for CUDA: the bundle grows by 40 %."),
        click.option(
            "--target",
            default=0.9,
            show_default=True,
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help="Precision that a filled category must reach.",
        ),
        click.option("--name", default="category", show_default=True, help="Of the model, in registry and on tickets."),
        click.option(
            "--out", default="var/bundle", show_default=True, type=click.Path(path_type=Path), help="The bundle."
        ),
    ):
        command = option(command)
    return command


def refuse_existing(out: Path) -> None:
    """Before hours of training rather than after.

    Raises:
        click.ClickException: there is something already.
    """
    if out.exists():
        raise click.ClickException(f"{out} exists, and a bundle is never changed: choose another --out or remove it")


def refuse_unfit(data: Dataset) -> None:
    """Rows that no bundle can be calibrated and tested on; as early as ``refuse_existing``.

    Raises:
        DataError: people labelled none of the calibration or of the test rows.
    """
    by_people(data.calibration, "calibration")
    by_people(data.test, "test")


def learning_of(compared: Path | None, data: Dataset) -> tuple[LearningPoint, ...]:
    """The learning curve for the report, if there is one; read as early as ``refuse_existing``.

    Raises:
        DataError: it is no such file, or of other tickets.
    """
    from model_export.report.compared import read_learning  # noqa: PLC0415 - scipy

    return read_learning(compared, data.fingerprint) if compared else ()


def make(
    fitted: Exportable,
    data: Dataset,
    options: BundleOptions,
    *,
    unseen: bool = True,
    curves: Sequence[Curve] = (),
    learning: Sequence[LearningPoint] = (),
) -> None:
    """Make the bundle; say what is being done, what it can do, and what to type next. See ``make_bundle``.

    Raises:
        click.ClickException: it cannot be made.
    """
    from model_export.export import ExportError  # noqa: PLC0415 - torch
    from model_export.factory import make_bundle  # noqa: PLC0415 - torch
    from model_export.pack import PackError  # noqa: PLC0415 - onnxruntime
    from model_export.report.summary import summarise  # noqa: PLC0415 - matplotlib

    out = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = make_bundle(
            fitted,
            data,
            out,
            name=options.name,
            target=options.target,
            fp16=options.fp16,
            languages=options.languages,
            unseen=unseen,
            curves=curves,
            learning=learning,
            say=lambda what: click.echo(what, err=True),
        )
    except (BundleError, DataError, ExportError, PackError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\n{summarise(made.findings)}")
    click.echo(f"\n{made.manifest.name}@{made.manifest.version} is in {out}; report: {out / 'report' / 'report.html'}")
    click.echo(f"Next: presort-model check {out}, then presort-model publish {out} --registry URL")
