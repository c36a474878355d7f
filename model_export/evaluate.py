"""How good a model is, on rows it has not seen. Arrays in, figures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.calibrate import Bools, Floats, Ints, Scored, answers_by_label

LARGEST_LOSS = 0.005
"""Macro-F1 that an int8 graph may lose against fp32."""

LEAST_AGREEMENT = 0.98
"""Share of rows for which int8 and fp32 must find the same label likeliest."""


SPEED_TEXTS = 200
"""So many are timed at most."""


class ParityError(Exception):
    """The int8 graph is not as good as the model it was made from; the message says by how much."""


class ClassScores(NamedTuple):
    """Counts per label, and what follows from them. A share of nothing is 0.

    Attributes:
        hits: (L,) answers that were right.
        answers: (L,) how often the label was the answer.
        support: (L,) how often it was the truth.
    """

    hits: Ints
    answers: Ints
    support: Ints

    @property
    def precision(self) -> NDArray[np.float64]:
        """(L,) share of a label's answers that are right."""
        return _share(self.hits, self.answers)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(L,) share of a label's rows that are found."""
        return _share(self.hits, self.support)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(L,) harmonic mean of precision and recall."""
        return _share(2 * self.hits, self.answers + self.support)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the labels that occur, as truth or as answer; each counts the same, however rare."""
        occurs = (self.answers + self.support) > 0
        return float(self.f1[occurs].mean()) if occurs.any() else 0.0

    @property
    def micro_f1(self) -> float:
        """F1 over all answers together; for single-label rows this is the accuracy."""
        return float(_share(2 * self.hits.sum(), self.answers.sum() + self.support.sum()))


class Interval(NamedTuple):
    """A figure with the range that contains 95 % of its values over resampled rows."""

    value: float
    low: float
    high: float


class Baseline(NamedTuple):
    """What always answering with the most frequent training label would score."""

    label: int
    macro_f1: float
    micro_f1: float


class Reliability(NamedTuple):
    """Said against found, in B bins of equal width from 0 to 1.

    Attributes:
        confidence: (B,) mean confidence; NaN in an empty bin, as is accuracy.
        accuracy: (B,) share that was right.
        answers: (B,) how many there are.
        error: expected calibration error, the mean distance between the two, weighted by answers.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    answers: Ints
    error: float


class Parity(NamedTuple):
    """An int8 graph beside the fp32 one, on the same rows.

    Attributes:
        agreement: share of rows with the same likeliest label.
        macro_f1: of fp32 and of int8.
    """

    agreement: float
    macro_f1: tuple[float, float]

    @property
    def loss(self) -> float:
        """Macro-F1 lost by int8; negative when it happens to be better."""
        return self.macro_f1[0] - self.macro_f1[1]


class Months(NamedTuple):
    """An accuracy for each of M calendar months (UTC), and what to expect of the next.

    Attributes:
        names: (M) such as ``2023-07``, in order; months without rows are left out.
        rows: (M,) rows of the month.
        accuracy: (M,) estimated from the month's mix of labels.
        mean, low, high: of ``accuracy``: the mean, and the 34.1 % and 65.9 % quantiles.
    """

    names: tuple[str, ...]
    rows: Ints
    accuracy: NDArray[np.float64]
    mean: float
    low: float
    high: float


class Speed(NamedTuple):
    """Milliseconds for a ticket that comes alone, median and 99th percentile; tickets a second when many wait."""

    p50_ms: float
    p99_ms: float
    per_second: float


def answers(probabilities: Floats, thresholds: Floats | None = None) -> Ints:
    """A model's answers: (N,) likeliest labels, or with (L,) thresholds the (N, L) zeros and ones of a multi-label."""
    if thresholds is None:
        return np.asarray(probabilities.argmax(axis=1))
    return (probabilities >= thresholds).astype(np.int64)


def class_scores(given: Ints, targets: Ints, labels: int) -> ClassScores:
    """Count answers against truth; both (N,) label numbers, or both (N, L) zeros and ones."""
    if targets.ndim == 2:
        return ClassScores((given & targets).sum(axis=0), given.sum(axis=0), targets.sum(axis=0))
    hits = np.bincount(targets[given == targets], minlength=labels)
    return ClassScores(hits, np.bincount(given, minlength=labels), np.bincount(targets, minlength=labels))


def top(probabilities: Floats, targets: Ints, k: int = 3) -> float:
    """Share of single-label rows whose label is among the k likeliest."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == targets[:, None]).any(axis=1).mean())


def confusion_matrix(given: Ints, targets: Ints, labels: int) -> Ints:
    """(L, L) counts of single-label rows: truth down, answer across."""
    return np.bincount(targets * labels + given, minlength=labels * labels).reshape(labels, labels)


def majority_baseline(train: Ints, targets: Ints, labels: int) -> Baseline:
    """Score the most frequent label of the training targets on others; both (N,) or both (N, L)."""
    counts = train.sum(axis=0) if train.ndim == 2 else np.bincount(train, minlength=labels)
    label = int(counts.argmax())
    given = np.full(len(targets), label)
    scores = class_scores(np.eye(labels, dtype=np.int64)[given] if targets.ndim == 2 else given, targets, labels)
    return Baseline(label, scores.macro_f1, scores.micro_f1)


def bootstrap(
    statistic: Callable[[Ints], float], rows: int, *, repetitions: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile bootstrap (Efron 1979) of a figure.

    Args:
        statistic: the figure for an array of row numbers, which may repeat.
        rows: how many rows there are.
        repetitions: resamples; a thousand settle the interval to about a tenth of its width.
        seed: the same seed draws the same rows.
        level: share of the resampled figures inside the interval.
    """
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(rows, size=rows)) for _ in range(repetitions)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(np.arange(rows)), float(low), float(high))


