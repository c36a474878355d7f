"""What the split promises for any times, clusters and weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export.dataset.splitting import EXCESS, TWIN, Numbers, split_at_random, split_by_time


class Rows(NamedTuple):
    """What ``split_by_time`` asks for."""

    created_at: NDArray[np.float64]
    weights: NDArray[np.float32]
    clusters: Numbers


def times(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=1, max_size=80)


@st.composite
def some_rows(draw: st.DrawFn) -> Rows:
    """Rows in order of time, many at the same time and in the same cluster."""
    created_at = sorted(draw(times(0, draw(st.sampled_from([0, 5, 40, 10**9])))))
    count = len(created_at)
    weights = draw(st.lists(st.sampled_from([0.3, 1.0]), min_size=count, max_size=count))
    numbers = st.integers(0, draw(st.sampled_from([0, 5, 40, 10**6])))
    clusters = draw(st.lists(numbers, min_size=count, max_size=count))
    return Rows(np.array(created_at, float), np.array(weights, np.float32), np.unique(clusters, return_inverse=True)[1])


caps = st.integers(1, 6)


@given(rows=some_rows(), cap=caps)
def test_training_ends_before_calibration_and_calibration_before_the_test(rows: Rows, cap: int) -> None:
    parts = split_by_time(*rows, cap)
    for part in (0, 1):
        earlier, later = rows.created_at[parts == part], rows.created_at[parts > part]
        assert not len(earlier) or not len(later) or earlier.max() < later.min()


@given(rows=some_rows(), cap=caps, seed=st.integers(0, 9))
def test_no_cluster_is_in_two_parts(rows: Rows, cap: int, seed: int) -> None:
    strata = (rows.weights < 1).astype(np.int64)
    for parts in (split_by_time(*rows, cap), split_at_random(strata, rows.weights, rows.clusters, cap, seed)):
        for cluster in np.unique(rows.clusters):
            kept = parts[(rows.clusters == cluster) & (parts >= 0)]
            assert 1 <= len(kept) <= cap
            assert len(set(kept.tolist())) == 1


@given(rows=some_rows(), cap=caps)
def test_the_most_believed_and_then_the_newest_of_a_cluster_are_kept(rows: Rows, cap: int) -> None:
    parts = split_by_time(*rows, cap)
    for cluster in np.unique(rows.clusters):
        members = np.flatnonzero((rows.clusters == cluster) & (parts != TWIN))
        best = sorted(members, key=lambda row: (rows.weights[row], row), reverse=True)[:cap]
        assert set(best) == set(members[parts[members] >= 0])


@given(rows=some_rows(), cap=caps)
def test_a_row_is_left_out_only_for_its_cluster(rows: Rows, cap: int) -> None:
    """As a twin, when an earlier part has one of its kind; as excess, when its own part has enough of them."""
    parts = split_by_time(*rows, cap)
    for row in np.flatnonzero(parts < 0):
        kept = (rows.clusters == rows.clusters[row]) & (parts >= 0)
        if parts[row] == TWIN:
            assert rows.created_at[kept].max() < rows.created_at[row]
        else:
            assert parts[row] == EXCESS
            assert kept.sum() == cap


@given(count=st.integers(7, 400))
def test_shares_are_exact_where_nothing_is_alike(count: int) -> None:
    parts = split_by_time(np.arange(count, dtype=float), np.ones(count, np.float32), np.arange(count), 5)
    assert np.cumsum(np.bincount(parts))[:2] == pytest.approx([0.70 * count, 0.85 * count], abs=1)
    assert (np.diff(parts) >= 0).all()


@given(rows=some_rows(), cap=caps)
def test_shares_are_near_where_only_clusters_disturb_them(rows: Rows, cap: int) -> None:
    """Of the rows that the cap allows, a cut misses its share by less than one cluster."""
    created_at = np.arange(len(rows.clusters), dtype=float)
    parts = split_by_time(created_at, rows.weights, rows.clusters, cap)
    allowed = np.minimum(np.bincount(rows.clusters), cap)
    home = np.array([parts[(rows.clusters == cluster) & (parts >= 0)][0] for cluster in range(len(allowed))])
    for part, share in ((0, 0.70), (1, 0.85)):
        assert share * allowed.sum() <= allowed[home <= part].sum() < share * allowed.sum() + cap + 1e-6 + 1


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    seed=st.integers(0, 9),
)
def test_at_random_every_stratum_has_the_same_shares(counts: list[int], seed: int) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(strata))
    parts = split_at_random(strata, np.ones(len(rows), np.float32), rows, 5, seed)
    for stratum, count in enumerate(counts):
        found = np.bincount(parts[strata == stratum], minlength=3).cumsum()[:2]
        assert found == pytest.approx([0.70 * count, 0.85 * count], abs=0.5 + 1e-6)


def test_random_is_random_and_repeatable() -> None:
    rows = np.arange(200)
    weights = np.ones(200, np.float32)

    def parts(seed: int) -> Numbers:
        return split_at_random(rows % 4, weights, rows, 5, seed)

    assert np.array_equal(parts(1), parts(1))
    assert not np.array_equal(parts(1), parts(2))
    assert np.corrcoef(parts(1), rows)[0, 1] == pytest.approx(0, abs=0.2)
