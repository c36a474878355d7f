"""Probabilities that mean what they say, and thresholds that keep a promise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.bundle.predictor import Predictor
from model_export.calibrate import (
    NEVER,
    Delivery,
    Promise,
    Scored,
    best_f1_thresholds,
    deliver,
    fewest_answers,
    fit_temperature,
    lower_bound,
    out_of_scope,
    probabilities,
    promise,
    solve_threshold,
    solve_thresholds,
)

DEMO = Path(__file__).parents[2] / "demo" / "bundle"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_distorted_the_logits_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 5))
    classes = np.array([rng.choice(5, p=row) for row in probabilities(honest, 1, multi=False)])
    switches = (rng.random(honest.shape) < probabilities(honest, 1, multi=True)).astype(np.int64)

    assert fit_temperature(honest * temperature, classes) == pytest.approx(temperature, rel=0.04)
    assert fit_temperature(honest * temperature, switches) == pytest.approx(temperature, rel=0.04)


def test_logits_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="no calibration rows"):
        fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64))
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(np.array([[1.0, np.nan]]), np.array([0]))


@pytest.mark.parametrize("task", ["single", "multi"])
def test_probabilities_are_those_that_the_predictor_serves(task: str) -> None:
    predictor = Predictor(DEMO, "cpu")
    predictor.manifest = msgspec.structs.replace(predictor.manifest, temperature=1.7, task=task)
    logits = np.random.default_rng(1).normal(0, 8, (50, 9)).astype(np.float32)

    ours = probabilities(logits, 1.7, multi=task == "multi")

    np.testing.assert_allclose(ours, predictor.probabilities(logits), atol=1e-6)


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    """All right: risk ** (1 / n). One of ten: the textbook's 1.05 % at 90 %."""
    assert lower_bound(22, 22) == pytest.approx(0.1 ** (1 / 22))
    assert lower_bound(1, 10) == pytest.approx(0.01048, abs=1e-5)
    assert lower_bound(0, 10) == 0
    assert lower_bound(0, 0) == 0


def test_a_proof_takes_so_many_answers() -> None:
    assert [fewest_answers(target) for target in (0.5, 0.8, 0.9, 0.95, 0.99)] == [10, 11, 22, 45, 230]
    for target in (0.8, 0.9, 0.95, 0.99):
        fewest = fewest_answers(target)
        assert lower_bound(fewest, fewest) >= target > lower_bound(fewest - 1, fewest - 1)
    with pytest.raises(ValueError, match="cannot be promised"):
        fewest_answers(1.0)


def test_a_class_that_is_always_right_is_always_filled() -> None:
    confidence = np.linspace(0.4, 0.9, 50)
    threshold = solve_threshold(confidence, np.ones(50, dtype=np.bool_), 0.9)
    assert threshold._replace(bound=0) == (0.0, 50, 50, 0, 50)
    assert threshold.bound == pytest.approx(0.1 ** (1 / 50))


def test_a_class_with_too_few_or_too_bad_answers_is_only_suggested() -> None:
    few = solve_threshold(np.full(21, 0.99), np.ones(21, dtype=np.bool_), 0.9)
    bad = solve_threshold(np.linspace(0.5, 1, 400), np.arange(400) % 4 > 0, 0.9)
    assert few == (NEVER, 0, 0, 0, 21)
    assert bad == (NEVER, 0, 0, 0, 400)
    assert NEVER > 1


def test_the_threshold_lies_where_the_answers_turn_bad() -> None:
    """Right above .7, a coin's throw below."""
    rng = np.random.default_rng(2)
    confidence = rng.random(2_000)
    right = (confidence > 0.7) | (rng.random(2_000) < 0.5)
    threshold = solve_threshold(confidence, right, 0.9)
    assert 0.6 < threshold.value < 0.7
    assert threshold.bound >= 0.9
    assert threshold.support == (np.round(confidence, 4) >= threshold.value).sum()
    assert threshold.right == right[np.round(confidence, 4) >= threshold.value].sum()


