"""Everything the report says, as figures: measured in ``measuring``, put into words and pictures elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from model_export.calibrate import Floats, Ints, Promise
from model_export.dataset.rows import Task
from model_export.evaluate import Baseline, ClassScores, Interval, Months, Parity, Reliability, Speed


class Mistake(NamedTuple):
    """A test ticket that got a wrong answer: its prepared text, shortened, and what was said with which confidence."""

    text: str
    answer: str
    confidence: float


class Curve(NamedTuple):
    """A picture of training: named lines over one axis, such as loss over epochs, or loss over learning rates.

    Attributes:
        series: name to (x, y) points.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False


class LearningPoint(NamedTuple):
    """A strategy's macro-F1 on the test rows after learning from so many rows."""

    strategy: str
    rows: int
    macro_f1: Interval


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a report about L labels on N test rows.

    Attributes:
        title: the model's name and version.
        names: (L) what people read.
        created_at: Unix seconds of the oldest and the newest test row.
        accuracy: single: share right; multi: micro-F1.
        top3: share with the right label among the likeliest three; single only, as are the next three.
        confusion: (L, L) counts, truth down.
        curve: share filled and precision, surest first.
        months, observed: the estimate for every month of the data, and (right, rows) of the test months.
        chosen: the promise that the bundle's thresholds are solved for; its target is NaN where the bundle names none.
        promises: the same for other targets, ascending; none where no rows are left to solve them on.
        mistakes: the surest wrong answers by label number.
        unseen: whether the model had never seen the rows; not known of a file that somebody gives.
        parity, speed, sizes, curves, learning: as far as they were measured; sizes are bytes by file name.
    """

    title: str
    task: Task
    names: tuple[str, ...]
    rows: int
    created_at: tuple[float, float]
    scores: ClassScores
    macro_f1: Interval
    accuracy: Interval
    baseline: Baseline
    reliability: Reliability
    chosen: Promise
    mistakes: dict[int, tuple[Mistake, ...]]
    promises: tuple[Promise, ...] = ()
    unseen: bool = True
    top3: float | None = None
    confusion: Ints | None = None
    curve: tuple[Floats, Floats] | None = None
    months: Months | None = None
    observed: dict[str, tuple[int, int]] = {}
    parity: Parity | None = None
    speed: Speed | None = None
    sizes: dict[str, int] = {}
    curves: tuple[Curve, ...] = ()
    learning: tuple[LearningPoint, ...] = ()

    def metrics(self) -> dict[str, float]:
        """The figures a manifest keeps, all of the test rows."""
        figures = {
            "rows": self.rows,
            "macro_f1": self.macro_f1.value,
            "accuracy" if self.task == "single" else "micro_f1": self.accuracy.value,
            "majority_macro_f1": self.baseline.macro_f1,
            "calibration_error": self.reliability.error,
            "coverage": self.chosen.delivery.coverage,
        }
        if not np.isnan(self.chosen.target):
            figures["target_precision"] = self.chosen.target
        if self.chosen.delivery.touched:
            figures["filled_precision"] = self.chosen.delivery.precision
        if self.parity is not None:
            figures |= {"int8_agreement": self.parity.agreement, "int8_macro_f1_loss": self.parity.loss}
        return figures if self.top3 is None else figures | {"top3": self.top3}
