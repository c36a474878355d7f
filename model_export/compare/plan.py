"""What is run: strategies, sizes and seeds, which rows each run learns from, and how long the rest will take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_export.dataset.arrays import take
from model_export.dataset.rows import DataError, Dataset, Split
from model_export.strategies import STRATEGIES, Settings, StrategyError

DEFAULT = ("naive_bayes", "tfidf_linear", "frozen", "finetune")
"""One of each way: count words, weigh words, read an encoder's features, train the encoder. The others cost several
times as much, or win only where there is little to learn from; they are compared when named."""

SMALLEST = 100
ROWS_A_LABEL = 2
LARGEST_STEP = 0.8
"""A round size above this share of all rows would say what all rows say."""


class Run(msgspec.Struct, frozen=True):
    """One strategy learns from so many rows; the seed chooses them, and is the strategy's own."""

    strategy: str
    rows: int
    seed: int


def parse_strategies(names: str | None) -> tuple[str, ...]:
    """Strategies from ``a,b``; ``DEFAULT`` for None.

    Raises:
        StrategyError: there is none of that name.
    """
    chosen = DEFAULT if names is None else tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in chosen:
        if name not in STRATEGIES:
            raise StrategyError(f"there is no strategy {name!r}: choose from {', '.join(STRATEGIES)}")
    return chosen


def parse_sizes(sizes: str | None, rows: int, labels: int) -> tuple[int, ...]:
    """Training sizes, ascending, from ``100,300,all``; for None 100, 200, 500, 1000 and so on up to all.

    Args:
        sizes: as a person wrote them.
        rows: how many training rows there are.
        labels: L; the smallest default size has two rows for each.

    Raises:
        DataError: a size is no number, below 2 or above ``rows``.
    """
    if sizes is None:
        steps = [step * 10**power for power, step in product(range(2, 8), (1, 2, 5))]
        smallest = max(SMALLEST, ROWS_A_LABEL * labels)
        return (*(step for step in steps if smallest <= step <= LARGEST_STEP * rows), rows)
    return tuple(sorted({rows if size.strip() == "all" else _size(size.strip(), rows) for size in sizes.split(",")}))


def make_plan(strategies: Sequence[str], sizes: Sequence[int], seeds: int) -> list[Run]:
    """All runs, the smallest first: they soon tell how long the others will take, and what does not work."""
    return [Run(strategy, rows, seed) for rows, seed, strategy in product(sizes, range(seeds), strategies)]


def nested_order(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Row numbers in an order in which every beginning has each label in about the share it has among all.

    The rows of a label, shuffled, are spread evenly over the order from a random start: systematic sampling. A row with
    several labels counts to the rarest of them.

    Args:
        targets: (N,) or (N, L), as in ``Split``.
        seed: the same seed gives the same order, so that a smaller training set is a part of each larger one.
    """
    rng = np.random.default_rng(seed)
    _, stratum, size = np.unique(_strata(targets), return_inverse=True, return_counts=True)
    shuffled = rng.permutation(len(targets))
    grouped = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    within = np.arange(len(targets)) - np.repeat(size.cumsum() - size, size)
    position = (within + np.repeat(rng.random(len(size)), size)) / np.repeat(size, size)
    return np.asarray(grouped[np.argsort(position, kind="stable")])


def training_rows(train: Split, run: Run) -> Split:
    """What a run learns from, oldest first, with the rows' weights."""
    return take(train, np.sort(nested_order(train.targets, run.seed)[: run.rows]))


def fingerprint_data(dataset: Dataset) -> str:
    """SHA-256 (hex) over rows, parts and weights: a run with the same one need not be repeated."""
    splits = (dataset.train, dataset.calibration, dataset.test)
    parts = [(split.ticket_ids, split.weights.tolist()) for split in splits]
    return hashlib.sha256(msgspec.json.encode((dataset.fingerprint, parts))).hexdigest()


def fingerprint(data: str, run: Run, settings: Settings) -> str:
    """SHA-256 (hex) over everything that decides a run's answers, Presort's own version included; not the device."""
    vectors = settings.vectors and hashlib.sha256(settings.vectors.read_bytes()).hexdigest()
    decisive = (settings.base, vectors, settings.max_length, settings.epochs, settings.batch_size)
    return hashlib.sha256(msgspec.json.encode((version("presort"), data, run, decisive))).hexdigest()


def seconds_left(measured: Sequence[tuple[Run, float]], todo: Sequence[Run]) -> float | None:
    """What the runs to come will take, by what their strategies took so far; None if one was never run.

    A strategy's seconds are a line through its two largest sizes, or in proportion to the rows while there is one.
    """
    known = {run.strategy: _seconds_of(run.strategy, measured) for run, _ in measured}
    if any(run.strategy not in known for run in todo):
        return None
    return sum(float(np.polyval(known[run.strategy], run.rows)) for run in todo)


def _size(text: str, rows: int) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise DataError(f"{text!r} is no training size: give numbers from 2 on, or `all`, as in --sizes 100,500,all")
    if int(text) > rows:
        raise DataError(f"nothing can learn from {int(text):,} rows, there are {rows:,} to train on: say `all` instead")
    return int(text)


def _strata(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    if targets.ndim == 1:
        return targets
    support = np.where(targets == 1, targets.sum(axis=0), len(targets) + 1)
    return np.asarray(np.where(targets.any(axis=1), support.argmin(axis=1), targets.shape[1]))


def _seconds_of(strategy: str, measured: Sequence[tuple[Run, float]]) -> tuple[float, float]:
    """Slope and intercept, in seconds."""
    by_rows = {run.rows: seconds for run, seconds in measured if run.strategy == strategy}
    (rows, seconds), *others = sorted(by_rows.items(), reverse=True)
    if not others:
        return seconds / rows, 0.0
    slope = max(0.0, (seconds - others[0][1]) / (rows - others[0][0]))
    return slope, seconds - slope * rows
