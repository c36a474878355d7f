"""What is replayed: tickets by category and minute, wherever they were read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integration.counting import ALL
from model_export.bundle.manifest import Label
from worker.counted import rolled_up

HOUR = 60
"""Minutes."""

CELLS = 500_000_000
"""Most counts that are held at once, two bytes each."""

LONGEST = 10 * 365 * 24 * HOUR
"""Minutes that are replayed at most: ten years."""

Minutes = NDArray[np.uint16]


class HistoryError(Exception):
    """There is nothing that can be replayed; the message names the place, the cause and the cure."""


class History(NamedTuple):
    """R rows of M minutes.

    Attributes:
        rows, names: as in ``worker.counted.Counted``: categories, then parents as ``A::*``, then ``*`` for all.
        counts: (R, M) tickets in each minute, oldest first; of whole hours.
        start: Unix seconds, a whole hour.
        tickets: those with a category.
        unsorted: those without, which count for nothing.
    """

    rows: list[str]
    names: list[str]
    counts: Minutes
    start: int
    tickets: int
    unsorted: int


def gathered(labels: Sequence[Label], filed: Collection[tuple[float, tuple[str, ...]]], where: str) -> History:
    """Count tickets.

    Args:
        labels: all categories there are.
        filed: when each ticket was filed, in Unix seconds, and the values of its labels.
        where: they were read, for errors.

    Raises:
        HistoryError: there is none with a category, there are far too many categories or tickets in a minute, or a time
            of another age.
    """
    sorted_ = [one for one in filed if one[1]]
    if not sorted_:
        raise HistoryError(
            f"{where}: no ticket with a category in the time asked for, and {len(filed):,} without one: "
            "is it the right column or field, and are --from and --to right?"
        )
    times = np.array([at for at, _ in sorted_])
    start = int(times.min()) // 3600 * 3600
    minutes = ((times - start) // 60).astype(np.int64)
    length = (int(minutes.max()) // HOUR + 1) * HOUR
    if length > LONGEST:
        oldest, year = datetime.fromtimestamp(start, UTC), 365 * 24 * HOUR
        raise HistoryError(
            f"{where}: the oldest ticket is of {oldest:%Y-%m-%d}, {length / year:.0f} years before the newest, and "
            f"{LONGEST // year} are replayed at most: is a date wrong? Else leave out what is older with --from"
        )
    if len(labels) * length > CELLS:
        raise HistoryError(
            f"{where}: {len(labels):,} categories in {length / HOUR / 24:,.0f} days are too many to hold in memory: "
            "take less time with --from and --to; and is it the right column?"
        )
    each = np.repeat(minutes, [len(values) for _, values in sorted_])
    if (most := int(np.bincount(each).max())) > np.iinfo(np.uint16).max:
        at = datetime.fromtimestamp(start + 60 * int(np.bincount(each).argmax()), UTC)
        raise HistoryError(
            f"{where}: {most:,} tickets in the minute of {at:%Y-%m-%d %H:%M} UTC are no stream but an import: "
            "leave them out, or give them the time at which they were filed"
        )
    place = {label.value: row for row, label in enumerate(labels)}
    counts = np.zeros((len(labels), length), dtype=np.uint16)
    rows = np.array([place[value] for _, values in sorted_ for value in values])
    np.add.at(counts, (rows, each), 1)
    whole = np.bincount(minutes, minlength=length).astype(np.uint16)
    names, counts = rolled_up([label.name for label in labels], counts, whole)
    above = names[len(labels) : -1]
    return History(
        rows=[*(label.value for label in labels), *above, ALL],
        names=[*names[: len(labels)], *(f"{one.removesuffix('::*')} (all)" for one in above), "All tickets"],
        counts=counts,
        start=start,
        tickets=len(sorted_),
        unsorted=len(filed) - len(sorted_),
    )
