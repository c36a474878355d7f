"""Figures, checked by hand on examples of a few rows and against scikit-learn on many."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from model_export.calibrate import Scored
from model_export.evaluate import (
    SPEED_TEXTS,
    Parity,
    ParityError,
    answers,
    bootstrap,
    check_parity,
    class_scores,
    confusion_matrix,
    coverage_curve,
    estimate_months,
    majority_baseline,
    measure_speed,
    observed_months,
    parity,
    reliability,
    top,
)

TRUTH = np.array([0, 0, 0, 1, 1, 2])
GIVEN = np.array([0, 0, 1, 1, 0, 1])


def test_precision_recall_and_f1_by_hand() -> None:
    scores = class_scores(GIVEN, TRUTH, 3)
    assert scores.precision.tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert scores.recall.tolist() == pytest.approx([2 / 3, 1 / 2, 0])
    assert scores.f1.tolist() == pytest.approx([2 / 3, 2 / 5, 0])
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 5) / 3)
    assert scores.micro_f1 == pytest.approx(1 / 2)


def test_a_label_that_never_occurs_does_not_pull_the_mean_down() -> None:
    assert class_scores(GIVEN, TRUTH, 5).macro_f1 == class_scores(GIVEN, TRUTH, 3).macro_f1
    assert class_scores(GIVEN[:0], TRUTH[:0], 3).macro_f1 == 0


def test_multi_label_scores_by_hand() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0]])
    given = answers(np.array([[0.6, 0.1], [0.4, 0.5], [0.6, 0.0]]), np.array([0.5, 0.3]))
    assert given.tolist() == [[1, 0], [0, 1], [1, 0]]
    scores = class_scores(given, truth, 2)
    assert scores.f1.tolist() == [0.5, 0]
    assert [scores.macro_f1, scores.micro_f1] == pytest.approx([1 / 4, 1 / 3])


def test_the_figures_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the train extra")
    rng = np.random.default_rng(0)
    likely = rng.dirichlet([0.3] * 7, 3_000)
    truth = np.array([rng.choice(7, p=row) for row in likely])
    given = answers(likely)
    scores = class_scores(given, truth, 7)

    precision, recall, f1, support = sklearn.precision_recall_fscore_support(truth, given)
    np.testing.assert_allclose([scores.precision, scores.recall, scores.f1], [precision, recall, f1])
    assert scores.support.tolist() == support.tolist()
    assert scores.macro_f1 == pytest.approx(sklearn.f1_score(truth, given, average="macro"))
    assert scores.micro_f1 == pytest.approx(sklearn.accuracy_score(truth, given))
    assert top(likely, truth, 3) == pytest.approx(sklearn.top_k_accuracy_score(truth, likely, k=3))
    assert confusion_matrix(given, truth, 7).tolist() == sklearn.confusion_matrix(truth, given).tolist()

    many = (rng.random((3_000, 7)) < likely).astype(np.int64)
    chosen = answers(likely, np.full(7, 0.3))
    scores = class_scores(chosen, many, 7)
    assert scores.macro_f1 == pytest.approx(sklearn.f1_score(many, chosen, average="macro"))
    assert scores.micro_f1 == pytest.approx(sklearn.f1_score(many, chosen, average="micro"))


def test_confusion_has_the_truth_down_and_the_answer_across() -> None:
    assert confusion_matrix(GIVEN, TRUTH, 3).tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]


def test_the_likeliest_three() -> None:
    likely = np.array([[0.4, 0.3, 0.2, 0.1]] * 4)
    assert [top(likely, np.arange(4), k) for k in (1, 2, 3)] == [0.25, 0.5, 0.75]


def test_the_majority_is_that_of_the_training_rows() -> None:
    """Label 1 leads in training; of the six test rows two are of it: accuracy 1/3, F1 2*2/(6+2), over three labels."""
    assert list(majority_baseline(np.array([1, 1, 0]), TRUTH, 3)) == pytest.approx([1, 0.5 / 3, 1 / 3])
    multi = majority_baseline(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]), 2)
    assert list(multi) == pytest.approx([0, 1 / 3, 1 / 2])


def test_bootstrap_intervals_repeat_and_have_the_width_of_theory() -> None:
    """A share of .8 of 400 rows: .8 -+ 1.96 * sqrt(.8 * .2 / 400), that is .761 to .839."""
    right = np.arange(400) < 320
    interval = bootstrap(lambda rows: float(right[rows].mean()), 400)
    assert interval == bootstrap(lambda rows: float(right[rows].mean()), 400)
    assert interval.value == 0.8
    assert interval.low == pytest.approx(0.761, abs=0.006)
    assert interval.high == pytest.approx(0.839, abs=0.006)


def test_reliability_by_hand() -> None:
    """Two answers at .9 of which one is right, two at .6 that are right: distances .4 and .4, on average .4."""
    likely = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    result = reliability(Scored(likely, np.array([0, 1, 0, 0])), bins=5)
    assert result.answers.tolist() == [0, 0, 0, 2, 2]
    assert result.confidence[3:].tolist() == pytest.approx([0.6, 0.9])
    assert result.accuracy[3:].tolist() == [1, 0.5]
    assert np.isnan(result.accuracy[:3]).all()
    assert result.error == pytest.approx(0.4)


def test_reliability_of_a_multi_label_looks_at_every_label_that_is_thought_of() -> None:
    """.8 that holds, .2 that holds, .2 that does not; .05 is no answer."""
    result = reliability(Scored(np.array([[0.8, 0.2], [0.2, 0.05]]), np.array([[1, 1], [0, 1]])), bins=2)
    assert result.answers.tolist() == [2, 1]
    assert result.error == pytest.approx((abs(0.4 - 1) + 0.2) / 3)


def test_the_surest_come_first_on_the_coverage_curve() -> None:
    likely = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.55, 0.45]])
    coverage, precision = coverage_curve(Scored(likely, np.array([1, 0, 1, 0])))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert precision.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])


def test_parity_is_measured_and_a_bad_int8_graph_is_refused_with_the_difference() -> None:
    truth = np.arange(200) % 2
    fp32 = np.eye(2)[truth]
    int8 = fp32.copy()
    int8[:10] = 1 - int8[:10]

    check_parity(parity(fp32, fp32, truth))
    measured = parity(fp32, int8, truth)
    assert [measured.agreement, measured.loss] == pytest.approx([0.95, 0.05], abs=1e-4)
    with pytest.raises(ParityError, match=r"loses 5\.00 points .* agrees on 95\.00%"):
        check_parity(measured)


def test_either_half_of_the_gate_closes_it() -> None:
    check_parity(Parity(0.98, (0.9, 0.8951)))
    with pytest.raises(ParityError):
        check_parity(Parity(0.979, (0.9, 0.9)))
    with pytest.raises(ParityError):
        check_parity(Parity(1.0, (0.9, 0.8949)))


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def test_the_month_estimate_by_hand() -> None:
    """Precisions .9 and .5. In January three of four tickets are easy: (3 * .9 + .5) / 4 = .8; in March none: .5."""
    created = np.array([at(2023, 1, 1), at(2023, 1, 5), at(2023, 1, 31), at(2023, 1, 9), at(2023, 3, 1)])
    months = estimate_months(created, np.array([0, 0, 0, 1, 1]), np.array([0.9, 0.5]))
    assert months.names == ("2023-01", "2023-03")
    assert months.rows.tolist() == [4, 1]
    assert months.accuracy.tolist() == pytest.approx([0.8, 0.5])
    assert months.mean == pytest.approx(0.65)
    assert [months.low, months.high] == pytest.approx([0.5 + 0.3 * 0.341, 0.5 + 0.3 * 0.659])


def test_the_observed_months_are_counts() -> None:
    created = np.array([at(2023, 1, 31), at(2023, 2, 1), at(2023, 2, 28)])
    assert observed_months(created, np.array([True, True, False])) == {"2023-01": (1, 1), "2023-02": (1, 2)}


def test_speed_is_measured_alone_and_together() -> None:
    """A sleep lasts at least as long as asked, however busy the machine is: 3 ms for one, 42 ms for forty."""
    asked = []

    def ask(texts: Sequence[str]) -> None:
        asked.append(len(texts))
        time.sleep(0.002 + 0.001 * len(texts))

    speed = measure_speed(ask, ["text"] * 40)
    assert asked == [3, *[1] * 40, 40]
    assert 3 <= speed.p50_ms <= speed.p99_ms
    assert 0 < speed.per_second <= 40 / 0.042


def test_no_more_than_a_few_hundred_texts_are_timed() -> None:
    asked = []
    measure_speed(lambda texts: asked.append(len(texts)), ["text"] * (SPEED_TEXTS + 1))
    assert asked == [3, *[1] * SPEED_TEXTS, SPEED_TEXTS]
