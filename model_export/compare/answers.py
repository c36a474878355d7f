"""The three questions of the Outreach study (2019), answered for these tickets in figures.

Which strategy is best, from how many labels on fine-tuning wins, and how many labels are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from model_export.compare.scoring import Point
from model_export.evaluate import Interval

TUNED = frozenset({"finetune", "adapt_finetune", "few_shot"})
"""Strategies that train an encoder. Only these can become a bundle."""

CLOSE = 0.01
"""Macro-F1 that is not worth labelling more tickets for."""

LAW_SIZES = (3, 4)
"""Fewest sizes for a power law, and most: the largest ones, for a curve's beginning follows none (Hestness et al.
2017)."""

EXPONENTS = np.arange(1, 41) / 20


class Best(NamedTuple):
    """The strategy with the highest macro-F1 after learning from the most rows, and how far ahead it is, if of any."""

    point: Point
    runner_up: Point | None
    lead: Interval | None


class Crossing(NamedTuple):
    """Fine-tuning against the rest: each side's best at each size.

    Attributes:
        ahead: from this size on it is ahead at every size; None where it is behind at the largest.
        surely: the same, by more than chance.
        tuned, rest: each side's best at the largest size that both have.
        lead: between these two.
    """

    ahead: int | None
    surely: int | None
    tuned: Point
    rest: Point
    lead: Interval


class Enough(NamedTuple):
    """How soon the best strategy is as good as it gets.

    Attributes:
        rows: from this size on it is close to the largest, or not told apart from it.
        largest: most rows it learned from.
        before: ``rows``, or where that is the largest, the size before it.
        short: macro-F1 at ``largest`` minus at ``before``.
        doubling: macro-F1 that twice the largest would add by a power law; None where there are too few sizes.
    """

    rows: int
    largest: int
    before: int
    short: Interval
    doubling: float | None


class Answers(NamedTuple):
    """All three, as far as the runs allow.

    Attributes:
        best_to_ship: the best that can become a bundle, after learning from the most rows that any of them did.
        changes: the sizes from which on another strategy is best.
    """

    best: Best
    best_to_ship: Point | None
    crossing: Crossing | None
    enough: Enough | None
    changes: tuple[tuple[int, str], ...]


def answer(points: Sequence[Point]) -> Answers:
    """Compare points, at least one."""
    largest = max(point.rows for point in points)
    ranked = _ranked(point for point in points if point.rows == largest)
    best, *others = ranked
    runner_up = others[0] if others else None
    lead = best.scores.macro_f1.minus(runner_up.scores.macro_f1) if runner_up else None
    own = sorted((point for point in points if point.strategy == best.strategy), key=lambda point: point.rows)
    to_ship = list(_by_size(point for point in points if point.strategy in TUNED).values())
    return Answers(
        best=Best(best, runner_up, lead),
        best_to_ship=to_ship[-1][0] if to_ship else None,
        crossing=_crossing(points),
        enough=_enough(own),
        changes=_changes(points),
    )


def extrapolate(sizes: Sequence[int], scores: Sequence[float]) -> float | None:
    """What doubling the largest size would add, if the error goes on falling by the same law.

    The law is c + a n^-b, a power with a floor, the form that fits most learning curves (Viering and Loog 2021): for
    each exponent b the best a and c of at least 0 by least squares, and of these the best.

    Args:
        sizes: ascending.
        scores: macro-F1 at each.

    Returns:
        Macro-F1 gained, from 0 to what is left; None for fewer than three sizes.
    """
    fewest, most = LAW_SIZES
    if len(sizes) < fewest:
        return None
    relative = np.array(sizes[-most:]) / sizes[-1]
    error = 1 - np.array(scores[-most:])
    fits = []
    for exponent in EXPONENTS:
        (_, factor), residual = nnls(np.stack([np.ones(len(error)), relative**-exponent], axis=1), error)
        fits.append((residual, factor * (1 - 2**-exponent)))
    return float(min(min(fits)[1], error[-1]))


def _ranked(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda point: -point.scores.macro_f1.value)


def _by_size(points: Iterable[Point]) -> dict[int, list[Point]]:
    """The points of each size, best first; sizes ascending."""
    points = list(points)
    sizes = sorted({point.rows for point in points})
    return {rows: _ranked(point for point in points if point.rows == rows) for rows in sizes}


def _changes(points: Sequence[Point]) -> tuple[tuple[int, str], ...]:
    best = [(rows, ranked[0].strategy) for rows, ranked in _by_size(points).items()]
    return tuple(now for before, now in pairwise(best) if before[1] != now[1])


def _crossing(points: Sequence[Point]) -> Crossing | None:
    tuned = _by_size(point for point in points if point.strategy in TUNED)
    rest = _by_size(point for point in points if point.strategy not in TUNED)
    common = [rows for rows in tuned if rows in rest]
    if not common:
        return None
    leads = {rows: tuned[rows][0].scores.macro_f1.minus(rest[rows][0].scores.macro_f1) for rows in common}
    largest = common[-1]
    return Crossing(
        ahead=_first_of_last([rows for rows in common if leads[rows].value > 0], common),
        surely=_first_of_last([rows for rows in common if leads[rows].low > 0], common),
        tuned=tuned[largest][0],
        rest=rest[largest][0],
        lead=leads[largest],
    )


def _enough(own: Sequence[Point]) -> Enough | None:
    """Of one strategy's points, by size."""
    if len(own) < 2:
        return None
    *smaller, last = own
    short = {point.rows: last.scores.macro_f1.minus(point.scores.macro_f1) for point in smaller}
    close = [rows for rows, gap in short.items() if gap.value <= CLOSE or gap.low <= 0]
    rows = _first_of_last(close, list(short)) or last.rows
    before = min(rows, smaller[-1].rows)
    return Enough(
        rows=rows,
        largest=last.rows,
        before=before,
        short=short[before],
        doubling=extrapolate([point.rows for point in own], [point.scores.macro_f1.value for point in own]),
    )


def _first_of_last(found: Sequence[int], sizes: Sequence[int]) -> int | None:
    """The smallest size from which on all sizes were found; None where the largest was not."""
    first = None
    for rows in reversed(sizes):
        if rows not in found:
            break
        first = rows
    return first
