"""How good each run is, and how sure that is: one bootstrap for all runs, so that they can be subtracted.

Two strategies that err on the same tickets differ by far less than each one's own interval suggests. Every run is
therefore scored on the same resamples of the test rows, and a difference has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from model_export.calibrate import Ints
from model_export.compare.plan import Run
from model_export.evaluate import Interval
from model_export.strategies import STRATEGIES

REPETITIONS = 1000
LEVEL = 0.95

CELLS = 2_000_000
"""Resamples times rows that are in memory at once: 40 MB at the peak, 20 bytes a cell."""

Drawn = NDArray[np.float64]


class Outcome(NamedTuple):
    """What a run said and took.

    Attributes:
        answers: (N,) label numbers of the test rows, or (N, L) zeros and ones.
        metrics: what MLflow shows: ``fit_seconds``, ``predict_ms`` for 1,000 texts, and the run's scores.
        description: what was learned, in a line.
    """

    run: Run
    answers: Ints
    metrics: Mapping[str, float]
    description: str


class Figure(NamedTuple):
    """A figure of the test rows, and of every resample of them, (repetitions,)."""

    value: float
    drawn: Drawn

    def interval(self) -> Interval:
        """The percentile interval (Efron 1979)."""
        low, high = np.quantile(self.drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(self.value, float(low), float(high))

    def minus(self, other: Figure) -> Interval:
        """The difference, paired: resample by resample."""
        return Figure(self.value - other.value, self.drawn - other.drawn).interval()


class Scores(NamedTuple):
    """Macro-F1 and micro-F1 as in ``ClassScores``; accuracy: share of rows whose answer is right as a whole."""

    macro_f1: Figure
    micro_f1: Figure
    accuracy: Figure


class Point(NamedTuple):
    """A strategy after learning from so many rows: the mean over its seeds.

    Attributes:
        spread: lowest and highest macro-F1 of a seed.
        fit_seconds, predict_ms: learning; answering 1,000 texts.
    """

    strategy: str
    rows: int
    seeds: int
    scores: Scores
    spread: tuple[float, float]
    fit_seconds: float
    predict_ms: float


def make_points(outcomes: Sequence[Outcome], targets: Ints, labels: int) -> list[Point]:
    """Score all runs together; the points come by strategy, cheapest first, then by size.

    Args:
        outcomes: of runs on the same test rows, in any order.
        targets: (N,) or (N, L) truth of these rows.
        labels: L.
    """
    scored = zip(outcomes, score([outcome.answers for outcome in outcomes], targets, labels), strict=True)
    cheapest = list(STRATEGIES).index
    ordered = sorted(scored, key=lambda pair: (cheapest(pair[0].run.strategy), pair[0].run.rows, pair[0].run.seed))
    points = []
    for (strategy, rows), pairs in groupby(ordered, key=lambda pair: (pair[0].run.strategy, pair[0].run.rows)):
        ran, scores = zip(*pairs, strict=True)
        macro = [each.macro_f1.value for each in scores]
        points.append(
            Point(
                strategy=strategy,
                rows=rows,
                seeds=len(ran),
                scores=Scores(*(_mean(figures) for figures in zip(*scores, strict=True))),
                spread=(min(macro), max(macro)),
                fit_seconds=float(np.mean([outcome.metrics["fit_seconds"] for outcome in ran])),
                predict_ms=float(np.mean([outcome.metrics["predict_ms"] for outcome in ran])),
            )
        )
    return points


def score(answers: Sequence[Ints], targets: Ints, labels: int, *, seed: int = 0) -> list[Scores]:
    """Score R runs on the same rows and the same resamples of them.

    A resample is how often each row was drawn, so its counts per label are a product with a sparse matrix, for all
    resamples at once: 30 runs on 1,500 rows with 77 labels take a second or two.

    Args:
        answers: R arrays, each (N,) or (N, L).
        targets: (N,) or (N, L).
        labels: L.
        seed: the same seed draws the same rows.
    """
    truth = _members(targets, labels)
    given = [_members(each, labels) for each in answers]
    hits = [each * truth for each in given]
    right = [(each == targets).reshape(len(targets), -1).all(axis=1) for each in answers]
    drawn: list[list[Drawn]] = [[] for _ in answers]
    for counts in _resamples(len(targets), seed):
        support = counts @ truth
        for run, found in enumerate(drawn):
            found.append(_figures(counts @ hits[run], counts @ given[run], support, counts @ right[run] / len(targets)))
    figures = [np.concatenate(found, axis=1) for found in drawn]
    return [Scores(*(Figure(float(row[0]), row[1:]) for row in each)) for each in figures]


def _members(numbers: Ints, labels: int) -> csr_array:
    """(N, L), 1 where a row has a label."""
    if numbers.ndim == 2:
        return csr_array(numbers.astype(np.float32))
    rows = np.arange(len(numbers))
    return csr_array((np.ones(len(numbers), dtype=np.float32), (rows, numbers)), shape=(len(numbers), labels))


def _resamples(rows: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How often each row was drawn, (some resamples, rows); first of all, every row once: the rows as they are."""
    yield np.ones((1, rows), dtype=np.float32)
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // rows)
    for start in range(0, REPETITIONS, block):
        size = min(block, REPETITIONS - start)
        chosen = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(chosen.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float32)


def _figures(hits: Drawn, answers: Drawn, support: Drawn, accuracy: Drawn) -> Drawn:
    """Macro-F1, micro-F1 and accuracy of every resample, (3, resamples), from (resamples, L) counts."""
    both = answers + support
    f1 = 2 * hits / np.maximum(both, 1)
    macro = f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
    micro = 2 * hits.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return np.stack([macro, micro, accuracy]).astype(np.float64)


def _mean(figures: Sequence[Figure]) -> Figure:
    values, drawn = zip(*figures, strict=True)
    return Figure(float(np.mean(values)), np.mean(drawn, axis=0))
