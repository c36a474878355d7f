"""Everything the report says, as figures: measured here, put into words and pictures elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from model_export.calibrate import TARGETS, Floats, Ints, Promise, Scored, best_f1_thresholds, promise
from model_export.dataset.rows import DataError, Dataset, Split, Task
from model_export.evaluate import (
    Baseline,
    ClassScores,
    Interval,
    Months,
    Parity,
    Reliability,
    Speed,
    answers,
    bootstrap,
    class_scores,
    confusion_matrix,
    coverage_curve,
    estimate_months,
    majority_baseline,
    observed_months,
    reliability,
    top,
)

EXAMPLE_CHARS = 140


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
        chosen: the promise that the bundle's thresholds are solved for.
        promises: the same for other targets, ascending.
        mistakes: the surest wrong answers by label number.
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
    promises: tuple[Promise, ...]
    mistakes: dict[int, tuple[Mistake, ...]]
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
            "target_precision": self.chosen.target,
            "coverage": self.chosen.delivery.coverage,
        }
        if self.chosen.delivery.touched:
            figures["filled_precision"] = self.chosen.delivery.precision
        return figures if self.top3 is None else figures | {"top3": self.top3}


def find(
    title: str,
    dataset: Dataset,
    calibration: Floats,
    test: Floats,
    *,
    target: float = 0.9,
    examples: int = 3,
    parity: Parity | None = None,
    speed: Speed | None = None,
    sizes: Mapping[str, int] | None = None,
    curves: Sequence[Curve] = (),
    learning: Sequence[LearningPoint] = (),
) -> Findings:
    """Measure a model on a data set's test rows.

    Args:
        title: the model's name and version.
        dataset: thresholds are solved on its calibration rows, everything else is measured on its test rows, on both
            leaving out rows of a weight below 1: our own earlier answers prove nothing. The month estimate takes
            precisions from the calibration rows and the mix of labels from all splits.
        calibration: (rows, L) probabilities of the calibration split, after the temperature.
        test: (rows, L) probabilities of the test split, after the temperature.
        target: precision to promise.
        examples: mistakes to quote a label; 0 quotes nobody.
        parity: of the int8 graph.
        speed: of the graph that ships, on this machine.
        sizes: bytes by file name.
        curves: pictures of training.
        learning: what other strategies or fewer tickets gave.

    Raises:
        DataError: people labelled none of the calibration or of the test rows.
    """
    splits = (dataset.train, dataset.calibration, dataset.test)
    held, rows = _by_people("calibration", dataset.calibration), _by_people("test", dataset.test)
    calibration, test = calibration[dataset.calibration.weights >= 1], test[dataset.test.weights >= 1]
    labels, targets = len(dataset.labels), rows.targets
    proof, scored = Scored(calibration, held.targets), Scored(test, targets)
    cuts = best_f1_thresholds(proof) if dataset.task == "multi" else None
    given = answers(test, cuts)
    names = tuple(dataset.names.get(label, label) for label in dataset.labels)
    findings = Findings(
        title=title,
        task=dataset.task,
        names=names,
        rows=len(test),
        created_at=(float(rows.created_at.min()), float(rows.created_at.max())),
        scores=class_scores(given, targets, labels),
        macro_f1=bootstrap(lambda r: class_scores(given[r], targets[r], labels).macro_f1, len(test)),
        accuracy=bootstrap(lambda r: class_scores(given[r], targets[r], labels).micro_f1, len(test)),
        baseline=majority_baseline(dataset.train.targets, targets, labels),
        reliability=reliability(scored),
        chosen=promise(proof, scored, target),
        promises=tuple(promise(proof, scored, each) for each in TARGETS),
        mistakes=_mistakes(rows, test, given, names, examples),
        parity=parity,
        speed=speed,
        sizes=dict(sizes or {}),
        curves=tuple(curves),
        learning=tuple(learning),
    )
    if dataset.task == "multi":
        return findings
    return msgspec.structs.replace(
        findings,
        top3=top(test, targets),
        confusion=confusion_matrix(given, targets, labels),
        curve=coverage_curve(scored),
        months=estimate_months(
            np.concatenate([split.created_at for split in splits]),
            np.concatenate([split.targets for split in splits]),
            class_scores(answers(proof.probabilities), proof.targets, labels).precision,
        ),
        observed=observed_months(rows.created_at, given == targets),
    )


def _by_people(name: str, split: Split) -> Split:
    rows = np.flatnonzero(split.weights >= 1)
    if not len(rows):
        raise DataError(f"people labelled none of the {name} rows: take a longer history, or let agents check some")
    return Split(
        [split.texts[row] for row in rows],
        split.targets[rows],
        split.weights[rows],
        split.created_at[rows],
        [split.ticket_ids[row] for row in rows],
    )


def _mistakes(
    rows: Split, likely: Floats, given: Ints, names: tuple[str, ...], examples: int
) -> dict[int, tuple[Mistake, ...]]:
    """Per label that was missed, the rows where the model was surest of something else."""
    best, sure = likely.argmax(axis=1), likely.max(axis=1)
    quoted = {}
    for label in range(len(names)):
        is_label = rows.targets == label if rows.targets.ndim == 1 else rows.targets[:, label] == 1
        is_found = given == label if given.ndim == 1 else given[:, label] == 1
        missed = np.flatnonzero(is_label & ~is_found & (best != label))
        surest = missed[np.argsort(-sure[missed], kind="stable")][:examples]
        quoted[label] = tuple(Mistake(_shorten(rows.texts[row]), names[best[row]], float(sure[row])) for row in surest)
    return {label: mistakes for label, mistakes in quoted.items() if mistakes}


def _shorten(text: str) -> str:
    """Cut at a word, so that half of an address or name does not look like one."""
    return text if len(text) <= EXAMPLE_CHARS else text[:EXAMPLE_CHARS].rsplit(" ", 1)[0] + " …"
