"""Confidence that means something: one temperature, and per class the threshold that keeps a promised precision.

Everything here wants the answers of the graph that ships (the int8 one), on rows it was not trained on, whose labels
people set: leave out rows of a weight below 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaincinv, expit, log_softmax, logit, softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]

TEMPERATURES = (0.05, 20.0)
"""What is looked through; a trained network wants 1 to 3, and a limit is reached only by one that never errs."""

RISK = 0.1
"""How often, at most, a class that is filled may turn out less precise than promised."""

SUPPORT = 10
"""Fewest calibration answers behind a threshold, however clear they are."""

FLOOR = 0.1
"""Multi-label: below this probability a label is no answer, and no threshold is sought there."""

PLATT_PRIOR = 5.0
"""Weight of the squared distance from slope 1 and offset 0: a few dozen rows change little, hundreds decide."""

NEVER = 2.0
"""The threshold of a class that is only suggested: no probability reaches it. Any value above 1 says the same, so
workers that know nothing of suggest-only classes do the right thing."""

TARGETS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)

_DECIMALS = 4  # workers round the confidence they compare and record to as many
_LOOKS = 20


class Scored(NamedTuple):
    """What a model said about rows, and what was right.

    Attributes:
        probabilities: (N, L), calibrated.
        targets: (N,) label numbers for ``single``, (N, L) zeros and ones for ``multi``.
    """

    probabilities: Floats
    targets: Ints


class Threshold(NamedTuple):
    """From which confidence on a class may be filled, and the evidence.

    Attributes:
        value: smallest probability that fills; ``NEVER`` for a class that is only suggested.
        support: calibration answers of this class that reach it.
        right: how many of those were right.
        bound: one-sided 90 % lower confidence bound of their precision.
        answers: calibration answers of this class at any confidence.
    """

    value: float
    support: int
    right: int
    bound: float
    answers: int


class Delivery(NamedTuple):
    """What thresholds did on rows.

    Attributes:
        filled: (L,) answers that reached their class's threshold.
        right: (L,) how many of them were right.
        touched: rows with at least one of them.
        rows: all rows.
    """

    filled: Ints
    right: Ints
    touched: int
    rows: int

    @property
    def coverage(self) -> float:
        """Share of rows that are filled; 0 when there are none."""
        return self.touched / self.rows if self.rows else 0.0

    @property
    def precision(self) -> float:
        """Share of the filled answers that are right; NaN when nothing is filled."""
        filled = int(self.filled.sum())
        return int(self.right.sum()) / filled if filled else float("nan")


class Promise(NamedTuple):
    """A precision asked for, the thresholds that calibration rows gave for it, and what other rows got."""

    target: float
    thresholds: tuple[Threshold, ...]
    delivery: Delivery

    @property
    def kept(self) -> tuple[int, int]:
        """Of the classes that were filled: how many were at least as precise as promised, and how many there are."""
        filled, right = self.delivery.filled, self.delivery.right
        return int(((filled > 0) & (right >= self.target * filled)).sum()), int((filled > 0).sum())

    @property
    def refuted(self) -> int:
        """Classes that fell short by more than chance: so few right in 5 % of cases at most, if the promise held."""
        filled, right = self.delivery.filled, self.delivery.right
        return int(((filled > 0) & (1 - lower_bound(filled - right, filled, 0.05) < self.target)).sum())


def fit_temperature(logits: Floats, targets: Ints) -> float:
    """The number to divide logits by so that probabilities mean what they say.

    Minimises the negative log-likelihood (Guo et al., "On calibration of modern neural networks", 2017): of the softmax
    when targets are (N,) label numbers, of L independent sigmoids when they are (N, L) zeros and ones.

    Raises:
        ValueError: there are no rows, or a logit is not finite.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if not len(logits):
        raise ValueError("no calibration rows: give the calibration split some")
    if not np.isfinite(logits).all():
        raise ValueError("a calibration logit is not finite: the graph is broken or training diverged")

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if targets.ndim == 1:
            return -float(log_softmax(scaled, axis=1)[np.arange(len(targets)), targets].mean())
        return float((np.logaddexp(0, scaled) - targets * scaled).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def probabilities(logits: Floats, temperature: float, *, multi: bool) -> Floats:
    """Sigmoid (``multi``) or softmax of logits over the temperature, as the predictor does it; the same shape."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.asarray(expit(scaled) if multi else softmax(scaled, axis=1))


def lower_bound(right: Ints | int, answers: Ints | int, risk: float = RISK) -> NDArray[np.float64]:
    """Exact one-sided lower confidence bound of a share (Clopper and Pearson 1934); 0 for no answers."""
    right, answers = np.asarray(right), np.asarray(answers)
    bound = betaincinv(np.maximum(right, 1), answers - right + 1, risk)
    return np.where(right > 0, bound, 0.0)


def fewest_answers(target: float) -> int:
    """How many answers it takes to prove a precision if every one of them is right: 11 for .8, 22 for .9, 230 for .99.

    Raises:
        ValueError: the target is not between 0 and 1; certainty cannot be proved.
    """
    if not 0 < target < 1:
        raise ValueError(f"a precision of {target:g} cannot be promised: choose one between 0 and 1, such as 0.9")
    return max(SUPPORT, int(np.ceil(np.log(RISK) / np.log(target))))


def solve_threshold(confidence: Floats, right: Bools, target: float, *, floor: float = 0.0) -> Threshold:
    """The smallest threshold at which a class is proved to be at least ``target`` precise.

    Trying every threshold and taking the smallest whose bound reaches the target would break the promise: among many
    looks one is lucky (a class that is just short of its target everywhere passes in almost half the cases instead of
    a tenth). So the looks are laid down before any of them is judged, by rank: first the most confident tenth of the
    answers, but at least what a proof takes and at most four times that; then in 20 geometric steps more of them, until
    all. They are tested in this order, each at the full risk, and the first that fails ends the search (fixed-sequence
    testing: Angelopoulos et al., "Learn then test", 2021). Only the first look that should fail can do harm, and it is
    passed with a probability of at most 10 %. This takes for granted that in one class a higher threshold never means
    less precision, and that tickets stay what they were when they were calibrated on.

    Args:
        confidence: (A,) of the answers of this class.
        right: (A,) whether each was right.
        target: precision to promise, between 0 and 1.
        floor: every confidence given is at least this; the threshold when all answers pass.
    """
    fewest, answers = fewest_answers(target), len(confidence)
    never = Threshold(NEVER, 0, 0, 0.0, answers)
    if answers < fewest:
        return never
    descending = np.argsort(-confidence, kind="stable")
    steps = np.round(confidence[descending] * 10**_DECIMALS).astype(np.int64)
    hits = np.concatenate([[0], np.cumsum(right[descending])])
    first = min(max(fewest, answers / 10), 4 * fewest, answers)
    ranks = np.geomspace(first, answers, _LOOKS).round().astype(np.int64)
    # Filled is what lies above the next answer's confidence: given that, the answers above are independent draws.
    below = np.append(steps, -1)[np.unique(ranks)]
    support = np.searchsorted(-steps, -below, side="left")
    below, support = below[support >= fewest], support[support >= fewest]  # ties may leave too few above
    bounds = lower_bound(hits[support], support)
    passed = int(np.logical_and.accumulate(bounds >= target).sum())
    if not passed:
        return never
    last = passed - 1
    value = floor if below[last] < 0 else (int(below[last]) + 1) / 10**_DECIMALS
    return Threshold(value, int(support[last]), int(hits[support[last]]), float(bounds[last]), answers)


def solve_thresholds(calibration: Scored, target: float) -> tuple[Threshold, ...]:
    """A threshold for each of the L labels, each from its own answers; see ``solve_threshold``."""
    floor = FLOOR if calibration.targets.ndim == 2 else 0.0
    return tuple(
        solve_threshold(confidence, right, target, floor=floor) for confidence, right in answers_by_label(calibration)
    )


def answers_by_label(scored: Scored) -> Iterator[tuple[Floats, Bools]]:
    """For each label the confidences of its answers and whether they were right.

    Single: a row answers with its likeliest label. Multi: a row answers with every label that reaches ``FLOOR``.
    """
    likely, targets = scored.probabilities, scored.targets
    best = likely.argmax(axis=1)
    for label in range(likely.shape[1]):
        rows = best == label if targets.ndim == 1 else likely[:, label] >= FLOOR
        yield likely[rows, label], (targets[rows] == label) if targets.ndim == 1 else targets[rows, label] == 1


def deliver(scored: Scored, thresholds: Sequence[float]) -> Delivery:
    """What a worker would fill on these rows with these L thresholds."""
    likely, targets = np.round(scored.probabilities, _DECIMALS), scored.targets
    labels = np.arange(likely.shape[1])
    filled = likely >= np.asarray(thresholds)
    if targets.ndim == 1:
        filled &= scored.probabilities.argmax(axis=1)[:, None] == labels
    truth = targets[:, None] == labels if targets.ndim == 1 else targets == 1
    return Delivery(filled.sum(axis=0), (filled & truth).sum(axis=0), int(filled.any(axis=1).sum()), len(likely))


def promise(calibration: Scored, test: Scored, target: float) -> Promise:
    """Solve thresholds for a target precision on calibration rows, and see what they deliver on others."""
    thresholds = solve_thresholds(calibration, target)
    return Promise(target, thresholds, deliver(test, [threshold.value for threshold in thresholds]))


def out_of_scope(inside: Scored, outside: Floats, thresholds: float | Sequence[float]) -> tuple[float, float]:
    """What a threshold does to tickets that belong to no class, and what it costs the others.

    Args:
        inside: single-label rows that belong to a class.
        outside: (M, L) probabilities of rows that belong to none.
        thresholds: one for all, or one a label; a row whose likeliest label stays below is taken for out of scope.

    Returns:
        In-scope accuracy (a row below the threshold counts as wrong) and out-of-scope recall.
    """
    limits = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), outside.shape[1:])
    best = inside.probabilities.argmax(axis=1)
    sure = inside.probabilities.max(axis=1) >= limits[best]
    recall = outside.max(axis=1) < limits[outside.argmax(axis=1)]
    return float((sure & (best == inside.targets)).mean()), float(recall.mean())


def best_f1_thresholds(calibration: Scored) -> NDArray[np.float64]:
    """Multi-label: per label the threshold with the best F1 to expect, (L,); 0.5 for a label without examples.

    The one with the best F1 on these very rows would be led by chance where examples are few. So each label's
    probabilities are first made to mean what they say (Platt 1999: a sigmoid of their logit, held near the identity),
    and hits are then counted as the sum of probabilities above the threshold instead of by the rows' labels. Its
    optimum is half the F1 that it reaches (Lipton et al., "Optimal thresholding of classifiers to maximize F1 measure",
    2014).
    """
    columns = zip(calibration.probabilities.T, calibration.targets.T, strict=True)
    return np.array([_best_f1(likely, truth) for likely, truth in columns])


def _best_f1(likely: Floats, truth: Ints) -> float:
    if not truth.any():
        return 0.5
    ordered = np.sort(likely)[::-1]
    slope, offset = _platt(likely, truth)
    hits = np.cumsum(expit(slope * _logit(ordered) + offset))
    cuts = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # equal probabilities stay together
    best = cuts[np.argmax(2 * hits[cuts] / (cuts + 1 + hits[-1]))]
    following = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + following) / 2)


def _platt(likely: Floats, truth: Ints) -> tuple[float, float]:
    """Slope and offset of a label's logits, most likely given its rows and a prior that the probabilities are right."""
    logits = _logit(likely)

    def loss(parameters: Floats) -> float:
        scaled = np.exp(parameters[0]) * logits + parameters[1]
        return float((np.logaddexp(0, scaled) - truth * scaled).sum() + PLATT_PRIOR * (parameters**2).sum())

    log_slope, offset = minimize(loss, np.zeros(2)).x
    return float(np.exp(log_slope)), float(offset)


def _logit(likely: Floats) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(likely, 1e-6, 1 - 1e-6)), dtype=np.float64)
