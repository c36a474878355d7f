"""Tickets for the data-set tests."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WORDS = [a + b + c for a in "bdfgklmn" for b in "aeiou" for c in ("rt", "nd", "st", "lk")]
DAY = 86_400.0
START = 1_700_000_000.0


def text(number: int, length: int = 30) -> str:
    """Words that no other number's text has in this order."""
    return " ".join(random.Random(number).choices(WORDS, k=length))


def ticket(number: int, **values: Any) -> dict[str, Any]:
    """A row as an export writes it, one a day; the labels ``a`` and ``b`` in turn."""
    row = {
        "ticket_id": str(number),
        "created_at": str(START + number * DAY),
        "subject": "",
        "description": text(number),
        "label": "ab"[number % 2],
    }
    return row | values


def tickets(count: int = 100) -> list[dict[str, Any]]:
    return [ticket(number) for number in range(count)]


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
