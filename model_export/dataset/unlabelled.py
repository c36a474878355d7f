"""Texts without labels, for a strategy that learns the tickets' language first."""

from __future__ import annotations

from pathlib import Path

from model_export.bundle.text import prepare_text
from model_export.dataset.options import Columns
from model_export.dataset.reading import open_table
from model_export.dataset.rows import DataError


def read_texts(path: Path, columns: Columns) -> tuple[str, ...]:
    """The prepared text of each ticket that has any, once; no other column is looked at.

    Raises:
        DataError: the file cannot be read, or has no column or no row with text.
    """
    with open_table(path) as table:
        if columns.description not in table.columns:
            raise DataError(
                f"{path} has no column {columns.description!r} (found: {', '.join(map(repr, table.columns))}): "
                "say where it is with --column description=NAME"
            )
        texts = dict.fromkeys(
            prepare_text(_string(record.get(columns.subject or "")), _string(record[columns.description]))
            for _, record in table.records
            if isinstance(record, dict) and columns.description in record
        )
    texts.pop("", None)
    if not texts:
        raise DataError(f"{path} has no text in column {columns.description!r}: name another with --column")
    return tuple(texts)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