def reliability(scored: Scored, bins: int = 10) -> Reliability:
    """Compare what a model says with what comes true (Guo et al. 2017).

    Single: each row's best label. Multi: each label that reaches ``FLOOR``; the many that a row surely does not have
    would make any model look well calibrated.
    """
    pairs = list(answers_by_label(scored))
    confidence, right = (np.concatenate(column) for column in zip(*pairs, strict=True))
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    said = np.bincount(bin_of, weights=confidence, minlength=bins)
    found = np.bincount(bin_of, weights=right, minlength=bins)
    error = float(np.abs(said - found).sum() / max(1, count.sum()))
    full = np.where(count > 0, count, np.nan)
    return Reliability(said / full, found / full, count, error)


def coverage_curve(scored: Scored) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Single-label rows, surest first: the share filled so far and the precision so far, both (N,)."""
    confidence = scored.probabilities.max(axis=1)
    right = (scored.probabilities.argmax(axis=1) == scored.targets)[np.argsort(-confidence, kind="stable")]
    filled = np.arange(1, len(right) + 1)
    return filled / len(right), np.cumsum(right) / filled


def parity(fp32: Floats, int8: Floats, targets: Ints, thresholds: Floats | None = None) -> Parity:
    """Hold two graphs' (N, L) probabilities for the same rows against each other; thresholds for multi-label."""
    labels = fp32.shape[1]
    before, after = (class_scores(answers(each, thresholds), targets, labels).macro_f1 for each in (fp32, int8))
    return Parity(float((fp32.argmax(axis=1) == int8.argmax(axis=1)).mean()), (before, after))


def check_parity(measured: Parity) -> None:
    """The gate before publishing.

    Raises:
        ParityError: int8 loses more than half a point of macro-F1, or disagrees on more than 2 % of the rows.
    """
    if measured.loss > LARGEST_LOSS or measured.agreement < LEAST_AGREEMENT:
        raise ParityError(
            f"int8 loses {measured.loss * 100:.2f} points of macro-F1 against fp32 (allowed {LARGEST_LOSS * 100:g}) "
            f"and agrees on {measured.agreement:.2%} of the rows (needed {LEAST_AGREEMENT:.0%})"
        )


def month_names(created_at: Floats) -> NDArray[np.str_]:
    """(N,) calendar months in UTC, such as ``2023-07``, of (N,) Unix seconds."""
    return np.array([f"{datetime.fromtimestamp(float(at), UTC):%Y-%m}" for at in created_at], dtype=np.str_)


def estimate_months(created_at: Floats, targets: Ints, precision: Floats) -> Months:
    """What accuracy a changing mix of labels lets one expect: Hudl's estimate for support e-mails.

    a_m = sum_i p_i n_im / sum_i n_im, with p_i the precision of label i and n_im the rows with label i in month m. The
    quantiles are Hudl's: a narrow range around the mean with the middle third of the months, no confidence interval.

    Args:
        created_at: (N,) Unix seconds.
        targets: (N,) label numbers.
        precision: (L,) of each label, measured on other rows than these.
    """
    months = month_names(created_at)
    names, number = np.unique(months, return_inverse=True)
    rows = np.bincount(number)
    accuracy = np.bincount(number, weights=precision[targets]) / rows
    low, high = np.quantile(accuracy, [0.341, 0.659])
    return Months(tuple(names.tolist()), rows, accuracy, float(accuracy.mean()), float(low), float(high))


def observed_months(created_at: Floats, right: Bools) -> dict[str, tuple[int, int]]:
    """For each month with rows: how many answers were right, and of how many."""
    months = month_names(created_at)
    return {str(name): (int(right[months == name].sum()), int((months == name).sum())) for name in np.unique(months)}


def measure_speed(ask: Callable[[Sequence[str]], object], texts: Sequence[str]) -> Speed:
    """Time a model on this machine as it is now: up to ``SPEED_TEXTS`` alone, then all together; three warm it up."""
    texts = texts[:SPEED_TEXTS]
    ask(texts[:3])
    alone = []
    for text in texts:
        start = time.perf_counter()
        ask([text])
        alone.append((time.perf_counter() - start) * 1000)
    start = time.perf_counter()
    ask(texts)
    p50, p99 = np.quantile(alone, [0.5, 0.99])
    return Speed(float(p50), float(p99), len(texts) / (time.perf_counter() - start))


def _share(part: Ints, whole: Ints) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole, 1), dtype=np.float64)
