"""The learning curve that ``presort-model compare`` measured, for the report of the model that came of it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from model_export.dataset.rows import DataError
from model_export.evaluate import Interval
from model_export.report.findings import LearningPoint


class _Range(msgspec.Struct):
    value: float
    low: float
    high: float


class _Point(msgspec.Struct):
    strategy: str
    rows: int
    macro_f1: _Range


class _Compared(msgspec.Struct):
    fingerprint: str
    points: list[_Point]


def read_learning(path: Path, fingerprint: str) -> tuple[LearningPoint, ...]:
    """The points in a ``compare.json``.

    Args:
        path: the file.
        fingerprint: of the data set that the report is about; figures of other test rows do not belong there.

    Raises:
        DataError: it is another file, or tells of other tickets.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Compared)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} is not the compare.json that `presort-model compare` writes ({error})") from error
    if found.fingerprint != fingerprint:
        raise DataError(f"{path} compares strategies on other tickets than these: compare again, with the same options")
    return tuple(
        LearningPoint(point.strategy, point.rows, Interval(*msgspec.structs.astuple(point.macro_f1)))
        for point in found.points
    )
