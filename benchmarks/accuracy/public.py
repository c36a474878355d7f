"""Public data sets as this project's own: read, prepared and split."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_export.bundle.text import prepare_text
from model_export.dataset import build
from model_export.dataset.arrays import assemble
from model_export.dataset.options import Columns, Options
from model_export.dataset.rows import Dataset, Row, Task

FILES = {
    "banking77": "banking77_train.csv",
    "banking77_promise": "banking77_train.csv",
    "clinc150": "clinc150_train_val.json",
    "goemotions": "goemotions/train.tsv",
    "firefox": "firefox_questions_2020_2023.csv.xz",
}
"""The file each needs in the data folder; docs/benchmarks.md says where they are from."""

FIREFOX_TOPICS = 11
FIREFOX_RENAMED = {"websites": "website-breakages"}
"""From one month to the next the first had no more questions, and the second had them all."""


class Public(NamedTuple):
    """A data set, and rows that belong to none of its classes.

    Attributes:
        dataset: rows of the file that thresholds and figures may see are not among its training rows.
        outside: prepared texts of no class for calibration and for test; empty where the data has none.
    """

    dataset: Dataset
    outside: tuple[list[str], list[str]] = ([], [])


def load(name: str, folder: Path) -> Public:
    """Read one of ``FILES``."""
    return _LOADERS[name](folder / FILES[name])


def _banking77(path: Path) -> Public:
    """85 % train, 5 % calibrate the temperature, 10 % test: nothing but accuracy is read off it."""
    return Public(_dataset(_csv_rows(path), (0.85, 0.90)))


def _banking77_promise(path: Path) -> Public:
    """Half trains; 77 classes need many calibration rows before any of them can promise something."""
    return Public(_dataset(_csv_rows(path), (0.5, 0.8)))


def _clinc150(path: Path) -> Public:
    """A tenth of the training rows calibrates, the published validation rows are the test."""
    data = json.loads(path.read_bytes())
    known, test = (_rows((text, (label,)) for text, label in data[part]) for part in ("train", "val"))
    outside = tuple([prepare_text(None, text) for text, _ in data[part]] for part in ("oos_train", "oos_val"))
    return Public(_dataset(known, (0.9, 1.0), test=test), (outside[0], outside[1]))


def _goemotions(path: Path) -> Public:
    """A tenth of the training rows calibrates, the published dev rows are the test."""
    labels = (path.parent / "labels.txt").read_text(encoding="utf-8").split()

    def read(part: str) -> list[Row]:
        lines = (path.parent / part).read_text(encoding="utf-8").splitlines()
        rows = (line.split("\t") for line in lines)
        return _rows((text, [labels[int(number)] for number in numbers.split(",")]) for text, numbers, _ in rows)

    return Public(_dataset(read("train.tsv"), (0.9, 1.0), test=read("dev.tsv"), task="multi"))


def _firefox(path: Path) -> Public:
    """By time with all of the product's rules, as ``presort-model dataset`` would; questions in all nine languages."""
    options = Options(
        columns=Columns(
            ticket_id="id", created_at="created", subject="title", description="text", label="topic", label_by_bot=None
        ),
        aliases=FIREFOX_RENAMED,
        min_support=200,
    )
    dataset, _ = build.build(path, options)
    if len(dataset.labels) != FIREFOX_TOPICS:
        raise SystemExit(f"{path} has {len(dataset.labels)} topics with enough rows, known are {FIREFOX_TOPICS}")
    return Public(dataset)


_LOADERS: dict[str, Callable[[Path], Public]] = {
    "banking77": _banking77,
    "banking77_promise": _banking77_promise,
    "clinc150": _clinc150,
    "goemotions": _goemotions,
    "firefox": _firefox,
}


def _csv_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return _rows((row["text"], [row["category"]]) for row in csv.DictReader(file))


def _rows(pairs: Iterable[tuple[str, Sequence[str]]]) -> list[Row]:
    """Texts and their labels as tickets; their number in the file is their id, and nobody knows when they came."""
    return [
        Row(ticket_id=str(number), created_at=0.0, text=prepare_text(None, text), labels=tuple(labels))
        for number, (text, labels) in enumerate(pairs)
    ]


def _dataset(
    rows: Sequence[Row], cuts: tuple[float, float], *, test: Sequence[Row] = (), task: Task = "single"
) -> Dataset:
    """Shuffled once, always the same way, and cut as published figures are: each row counts, near-duplicates too.

    Args:
        rows: of the file.
        cuts: shares of them at which calibration and test begin.
        test: more rows to test on.
        task: as in ``Dataset``.
    """
    order = np.random.default_rng(77).permutation(len(rows))
    parts = np.split(order, [round(cut * len(rows)) for cut in cuts])
    train, calibration, rest = ([rows[row] for row in part] for part in parts)
    labels = sorted({label for row in rows for label in row.labels})
    return assemble({"train": train, "calibration": calibration, "test": [*rest, *test]}, labels, {}, task)
