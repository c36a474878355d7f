"""What the rules took and what is left, as figures and as text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np

from model_export.dataset.rows import Dataset, Split, Task
from model_export.dataset.splitting import PARTS
from model_export.tables import aligned

SHOWN_LABELS = 10


class Rule(msgspec.Struct, frozen=True):
    """A rule and the rows it left out, or changed if it ``keeps`` them."""

    name: str
    rows: int
    keeps: bool = False


class Period(msgspec.Struct, frozen=True):
    """The time that a part's rows cover: Unix seconds, and the number of calendar months (UTC) with a row."""

    first: float
    last: float
    months: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a file became a data set.

    Attributes:
        source: the file.
        task: as in ``Dataset``.
        read: rows in the file.
        rules: in the order in which they were applied.
        problems: number and reason of the first few malformed rows.
        unknown_labels: labels that the field does not offer, with the rows that had them.
        not_enough: labels without enough data, with the rows that had them.
        min_support: the rows that a label needs, one of them in train.
        kept: rows in each of ``PARTS``.
        supports: label to its rows in each of ``PARTS``.
        periods: of each of ``PARTS``; empty when the file has no times.
        fingerprint: as in ``Dataset``.
        seconds: how long it took.
    """

    source: str
    task: Task
    read: int
    rules: tuple[Rule, ...]
    problems: tuple[str, ...]
    unknown_labels: dict[str, int]
    not_enough: dict[str, int]
    min_support: int
    kept: tuple[int, ...]
    supports: dict[str, tuple[int, ...]]
    periods: tuple[Period, ...]
    fingerprint: str
    seconds: float

    def render(self) -> str:
        """Aligned tables for a terminal."""
        total = sum(self.kept)
        return "\n\n".join(
            block
            for block in (
                self._headline(total),
                self._rules(total),
                _list("Malformed, for example", self.problems),
                _list("Not among the field's labels", _most(self.unknown_labels)),
                _list(f"Not enough data (under {self.min_support} rows, or none in train)", _most(self.not_enough)),
                self._parts(total),
                self._labels(total),
                f"fingerprint {self.fingerprint}",
            )
            if block
        )

    def _headline(self, total: int) -> str:
        return (
            f"{self.source}: {self.read:,} rows read, {total:,} kept with {len(self.supports)} labels ({self.task}), "
            f"in {self.seconds:.1f} s"
        )

    def _rules(self, total: int) -> str:
        rows = [(rule.name, f"{rule.rows:,}", _percent(rule.rows, self.read)) for rule in self.rules]
        return aligned([("rule", "rows", "%"), *rows, ("kept", f"{total:,}", _percent(total, self.read))])

    def _parts(self, total: int) -> str:
        rows = [(part, f"{rows:,}", _percent(rows, total)) for part, rows in zip(PARTS, self.kept, strict=True)]
        if not self.periods:
            return aligned([("part", "rows", "%"), *rows])
        spans = [(_day(one.first), _day(one.last), str(one.months)) for one in self.periods]
        header = ("part", "rows", "%", "from", "to", "months")
        return aligned([header, *((*row, *span) for row, span in zip(rows, spans, strict=True))])

    def _labels(self, total: int) -> str:
        rows = [
            (label, *(f"{rows:,}" for rows in counts), f"{sum(counts):,}", _percent(sum(counts), total))
            for label, counts in sorted(self.supports.items(), key=lambda item: -sum(item[1]))
        ]
        return aligned([("label", *PARTS, "total", "%"), *rows])


def count_supports(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Label to its rows in each of ``PARTS``."""
    numbers = np.arange(len(dataset.labels))
    counts = [
        split.targets.sum(axis=0) if dataset.task == "multi" else np.bincount(split.targets, minlength=len(numbers))
        for split in (dataset.train, dataset.calibration, dataset.test)
    ]
    return {label: tuple(int(rows) for rows in column) for label, *column in zip(dataset.labels, *counts, strict=True)}


def find_period(split: Split) -> Period:
    """The time that a split of at least one row covers."""
    months = {datetime.fromtimestamp(at, UTC).strftime("%Y-%m") for at in split.created_at}
    return Period(float(split.created_at.min()), float(split.created_at.max()), len(months))


def _list(title: str, lines: Iterable[str]) -> str:
    text = "\n".join(f"  {line}" for line in lines)
    return f"{title}:\n{text}" if text else ""


def _most(counts: dict[str, int]) -> list[str]:
    """The labels with most rows, one a line."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = len(ordered) - SHOWN_LABELS
    return [f"{label}  {rows:,}" for label, rows in ordered[:SHOWN_LABELS]] + ([f"and {more} more"] if more > 0 else [])


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}".rstrip("%") if whole else "-"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
