"""Measures a model: from probabilities and rows to the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from model_export.calibrate import (
    TARGETS,
    Floats,
    Ints,
    Promise,
    Scored,
    Threshold,
    best_f1_thresholds,
    deliver,
    promise,
)
from model_export.dataset.arrays import by_people
from model_export.dataset.rows import Dataset, Split
from model_export.evaluate import (
    Baseline,
    Parity,
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
from model_export.report.findings import Curve, Findings, LearningPoint, Mistake

EXAMPLE_CHARS = 140


def find(
    title: str,
    dataset: Dataset,
    calibration: Floats,
    test: Floats,
    *,
    target: float = 0.9,
    examples: int = 3,
    unseen: bool = True,
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
        unseen: whether training left the test rows alone, as far as is known.
        parity: of the int8 graph.
        speed: of the graph that ships, on this machine.
        sizes: bytes by file name.
        curves: pictures of training.
        learning: what other strategies or fewer tickets gave.

    Raises:
        DataError: people labelled none of the calibration or of the test rows.
    """
    splits = (dataset.train, dataset.calibration, dataset.test)
    held, rows = by_people(dataset.calibration, "calibration"), by_people(dataset.test, "test")
    calibration, test = calibration[dataset.calibration.weights >= 1], test[dataset.test.weights >= 1]
    proof, scored = Scored(calibration, held.targets), Scored(test, rows.targets)
    labels = len(dataset.labels)
    findings = _measure(
        title,
        names_of(dataset),
        rows,
        test,
        answers(test, best_f1_thresholds(proof) if dataset.task == "multi" else None),
        chosen=promise(proof, scored, target),
        baseline=majority_baseline(dataset.train.targets, rows.targets, labels),
        examples=examples,
        unseen=unseen,
    )
    findings = msgspec.structs.replace(
        findings,
        promises=tuple(promise(proof, scored, each) for each in TARGETS),
        parity=parity,
        speed=speed,
        sizes=dict(sizes or {}),
        curves=tuple(curves),
        learning=tuple(learning),
    )
    if dataset.task == "multi" or not rows.created_at.any():  # the file has no times
        return findings
    return msgspec.structs.replace(
        findings,
        months=estimate_months(
            np.concatenate([split.created_at for split in splits]),
            np.concatenate([split.targets for split in splits]),
            class_scores(answers(proof.probabilities), proof.targets, labels).precision,
        ),
        observed=observed_months(rows.created_at, answers(test) == rows.targets),
    )


def judge(
    title: str,
    dataset: Dataset,
    likely: Floats,
    thresholds: Sequence[Threshold],
    *,
    target: float,
    unseen: bool,
    examples: int = 3,
    speed: Speed | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Findings:
    """Measure a bundle as it ships, on the rows that are in a data set's test split.

    Nothing is solved here. A multi-label ticket counts as given each label that is likelier than not. The majority is
    that of these rows.

    Args:
        title: the model's name and version.
        dataset: rows of a weight below 1 are left out.
        likely: (rows, L) probabilities of the test split.
        thresholds: (L) the bundle's.
        target: the precision they were solved for; NaN when that is not known.
        unseen: whether the model had never seen the rows.
        examples: mistakes to quote a label.
        speed: of the graph that answered, on this machine.
        sizes: bytes by file name.

    Raises:
        DataError: people labelled none of the rows.
    """
    rows = by_people(dataset.test, "test")
    likely = likely[dataset.test.weights >= 1]
    multi = dataset.task == "multi"
    labels = len(dataset.labels)
    findings = _measure(
        title,
        names_of(dataset),
        rows,
        likely,
        answers(likely, np.full(labels, 0.5) if multi else None),
        chosen=Promise(
            target, tuple(thresholds), deliver(Scored(likely, rows.targets), [each.value for each in thresholds])
        ),
        baseline=majority_baseline(rows.targets, rows.targets, labels),
        examples=examples,
        unseen=unseen,
    )
    return msgspec.structs.replace(findings, speed=speed, sizes=dict(sizes or {}))


def names_of(dataset: Dataset) -> tuple[str, ...]:
    """(L) what people read."""
    return tuple(dataset.names.get(label, label) for label in dataset.labels)


def _measure(
    title: str,
    names: tuple[str, ...],
    rows: Split,
    likely: Floats,
    given: Ints,
    *,
    chosen: Promise,
    baseline: Baseline,
    examples: int,
    unseen: bool,
) -> Findings:
    """What needs no other rows than these."""
    labels, targets = len(names), rows.targets
    single = targets.ndim == 1
    scored = Scored(likely, targets)
    return Findings(
        title=title,
        task="single" if single else "multi",
        names=names,
        rows=len(likely),
        created_at=(float(rows.created_at.min()), float(rows.created_at.max())),
        scores=class_scores(given, targets, labels),
        macro_f1=bootstrap(lambda r: class_scores(given[r], targets[r], labels).macro_f1, len(likely)),
        accuracy=bootstrap(lambda r: class_scores(given[r], targets[r], labels).micro_f1, len(likely)),
        baseline=baseline,
        reliability=reliability(scored),
        chosen=chosen,
        mistakes=_mistakes(rows, likely, given, names, examples),
        unseen=unseen,
        top3=top(likely, targets) if single else None,
        confusion=confusion_matrix(given, targets, labels) if single else None,
        curve=coverage_curve(scored) if single else None,
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
