"""A CSV file of old tickets, one row each: when it was filed, and its category. Commas, semicolons or tabs between."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from zoneinfo import ZoneInfo

from model_export.bundle.manifest import Label
from worker.backtest.history import History, HistoryError, gathered

COLUMNS = {"created_at": ("created_at",), "category": ("category", "label")}
"""Header names that are looked for; `label` is how `presort tickets` calls it."""

ENOUGH = 10
"""Tickets that are not all filed on the full hour by chance: the file has days or hours alone."""

FIELD_BYTES = 16 * 1024 * 1024
"""Longest field, and longest line that is held: a `presort tickets` file has whole texts."""

_UNPACKED: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_EXAMPLE = "write it as 2026-03-01T09:30:00+01:00, or as Unix seconds"


def read(
    path: Path,
    zone: str,
    *,
    since: float = 0.0,
    until: float = float("inf"),
    separator: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> History:
    """Read the whole file.

    Args:
        path: with the columns created_at and category (or label); ``.gz`` and ``.xz`` are opened too.
        zone: of times that come without one, an IANA name.
        since: only tickets filed then or later, Unix seconds.
        until: only tickets filed before.
        separator: between several categories of one ticket.
        progress: is told now and then how many more bytes of the file were read.

    Raises:
        HistoryError: the file cannot be replayed.
    """
    filed: list[tuple[float, tuple[str, ...]]] = []
    local = ZoneInfo(zone)
    for line, stamp, category in _lines(path, progress):
        at = _unix_time(stamp, local)
        if at is None:
            raise HistoryError(f"{path}, line {line}: created_at is {stamp[:40]!r}, which is no time: {_EXAMPLE}")
        if since <= at < until:
            parts = category.split(separator) if separator else [category]
            filed.append((at, tuple(part.strip() for part in parts if part.strip())))
    if len(filed) >= ENOUGH and all(at % 3600 == 0 for at, _ in filed):
        raise HistoryError(
            f"{path}: all tickets were filed on the full hour: created_at needs the time of day, {_EXAMPLE}"
        )
    tags = sorted({tag for _, found in filed for tag in found})
    return gathered([Label(value=tag, name=tag, threshold=1.0) for tag in tags], filed, str(path))


def _lines(path: Path, progress: Callable[[int], None]) -> Iterator[tuple[int, str, str]]:
    """The line on which each row begins, and its two columns."""
    csv.field_size_limit(FIELD_BYTES)
    line = 1
    try:
        with _opened(path) as (raw, file):
            lines = iter(partial(file.readline, FIELD_BYTES), "")
            first = next(lines, "")
            comma = max(",;\t", key=first.count)  # Excel writes semicolons where the comma is the decimal point
            reader = csv.reader(chain([first], lines), delimiter=comma)
            header = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
            at, category = (_column(path, header, wanted, names) for wanted, names in COLUMNS.items())
            told = 0
            line = reader.line_num + 1
            for row in reader:
                if row:
                    if len(row) <= max(at, category):
                        raise HistoryError(
                            f"{path}, line {line}: {len(row)} columns where the header has {len(header)}: "
                            "write every row with all columns, and texts with commas in quotes"
                        )
                    yield line, row[at], row[category]
                line = reader.line_num + 1
                if (place := raw.tell()) > told:
                    progress(place - told)
                    told = place
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path}, after line {line}: not UTF-8: save it as CSV UTF-8") from error
    except csv.Error as error:
        raise HistoryError(f"{path}, line {line}: {error}: save it as a comma-separated CSV file") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise HistoryError(f"{path} cannot be read: {error}: does it exist, whole, and is its ending right?") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, TextIO]]:
    """The file's bytes as they are on disk, which know how far it is, and its text."""
    with path.open("rb") as raw, _UNPACKED.get(path.suffix, nullcontext)(raw) as unpacked:
        # utf-8-sig: Excel begins its UTF-8 files with a mark.
        yield raw, io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="")


def _column(path: Path, header: Sequence[str], wanted: str, names: Sequence[str]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise HistoryError(
        f"{path}, line 1: no column {wanted}, there is {', '.join(header)[:200] or 'nothing'}: "
        "name the columns created_at and category"
    )


def _unix_time(text: str, zone: ZoneInfo) -> float | None:
    text = text.strip()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return float(text)
    try:
        at = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", text))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
