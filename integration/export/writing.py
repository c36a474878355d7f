"""Rows as the file that ``presort-model`` reads (docs/training.md), and the table that says what is in it."""

from __future__ import annotations

import csv
import gzip
import lzma
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from integration.export.part import Row, Totals

FORMS = (".csv", ".jsonl")
COMPRESSED: Mapping[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
COLUMNS = ("ticket_id", "created_at", "subject", "description", "label", "label_by_bot", "label_by", "predicted")

SEPARATOR = " "
"""Between several labels in CSV: the one character that no tag has, since tags are separated by it themselves."""

SHOWN_LABELS = 10


def form_of(path: Path) -> str | None:
    """``.csv`` or ``.jsonl``, whether compressed or not; None for any other name."""
    name = path.with_suffix("") if path.suffix in COMPRESSED else path
    return name.suffix if name.suffix in FORMS else None


def write(rows: Iterable[Row], path: Path) -> None:
    """Write a file that only its owner may read; it appears whole or not at all.

    Args:
        rows: with labels, and decided whose they are.
        path: its name says the form, see ``form_of``.
    """
    aside = path.with_name(f".{path.name}.partial")
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)
    try:
        with COMPRESSED.get(path.suffix, open)(aside, "wt", encoding="utf-8", newline="") as file:
            (_write_csv if form_of(path) == ".csv" else _write_json_lines)(rows, file)
        with aside.open("rb") as file:
            os.fsync(file.fileno())  # the part file, which took hours, is removed next
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def table(totals: Totals) -> str:
    """How many rows there are, by label, and what was left out and why."""
    seen = totals.rows + sum(totals.left_out.values())
    shown = list(islice(totals.labels.items(), SHOWN_LABELS))
    others = len(totals.labels) - len(shown)
    lines = [*_counted("label", shown, totals.rows)]
    if others:
        lines.append(f"  and {others} labels more")
    if totals.by_bot:
        lines += ["", *_counted("written by", _writers(totals), totals.rows)]
    if totals.left_out:
        lines += ["", *_counted("left out", totals.left_out.items(), seen)]
    return "\n".join(lines)


def next_command(path: Path, name: str, *, multi: bool) -> str:
    """What to type into a shell next, to train a model of that name."""
    separator = f" --separator {shlex.quote(SEPARATOR)}" if multi and form_of(path) == ".csv" else ""
    return f"presort-model train {shlex.quote(str(path))} --name {name}{separator}"


def _write_csv(rows: Iterable[Row], file: TextIO) -> None:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for row in map(_record, rows):
        for name in ("label", "predicted"):
            row[name] = SEPARATOR.join(row[name]) if isinstance(row[name], list) else row[name]
        row["label_by_bot"] = str(row["label_by_bot"]).lower()
        writer.writerow(row)


def _write_json_lines(rows: Iterable[Row], file: TextIO) -> None:
    file.writelines(msgspec.json.encode(row).decode() + "\n" for row in map(_record, rows))


def _record(row: Row) -> dict[str, Any]:
    created_at = None if row.created_at is None else datetime.fromtimestamp(row.created_at, UTC).isoformat()
    label = (row.label, row.label_by == "presort", row.label_by or None, row.predicted)
    return dict(zip(COLUMNS, (row.id, created_at, row.subject, row.description, *label), strict=True))


def _writers(totals: Totals) -> list[tuple[str, int]]:
    return [
        ("people, forms and rules", totals.rows - totals.by_bot),
        ("Presort, and nobody changed it", totals.by_bot),
    ]


def _counted(title: str, counts: Iterable[tuple[str, int]], whole: int) -> Iterator[str]:
    yield f"  {title:38} {'tickets':>10} {'%':>6}"
    for name, count in counts:
        yield f"  {name:38} {count:>10,} {100 * count / whole:>6.1f}"