def test_equal_confidences_share_one_fate() -> None:
    """Automatic mails repeat one text; a threshold cannot lie between them."""
    confidence = np.repeat([0.9999, 0.6], [40, 200])
    threshold = solve_threshold(confidence, confidence > 0.9, 0.9)
    assert threshold.support == 40
    assert 0.6 < threshold.value <= 0.9999


def draw(rng: np.random.Generator, rows: int, shape: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidences, and the true chance that an answer of that confidence is right."""
    confidence = rng.beta(3, 1.5, rows)
    truth = {"honest": confidence, "boastful": confidence**1.5, "edge": np.full(rows, 0.8 - 1e-9)}[shape]
    return confidence, truth


@pytest.mark.parametrize("shape", ["honest", "boastful", "edge"])
@pytest.mark.parametrize("answers", [25, 120, 800])
def test_the_promise_is_broken_in_at_most_a_tenth_of_all_calibrations(shape: str, answers: int) -> None:
    """True precision, known from a million answers, against the promised .8, in 400 calibrations.

    ``edge`` is the worst case: every threshold is just not good enough, so whatever is filled breaks the promise.
    Chance alone lets 400 draws of 10 % exceed 13 % once in fifty.
    """
    rng = np.random.default_rng(answers)
    population, truth = draw(rng, 1_000_000, shape)
    descending = np.argsort(-population)
    precision = np.cumsum(truth[descending]) / np.arange(1, len(truth) + 1)
    ordered = -population[descending]
    broken = 0
    for _ in range(400):
        confidence, chance = draw(rng, answers, shape)
        threshold = solve_threshold(confidence, rng.random(answers) < chance, 0.8).value
        filled = np.searchsorted(ordered, -threshold, side="right")
        broken += bool(filled) and precision[filled - 1] < 0.8
    assert broken / 400 <= 0.13


def test_the_obvious_search_breaks_the_promise() -> None:
    """Why the looks are ordered: the smallest threshold with a good enough bound, on the worst case of above."""
    rng = np.random.default_rng(3)
    counts = np.arange(11, 801)
    right = rng.random((400, 800)) < 0.8 - 1e-9
    lucky = [(lower_bound(np.cumsum(row)[10:], counts) >= 0.8).any() for row in right]
    assert np.mean(lucky) > 0.3


def test_single_label_rows_answer_with_their_likeliest_label() -> None:
    likely = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]])
    scored = Scored(likely, np.array([0, 1, 1, 1]))

    delivery = deliver(scored, [0.6, 0.8])

    assert (delivery.filled.tolist(), delivery.right.tolist()) == ([2, 1], [1, 1])
    assert (delivery.touched, delivery.coverage, delivery.precision) == (3, 0.75, 2 / 3)


def test_multi_label_rows_answer_with_every_label_that_reaches_its_threshold() -> None:
    likely = np.array([[0.9, 0.7], [0.6, 0.1], [0.2, 0.3]])
    scored = Scored(likely, np.array([[1, 0], [1, 0], [0, 1]]))

    delivery = deliver(scored, [0.5, 0.5])

    assert (delivery.filled.tolist(), delivery.right.tolist(), delivery.touched) == ([2, 1], [2, 0], 2)


def test_confidence_is_compared_as_the_worker_rounds_it() -> None:
    scored = Scored(np.array([[0.79996, 0.20004]]), np.array([0]))
    assert deliver(scored, [0.8, NEVER]).filled.tolist() == [1, 0]


def test_nothing_filled_has_no_precision() -> None:
    delivery = deliver(Scored(np.array([[0.7, 0.3]]), np.array([0])), [NEVER, NEVER])
    assert delivery.coverage == 0
    assert np.isnan(delivery.precision)


def simulated(rows: int, seed: int) -> Scored:
    """A well-calibrated model of four classes: truth is drawn from its own probabilities."""
    rng = np.random.default_rng(seed)
    likely = rng.dirichlet([0.25] * 4, rows)
    return Scored(likely, np.array([rng.choice(4, p=row) for row in likely]))


def test_a_higher_promise_fills_less_and_is_kept() -> None:
    calibration, test = simulated(3_000, 4), simulated(8_000, 5)
    promises = [promise(calibration, test, target) for target in (0.7, 0.8, 0.9, 0.95)]
    coverages = [each.delivery.coverage for each in promises]
    assert coverages == sorted(coverages, reverse=True)
    assert coverages[-1] > 0.1
    assert all(each.delivery.precision >= each.target for each in promises)
    assert [each.kept for each in promises] == [(4, 4), (4, 4), (4, 4), (3, 3)]


def test_a_promise_missed_by_chance_is_told_from_one_that_is_broken() -> None:
    """At .8: 7 of 10 happens to the best (32 %); 70 of 100 does not (1 %). Nothing is known of what was not filled."""
    delivery = Delivery(np.array([10, 100, 10, 0]), np.array([7, 70, 8, 0]), 120, 120)
    missed = Promise(0.8, (), delivery)
    assert missed.kept == (1, 3)
    assert missed.refuted == 1


def test_multi_label_thresholds_are_found_per_label() -> None:
    rng = np.random.default_rng(6)
    likely = rng.beta(0.5, 1.5, (4_000, 3))
    targets = (rng.random(likely.shape) < likely * [1, 1, 0.3]).astype(np.int64)  # the third label boasts

    first, second, third = solve_thresholds(Scored(likely, targets), 0.8)

    assert 0.5 < first.value < 0.9
    assert second.value == pytest.approx(first.value, abs=0.15)
    assert third.value == NEVER


def test_what_belongs_to_no_class_stays_below_the_threshold() -> None:
    inside = Scored(np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6]]), np.array([0, 1, 1]))
    outside = np.array([[0.55, 0.45], [0.35, 0.65]])
    assert out_of_scope(inside, outside, 0.65) == (2 / 3, 0.5)
    assert out_of_scope(inside, outside, [0.5, 0.7]) == (2 / 3, 0.5)


def test_a_label_without_examples_gets_the_middle() -> None:
    likely = np.array([[0.9, 0.2], [0.6, 0.1], [0.5, 0.3], [0.1, 0.9]])
    targets = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    assert best_f1_thresholds(Scored(likely, targets))[1] == 0.5


@pytest.mark.parametrize("distortion", [0.5, 1.0, 2.0])
def test_the_best_f1_threshold_is_half_the_f1_it_reaches(distortion: float) -> None:
    """Also where the probabilities say too much or too little, and then it is a threshold on what they say."""
    rng = np.random.default_rng(0)
    honest = rng.normal(-2, 2, 20_000)
    truth = (rng.random(len(honest)) < 1 / (1 + np.exp(-honest))).astype(np.int64)
    said = 1 / (1 + np.exp(-honest * distortion))
    (threshold,) = best_f1_thresholds(Scored(said[:, None], truth[:, None]))
    given = said >= threshold
    reached = 2 * (given & (truth == 1)).sum() / (given.sum() + truth.sum())
    in_truth = 1 / (1 + np.exp(-np.log(threshold / (1 - threshold)) / distortion))
    assert in_truth == pytest.approx(reached / 2, abs=0.01)


def test_few_examples_do_not_lead_the_threshold_astray() -> None:
    """Thirty rows a time, the F1 of other rows: counting hits by these rows' labels loses to what is to be expected."""
    rng = np.random.default_rng(1)
    honest = rng.normal(-2, 2, (40, 30))
    truth = (rng.random(honest.shape) < 1 / (1 + np.exp(-honest))).astype(np.int64)
    found = [
        best_f1_thresholds(Scored(1 / (1 + np.exp(-h))[:, None], t[:, None]))[0]
        for h, t in zip(honest, truth, strict=True)
    ]
    assert np.std([threshold for threshold, t in zip(found, truth, strict=True) if t.any()]) < 0.08
