"""What a data set is made of: where the columns are, and the rules with their defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from model_export.dataset.rows import DataError


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Which column of the file is which; None where the file has none.

    Attributes:
        ticket_id: without it, a row is known by a hash of what it says.
        created_at: see ``tickets.parse_time``; without it only a random split is possible.
        subject: may be missing.
        description: the first message, as the customer wrote it.
        label: the field's value when the ticket was closed, or several.
        label_by_bot: true where our own worker wrote the label and nobody touched it; may be missing.
    """

    ticket_id: str | None = "ticket_id"
    created_at: str | None = "created_at"
    subject: str | None = "subject"
    description: str = "description"
    label: str = "label"
    label_by_bot: str | None = "label_by_bot"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The rules.

    Raises:
        DataError: options that no data set can be made with.

    Attributes:
        columns: where things are in the file.
        separator: splits a label into several; with it, or with lists in the file, the task is ``multi``.
        aliases: old label to new one. Each label is looked up once, so two names can be swapped.
        allowed: labels that the field offers today; None allows all.
        names: label to the name people read.
        bot_weight: how much a label is believed that our own worker wrote, in [0, 1]; 0 leaves such rows out.
        near_duplicates: rows kept of each cluster of texts that say nearly the same, at least 1.
        min_support: rows that a label needs, after all other rules.
        split: ``time`` or ``random``; see ``splitting``.
        seed: of the random split.
    """

    columns: Columns = Columns()
    separator: str | None = None
    aliases: dict[str, str] = {}
    allowed: tuple[str, ...] | None = None
    names: dict[str, str] = {}
    bot_weight: float = 0.3
    near_duplicates: int = 5
    min_support: int = 20
    split: Literal["time", "random"] = "time"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.columns.created_at is None and self.split == "time":
            raise DataError("a split by time needs the tickets' times: --column created_at=NAME, or --split random")
        if not 0 <= self.bot_weight <= 1:
            raise DataError(f"the weight of Presort's own labels is {self.bot_weight:g}: give 0 to 1")
        if self.near_duplicates < 1:
            raise DataError(
                f"{self.near_duplicates} near-duplicates kept of a kind would leave nothing: give 1 or more"
            )


def parse_columns(pairs: Iterable[str]) -> Columns:
    """Columns from ``ROLE=NAME`` pairs, such as ``description=body``; ``subject=`` says that there is none.

    Raises:
        DataError: a pair is something else.
    """
    names = dict(pair.partition("=")[::2] for pair in pairs)
    for role in names:
        if role not in Columns.__struct_fields__:
            raise DataError(f"no column is called for as {role!r}: use {', '.join(Columns.__struct_fields__)}")
    try:
        return msgspec.convert({role: name or None for role, name in names.items()}, Columns)
    except msgspec.ValidationError:
        raise DataError("the columns of description and label cannot be left out: name them") from None


def read_aliases(path: Path) -> dict[str, str]:
    """An alias map from TOML: one line ``"old label" = "new label"`` each; several old ones may share a new one.

    Raises:
        DataError: the file cannot be read, or is something else.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, str])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise DataError(f'{path} is no alias map ({error}): write one line "old label" = "new label" each') from error


def read_values(path: Path) -> tuple[str, ...]:
    """The values a field offers, from a text file with one a line.

    Raises:
        DataError: the file cannot be read, or has none.
    """
    try:
        values = tuple(filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines())))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): write the field's values into it, one a line") from error
    if not values:
        raise DataError(f"{path} is empty: write the field's values into it, one a line")
    return values
