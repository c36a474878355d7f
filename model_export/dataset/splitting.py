"""Which row belongs to which part, so that neither time nor a near-duplicate carries an answer from one to another.

By time, a cluster of near-duplicates belongs to the part in which its first text came, and its texts of later parts are
left out. So training sees nothing newer than the first calibration row, nor calibration anything newer than the first
test row, and no text has a near-duplicate in another part. Moved whole to its oldest row's part, a cluster would train
the model on rows from the months it is tested on; moved to its newest row's part, an automatic mail that still comes
would be in test only, and the model that is shipped would never have learnt it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

PARTS = ("train", "calibration", "test")
CUTS = (0.70, 0.85)
"""Shares of the rows at which calibration and test begin."""

TWIN = -1
"""Left out: an earlier part has a near-duplicate."""

EXCESS = -2
"""Left out: the cluster has enough rows."""


def split_by_time(
    created_at: NDArray[np.float64], weights: NDArray[np.float32], clusters: Numbers, cap: int
) -> Numbers:
    """The oldest 70 % train, the next 15 % calibrate, the newest 15 % test.

    Shares are those of the rows that ``cap`` allows, before twins are left out; a cut misses its share by less than a
    cluster, or by the rows of one time, which are never in two parts.

    Args:
        created_at: (N,) Unix seconds, ascending.
        weights: (N,) as in ``Row``.
        clusters: (N,) cluster numbers from 0.
        cap: rows kept of a cluster: those believed most, and of these the newest.

    Returns:
        (N,) index into ``PARTS``, ``TWIN`` or ``EXCESS``.
    """
    first = np.full(clusters.max() + 1, np.inf)
    np.minimum.at(first, clusters, created_at)
    order = np.argsort(first, kind="stable")
    so_far = np.minimum(np.bincount(clusters), cap)[order].cumsum()
    begins = np.searchsorted(so_far, np.ceil(np.array(CUTS) * so_far[-1])) + 1
    times = np.append(first[order], np.inf)[begins]
    home = np.searchsorted(times, first, side="right")[clusters]
    parts = np.where(np.searchsorted(times, created_at, side="right") == home, home, TWIN)
    return _cap(parts, weights, clusters, cap)


def split_at_random(strata: Numbers, weights: NDArray[np.float32], clusters: Numbers, cap: int, seed: int) -> Numbers:
    """The same shares of every stratum, whole clusters at random; a cluster counts to its first row's stratum.

    Args:
        strata: (N,) numbers, such as the rows' labels.
        weights: (N,) as in ``Row``.
        clusters: (N,) cluster numbers from 0.
        cap: rows kept of a cluster: those believed most, and of these the last.
        seed: the same rows and seed give the same parts.

    Returns:
        (N,) index into ``PARTS`` or ``EXCESS``.
    """
    _, first = np.unique(clusters, return_index=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    order = shuffled[np.argsort(strata[first][shuffled], kind="stable")]
    size = np.minimum(np.bincount(clusters), cap)[order]
    starts = np.flatnonzero(np.diff(strata[first][order], prepend=-1))
    totals = np.add.reduceat(size, starts)
    before = size.cumsum() - size
    stratum = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    middle = (before - before[starts][stratum] + size / 2) / totals[stratum]
    home = np.empty(len(first), dtype=np.int64)
    home[order] = np.searchsorted(CUTS, middle, side="right")
    return _cap(home[clusters], weights, clusters, cap)


def _cap(parts: Numbers, weights: NDArray[np.float32], clusters: Numbers, cap: int) -> Numbers:
    """Mark the excess of every cluster; rows are in order of time."""
    rows = np.flatnonzero(parts >= 0)
    ordered = rows[np.lexsort((-rows, -weights[rows], clusters[rows]))]
    rank = np.arange(len(ordered)) - np.searchsorted(clusters[ordered], clusters[ordered])
    parts = parts.copy()
    parts[ordered[rank >= cap]] = EXCESS
    return parts
