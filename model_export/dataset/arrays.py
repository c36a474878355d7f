"""Rows as the arrays that learning needs, some of them, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_export.dataset.rows import DataError, Dataset, Row, Split, Task


def assemble(
    parts: Mapping[str, Sequence[Row]], labels: Sequence[str], names: Mapping[str, str], task: Task
) -> Dataset:
    """A data set of rows that are already split.

    Args:
        parts: ``train``, ``calibration`` and ``test``.
        labels: every label that occurs, sorted.
        names: label to the name people read; what is missing is its own name, what is not in ``labels`` is ignored.
        task: for ``single`` every row has one label.
    """
    number = {label: index for index, label in enumerate(labels)}
    return Dataset(
        task=task,
        labels=tuple(labels),
        names={label: names.get(label, label) for label in labels},
        train=_arrays(parts["train"], number, task),
        calibration=_arrays(parts["calibration"], number, task),
        test=_arrays(parts["test"], number, task),
        fingerprint=fingerprint(parts),
    )


def rows_of(split: Split, labels: Sequence[str]) -> list[Row]:
    """The rows that a split was made of."""
    several = split.targets.ndim == 2
    return [
        Row(
            ticket_id=ticket_id,
            created_at=float(at),
            text=text,
            labels=tuple(labels[int(index)] for index in (np.flatnonzero(target) if several else [target])),
            weight=float(weight),
        )
        for text, target, weight, at, ticket_id in zip(*split, strict=True)
    ]


def take(split: Split, rows: NDArray[np.int64]) -> Split:
    """Some rows of a split, in the order given."""
    return Split(
        [split.texts[row] for row in rows],
        split.targets[rows],
        split.weights[rows],
        split.created_at[rows],
        [split.ticket_ids[row] for row in rows],
    )


def by_people(split: Split, name: str) -> Split:
    """The rows whose labels people set: our own earlier answers prove nothing.

    Raises:
        DataError: there are none; the message calls the split ``name``.
    """
    rows = np.flatnonzero(split.weights >= 1)
    if not len(rows):
        raise DataError(f"people labelled none of the {name} rows: take a longer history, or let agents check some")
    return take(split, rows)


def fingerprint(parts: Mapping[str, Sequence[Row]]) -> str:
    """SHA-256 (hex) over ids, texts, labels, whether people set them, and parts; in whatever order the rows come.

    So where it is the same, the test rows are, and none of them was trained on.
    """
    lines = sorted(
        msgspec.json.encode((part, row.ticket_id, row.text, row.labels, row.weight >= 1))
        for part, rows in parts.items()
        for row in rows
    )
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _arrays(rows: Sequence[Row], number: Mapping[str, int], task: Task) -> Split:
    if task == "single":
        targets = np.array([number[row.labels[0]] for row in rows], dtype=np.int64)
    else:
        targets = np.zeros((len(rows), len(number)), dtype=np.int64)
        for target, row in zip(targets, rows, strict=True):
            target[[number[label] for label in row.labels]] = 1
    return Split(
        texts=[row.text for row in rows],
        targets=targets,
        weights=np.array([row.weight for row in rows], dtype=np.float32),
        created_at=np.array([row.created_at for row in rows], dtype=np.float64),
        ticket_ids=[row.ticket_id for row in rows],
    )
