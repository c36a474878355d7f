"""Where the commands' rows come from: the options that several of them share, and reading a file or a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from model_export.dataset.options import Options
    from model_export.dataset.rows import Dataset

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_OR_FOLDER = click.Path(exists=True, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])

_DEFAULTS: dict[str, Any] = {"bot_weight": 0.3, "near_duplicates": 5, "min_support": 20, "split": "time"}

_READING = (
    click.option("--column", "columns", multiple=True, metavar="ROLE=NAME", help="Another header: description=body."),
    click.option("--separator", help="Splits a label into several: a multi-select field."),
    click.option("--aliases", type=FILE, help='TOML, a line "old label" = "new label" each: renames and merges.'),
)
_RULES = (
    click.option("--offered", type=FILE, help="A value a line, what the field offers today; others are left out."),
    click.option("--names", type=FILE, help='TOML, a line "label" = "Name people read" each.'),
    click.option(
        "--bot-weight",
        default=_DEFAULTS["bot_weight"],
        show_default=True,
        help="Belief in labels that Presort itself wrote; 0: none.",
    ),
    click.option(
        "--near-duplicates",
        default=_DEFAULTS["near_duplicates"],
        show_default=True,
        help="Rows kept of texts that say nearly the same.",
    ),
    click.option("--min-support", default=_DEFAULTS["min_support"], show_default=True, help="Rows that a label needs."),
    click.option("--split", type=click.Choice(["time", "random"]), default=_DEFAULTS["split"], show_default=True),
)


class Reading(TypedDict):
    """What the options for reading a file say."""

    columns: tuple[str, ...]
    separator: str | None
    aliases: Path | None


class Rules(Reading):
    """What all options for making a data set say."""

    offered: Path | None
    names: Path | None
    bot_weight: float
    near_duplicates: int
    min_support: int
    split: Literal["time", "random"]


def reading_options(command: Command) -> Command:
    """A command with ``Reading``."""
    return _decorate(command, _READING)


def data_options(command: Command) -> Command:
    """A command with ``Rules``."""
    return _decorate(command, (*_READING, *_RULES))


def options_from(given: Rules, seed: int) -> Options:
    """Options for ``read``.

    Raises:
        DataError: one of them is no such option, or a file cannot be read.
    """
    from model_export.dataset.options import Options, parse_columns, read_aliases, read_values  # noqa: PLC0415 - see read

    return Options(
        columns=parse_columns(given["columns"]),
        separator=given["separator"],
        aliases=read_aliases(given["aliases"]) if given["aliases"] else {},
        allowed=read_values(given["offered"]) if given["offered"] else None,
        names=read_aliases(given["names"]) if given["names"] else {},
        bot_weight=given["bot_weight"],
        near_duplicates=given["near_duplicates"],
        min_support=given["min_support"],
        split=given["split"],
        seed=seed,
    )


def as_typed(given: Rules) -> list[str]:
    """The options again, for another command: those that are not at their defaults."""
    typed = []
    for name, value in given.items():
        option = "--column" if name == "columns" else f"--{name.replace('_', '-')}"
        values = value if isinstance(value, tuple) else () if value in (None, _DEFAULTS.get(name)) else (value,)
        typed += [word for one in values for word in (option, str(one))]
    return typed


def read(tickets: Path, options: Options) -> Dataset:
    """A data set from a file, whose report is printed, or from a folder that ``presort-model dataset`` made.

    Raises:
        DataError: no model can be made of it, or rules are given for a folder, which was made by its own.
    """
    from model_export.dataset import build, store  # noqa: PLC0415 - pyarrow and datasketch, which `check` needs not
    from model_export.dataset.options import Options  # noqa: PLC0415 - see above
    from model_export.dataset.rows import DataError  # noqa: PLC0415 - see above

    if not tickets.is_dir():
        data, report = build.build(tickets, options)
        click.echo(report.render())
        return data
    if options != Options(seed=options.seed):
        raise DataError(f"{tickets} was made by rules of its own: make it again with `presort-model dataset` and these")
    return store.load(tickets)


def _decorate(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
