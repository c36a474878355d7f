"""What the rest of model_export knows of data: rows, splits, a data set."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Task = Literal["single", "multi"]


class DataError(Exception):
    """Data that no model can be made from; the message names the cause and the cure."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One ticket of the history.

    Attributes:
        created_at: Unix seconds.
        text: subject and description after ``prepare_text``.
        labels: the field's values when the ticket was closed; exactly one for a single-choice field.
        weight: how much the labels are believed; below 1 when our own worker wrote them and nobody touched them.
    """

    ticket_id: str
    created_at: float
    text: str
    labels: tuple[str, ...]
    weight: float = 1.0


class Split(NamedTuple):
    """Rows as arrays.

    Attributes:
        texts: (N) prepared texts.
        targets: (N,) label numbers for ``single``, (N, L) zeros and ones for ``multi``.
        weights: (N,) as in ``Row``.
        created_at: (N,) Unix seconds.
        ticket_ids: (N).
    """

    texts: list[str]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    created_at: NDArray[np.float64]
    ticket_ids: list[str]


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a strategy, a calibration and a report need.

    Attributes:
        labels: (L) the labels by number, sorted.
        names: label to the name people read; a label without one is its own name.
        train, calibration, test: oldest 70 %, next 15 %, newest 15 %, unless asked otherwise.
        fingerprint: SHA-256 over ids, texts, labels, whether people set them, and parts of all rows kept: the same data
            and rules give the same one.
    """

    task: Task
    labels: tuple[str, ...]
    names: dict[str, str]
    train: Split
    calibration: Split
    test: Split
    fingerprint: str
