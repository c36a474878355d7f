"""From a record of any form to a ticket, or to the reason why it is none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from model_export.dataset.options import Columns, Options
from model_export.dataset.reading import Record, open_table
from model_export.dataset.rows import DataError, Task

SHOWN_PROBLEMS = 5

TIME_FORMS = (
    "ISO 8601 (2026-03-02T16:00:00Z, 2026-03-02 16:00:00 -0800, UTC where no offset is given), "
    "Unix seconds or milliseconds"
)

YEAR_2100 = 4_102_444_800
"""Times from here on, and those before 1970, are what databases write for "never"."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the file, before any rule; ``created_at`` in Unix seconds, 0 when the file has no times."""

    ticket_id: str
    created_at: float
    subject: str
    description: str
    labels: tuple[str, ...]
    by_bot: bool


class Tickets(NamedTuple):
    """What a file holds.

    Attributes:
        tickets: the readable rows, in the file's order.
        task: ``multi`` when labels were separated or came as lists.
        malformed: rows that are no tickets.
        problems: number and reason of the first few of them.
    """

    tickets: list[Ticket]
    task: Task
    malformed: int
    problems: list[str]


class _BadTimeError(ValueError):
    pass


def read_tickets(path: Path, options: Options) -> Tickets:
    """Read all rows; the malformed ones are counted and left out.

    Raises:
        DataError: the file or a column is not there, no time is understood, or not one row is readable.
    """
    tickets: list[Ticket] = []
    problems: list[str] = []
    malformed = bad_times = lists = 0
    with open_table(path) as table:
        columns = _find(options.columns, table.columns, path)
        for number, record in table.records:
            try:
                tickets.append(_ticket(record, columns, options.separator))
                lists += isinstance(record, dict) and isinstance(record.get(columns.label), list)
            except ValueError as error:
                malformed += 1
                bad_times += isinstance(error, _BadTimeError)
                if len(problems) < SHOWN_PROBLEMS:
                    problems.append(f"row {number}: {error}")
    if not tickets and 0 < bad_times == malformed:
        raise DataError(
            f"{path}: no time in column {columns.created_at!r} is understood ({problems[0]}). "
            f"Understood are {TIME_FORMS}. Name another column with --column created_at=NAME, or use --split random"
        )
    if not tickets:
        raise DataError(f"{path} has no row to learn from: {'; '.join(problems) or 'there is only a header'}")
    return Tickets(tickets, "multi" if options.separator or lists else "single", malformed, problems)


def parse_time(value: object) -> float:
    """Unix seconds of one of ``TIME_FORMS``, given as text, number or datetime.

    Raises:
        ValueError: it is none of them, or not a time at which there were tickets.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        at = float(text)
    elif re.fullmatch(r"\d{12,14}(\.\d+)?", text):
        at = float(text) / 1000
    else:
        when = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", text))
        at = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not 0 <= at < YEAR_2100:
        raise ValueError(f"{text} is a placeholder")
    return at


def _find(columns: Columns, found: Sequence[str], path: Path) -> Columns:
    """The columns that are to be read, each of them there."""
    if columns.label_by_bot == Columns().label_by_bot and columns.label_by_bot not in found:
        columns = msgspec.structs.replace(columns, label_by_bot=None)
    for role, name in msgspec.structs.asdict(columns).items():
        if name is not None and name not in found:
            none = "" if role in {"description", "label"} else f", or --column {role}= if there is none"
            raise DataError(
                f"{path} has no column {name!r} (found: {', '.join(map(repr, found)) or 'none'}): "
                f"say where it is with --column {role}=NAME{none}"
            )
    return columns


def _ticket(record: Record | str, columns: Columns, separator: str | None) -> Ticket:
    """A ticket, or a ValueError with the reason why the row is none."""
    if isinstance(record, str):
        raise ValueError(record)  # noqa: TRY004 - the string is the reason
    subject = _string(record, columns.subject)
    description = _string(record, columns.description)
    labels = _labels(record, columns.label, separator)
    created_at = _time(record, columns.created_at)
    ticket_id = _string(record, columns.ticket_id).strip()
    if columns.ticket_id and not ticket_id:
        raise ValueError(f"{columns.ticket_id} is empty")
    written = "\n".join((ticket_id, str(created_at), subject, description, *labels))
    try:
        digest = hashlib.sha256(written.encode()).hexdigest()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return Ticket(
        ticket_id=ticket_id or digest[:16],
        created_at=created_at,
        subject=subject,
        description=description,
        labels=labels,
        by_bot=_flag(record, columns.label_by_bot),
    )


def _string(record: Record, column: str | None) -> str:
    return _as_text(record.get(column), column) if column else ""


def _as_text(value: object, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{column} is no text but a {type(value).__name__}")  # noqa: TRY004 - one type for all reasons
    return str(value)


def _labels(record: Record, column: str, separator: str | None) -> tuple[str, ...]:
    value = record.get(column)
    texts = [_as_text(one, column) for one in (value if isinstance(value, list) else [value])]
    if separator:
        texts = [part for text in texts for part in text.split(separator)]
    return tuple(sorted({text.strip() for text in texts} - {""}))


def _time(record: Record, column: str | None) -> float:
    if column is None:
        return 0.0
    value = "" if record.get(column) is None else record[column]
    try:
        return parse_time(value)
    except ValueError:
        raise _BadTimeError(f"{column} {str(value)[:40]!r} is not a time") from None


def _flag(record: Record, column: str | None) -> bool:
    value = record.get(column) if column else None
    match str(value).strip().lower():
        case "true" | "1":
            return True
        case "false" | "0" | "" | "none":
            return False
    raise ValueError(f"{column} is {value!r}, not true or false")
