"""The newest counts as the detector wants them: a row a category, its parents' and all tickets' below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from integration import counting
from integration.counting import ALL, Unit
from integration.settings import Classifier
from model_export.bundle.manifest import Label
from worker.parts import Parts

Ints = NDArray[np.int64]
N = TypeVar("N", bound=np.integer[Any])

HISTORY = 1500
"""Ticks looked at: a day of minutes, as long as an alert lasts at most, and an hour more."""


class Counted(NamedTuple):
    """R rows of T ticks.

    Attributes:
        rows: the labels' tags in the model's order, then parents as ``A::*``, then ``*``.
        names: what people read of each.
        counts: (R, T) tickets, oldest tick first; a silent label is a row of zeros.
        tickets: (T,) all of them, each once.
        last: the tick after the newest one.
    """

    rows: list[str]
    names: list[str]
    counts: Ints
    tickets: Ints
    last: int


def counted(parts: Parts, classifier: Classifier, now: float) -> Counted:
    """The newest ticks whose late tickets have come, since counting began, at most ``HISTORY``."""
    redis, config = parts.store.redis, parts.config.spikes
    labels = parts.predictors[classifier.name].manifest.labels
    last = int(now // config.tick_s) - config.late_ticks
    began = counting.began(redis, classifier.name)
    first = last if began is None else min(last, max(int(began // config.tick_s) + 1, last - HISTORY))
    rows, counts = read(redis, "ticks", classifier, labels, first=first, last=last)
    names = [*(label.name for label in labels), *(f"{one.removesuffix('::*')} (all)" for one in rows[len(labels) : -1])]
    return Counted(rows, [*names, "All tickets"], counts, counts[-1], last)


def read(
    redis: Redis, unit: Unit, classifier: Classifier, labels: Sequence[Label], *, first: int, last: int
) -> tuple[list[str], Ints]:
    """The rows, and (R, last - first) tickets in each tick or Unix hour."""
    categories = [*(label.value for label in labels), ALL]
    found = counting.series(redis, unit, classifier.name, categories, first=first, last=last)
    counts = np.array(found, dtype=np.int64).reshape(len(categories), last - first)
    rows, counts = rolled_up([label.name for label in labels], counts[:-1], counts[-1])
    return [*categories[:-1], *rows[len(labels) :]], counts


def rolled_up(names: Sequence[str], counts: NDArray[N], tickets: NDArray[N]) -> tuple[list[str], NDArray[N]]:
    """Rows of labels, and below them those of parents and of all tickets.

    A parent's tickets are its labels' sum: one with two of them counts twice there, and once in the last row.

    Args:
        names: of the labels; ``A::B`` is below ``A::*``.
        counts: (L, T) tickets by label and time.
        tickets: (T,) all of them, each once.

    Returns:
        R names, and (R, T) tickets.
    """
    above = parents(names)
    sums = [counts[places].sum(axis=0, keepdims=True, dtype=counts.dtype) for places in above.values()]
    return [*names, *above, ALL], np.concatenate([counts, *sums, tickets[None]])


def parents(names: Sequence[str]) -> dict[str, list[int]]:
    """``A::*`` to the places of the labels named ``A::...``, at every depth, if there are at least two.

    Not where that are all labels, or the same as of a parent further down: an alert must not come twice.
    """
    below: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        path = name.split("::")
        for depth in range(1, len(path)):
            below.setdefault("::".join([*path[:depth], "*"]), []).append(place)
    deepest = {tuple(below[row]): row for row in sorted(below, key=lambda one: one.count("::"))}
    return {row: list(places) for places, row in deepest.items() if 1 < len(places) < len(names)}
