"""The parts of a comparison that compute: what is run, how runs are told apart, and what follows from the figures."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.compare import plan
from model_export.compare.answers import answer, extrapolate
from model_export.compare.plan import Run
from model_export.compare.running import reason
from model_export.compare.scoring import REPETITIONS, Figure, Outcome, Point, Scores, make_points, score
from model_export.compare.words import in_words
from model_export.dataset.arrays import by_people
from model_export.dataset.rows import DataError, Dataset, Split
from model_export.evaluate import class_scores
from model_export.strategies import Settings, StrategyError

RNG = np.random.default_rng(0)
LABELS = 4


def split(targets: NDArray[np.int64], weight: float = 1.0) -> Split:
    count = len(targets)
    numbers = [str(number) for number in range(count)]
    return Split(numbers, targets, np.full(count, weight, dtype=np.float32), np.arange(float(count)), numbers)


def dataset(**changes: object) -> Dataset:
    rows = split(RNG.integers(LABELS, size=50))
    data = Dataset(
        task="single", labels=tuple("abcd"), names={}, train=rows, calibration=rows, test=rows, fingerprint="f"
    )
    return msgspec.structs.replace(data, **changes)


def test_sizes_are_round_numbers_up_to_all() -> None:
    assert plan.parse_sizes(None, 7_002, 3) == (100, 200, 500, 1_000, 2_000, 5_000, 7_002)
    assert plan.parse_sizes(None, 7_002, 77) == (200, 500, 1_000, 2_000, 5_000, 7_002), "two rows a label"
    assert plan.parse_sizes(None, 1_100, 3) == (100, 200, 500, 1_100), "1,000 would say what all say"
    assert plan.parse_sizes(None, 60, 3) == (60,)
    assert plan.parse_sizes("all, 300,100,300", 300, 3) == (100, 300)


@pytest.mark.parametrize(("sizes", "said"), [("500", "there are 300"), ("1", "no training size"), ("x", "or `all`")])
def test_a_size_that_cannot_be_is_refused(sizes: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        plan.parse_sizes(f"100,{sizes}", 300, 3)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    assert plan.parse_strategies("few_shot, naive_bayes") == ("few_shot", "naive_bayes")
    assert "finetune" in plan.parse_strategies(None)
    with pytest.raises(StrategyError, match=r"no strategy 'bert': choose from naive_bayes, .*finetune"):
        plan.parse_strategies("naive_bayes,bert")


def test_the_smallest_runs_come_first() -> None:
    runs = plan.make_plan(["a", "b"], [10, 20], seeds=2)
    assert len(runs) == 8
    assert [run.rows for run in runs] == [10] * 4 + [20] * 4
    assert {run.strategy for run in runs[:2]} == {"a", "b"}, "every strategy has run before one runs again"


def test_every_part_of_the_order_has_each_label_in_its_share() -> None:
    targets = RNG.choice(LABELS, size=1_000, p=[0.6, 0.3, 0.08, 0.02])
    support = np.bincount(targets)
    for seed in range(20):
        order = plan.nested_order(targets, seed)
        assert sorted(order) == list(range(1_000))
        for rows in (10, 50, 137, 600):
            found = np.bincount(targets[order[:rows]], minlength=LABELS)
            assert np.abs(found - rows * support / 1_000).max() < 2
    assert not np.array_equal(plan.nested_order(targets, 0), plan.nested_order(targets, 1))


def test_a_row_with_several_labels_counts_to_the_rarest() -> None:
    targets = np.zeros((400, 3), dtype=np.int64)
    targets[:, 0] = 1
    targets[::20, 1] = 1  # 20 rows, all with the frequent label too
    targets[-1] = 0
    order = plan.nested_order(targets, 0)
    assert 9 <= targets[order[:200], 1].sum() <= 11


def test_training_sets_are_nested_and_keep_their_weights() -> None:
    train = split(RNG.integers(LABELS, size=200))._replace(weights=np.linspace(0.1, 1, 200, dtype=np.float32))
    small, large = (plan.training_rows(train, Run("finetune", rows, 3)) for rows in (50, 120))
    assert set(small.ticket_ids) < set(large.ticket_ids)
    assert len(small.texts) == 50
    numbers = [int(number) for number in small.ticket_ids]
    assert numbers == sorted(numbers)
    assert np.array_equal(small.weights, train.weights[numbers])
    assert np.array_equal(small.targets, train.targets[numbers])
    whole = [plan.training_rows(train, Run("finetune", 200, seed)).ticket_ids for seed in (0, 1)]
    assert whole == [train.ticket_ids] * 2, "all is what `train` learns from"


def test_only_what_people_labelled_is_scored() -> None:
    rows = split(np.array([0, 1, 2]))._replace(weights=np.array([1, 0.3, 1], dtype=np.float32))
    assert by_people(rows, "test").targets.tolist() == [0, 2]
    with pytest.raises(DataError, match="people labelled none"):
        by_people(split(np.array([0, 1]), weight=0.3), "test")


def test_a_run_is_known_by_everything_that_decides_its_answers() -> None:
    run, settings = Run("finetune", 100, 0), Settings(task="single", labels=LABELS)
    data = dataset()
    known = plan.fingerprint(plan.fingerprint_data(data), run, settings)

    def of(data: Dataset = data, run: Run = run, **changes: object) -> str:
        changed = msgspec.structs.replace(settings, **changes)
        return plan.fingerprint(plan.fingerprint_data(data), run, changed)

    assert of() == of(device="cpu") == known
    others = [
        of(base="other"),
        of(epochs=3),
        of(max_length=64),
        of(run=Run("finetune", 100, 1)),
        of(run=Run("finetune", 200, 0)),
        of(run=Run("few_shot", 100, 0)),
        of(msgspec.structs.replace(data, fingerprint="g")),
        of(msgspec.structs.replace(data, test=split(data.test.targets[:40]))),
        of(msgspec.structs.replace(data, train=split(data.train.targets, weight=0.3))),
    ]
    assert len({known, *others}) == len(others) + 1


def test_the_time_left_follows_from_the_time_taken() -> None:
    measured = [(Run("a", 100, 0), 3.0)]
    assert plan.seconds_left(measured, [Run("a", 200, 0)]) == pytest.approx(6)
    assert plan.seconds_left(measured, [Run("a", 200, 0), Run("b", 200, 0)]) is None
    measured.append((Run("a", 200, 0), 4.0))  # 2 s and 10 ms a row
    assert plan.seconds_left(measured, [Run("a", 1_000, 0), Run("a", 500, 0)]) == pytest.approx(12 + 7)
    assert plan.seconds_left([*measured, (Run("a", 300, 0), 1.0)], [Run("a", 900, 0)]) == pytest.approx(1)
    assert plan.seconds_left(measured, []) == 0


def noisy(truth: NDArray[np.int64], wrong: float, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(truth.shape) < wrong, rng.integers(truth.max() + 1, size=truth.shape), truth)


@pytest.mark.parametrize("shape", [(300,), (300, LABELS)], ids=["single", "multi"])
def test_scores_are_those_of_the_report_on_every_resample(shape: tuple[int, ...]) -> None:
    truth = RNG.integers(LABELS if len(shape) == 1 else 2, size=shape)
    given = [noisy(truth, wrong, seed) for seed, wrong in enumerate((0.1, 0.4))]
    drawn = np.random.default_rng(0).integers(300, size=(REPETITIONS, 300))
    for answers, scores in zip(given, score(given, truth, LABELS), strict=True):
        whole = class_scores(answers, truth, LABELS)
        assert scores.macro_f1.value == pytest.approx(whole.macro_f1, abs=1e-6)
        assert scores.micro_f1.value == pytest.approx(whole.micro_f1, abs=1e-6)
        assert scores.accuracy.value == pytest.approx((answers == truth).reshape(300, -1).all(axis=1).mean(), abs=1e-6)
        expected = [class_scores(answers[rows], truth[rows], LABELS).macro_f1 for rows in drawn[:20]]
        assert scores.macro_f1.drawn[:20] == pytest.approx(expected, abs=1e-6)
        interval = scores.macro_f1.interval()
        assert interval.low < interval.value < interval.high


def test_a_label_that_nobody_says_and_nobody_has_is_left_out() -> None:
    (scores,) = score([np.array([0, 1, 1, 1])], np.array([0, 0, 1, 1]), labels=9)
    assert scores.macro_f1.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores.accuracy.value == scores.micro_f1.value == 0.75


def test_a_difference_is_paired() -> None:
    """Two runs that differ on 2 % of the rows are told apart, though each one's own range is far wider than that."""
    truth = RNG.integers(LABELS, size=2_000)
    worse = noisy(truth, 0.3, 1)
    better = worse.copy()
    repaired = np.flatnonzero(worse != truth)[:40]
    better[repaired] = truth[repaired]
    first, second = (scores.macro_f1 for scores in score([better, worse], truth, LABELS))
    lead = first.minus(second)
    assert second.interval().high > first.interval().low, "the ranges overlap"
    assert 0 < lead.low < lead.value < lead.high < 0.04
    assert first.minus(first) == (0, 0, 0)


def test_a_point_is_the_mean_of_its_seeds() -> None:
    truth = RNG.integers(LABELS, size=200)
    metrics = [{"fit_seconds": seconds, "predict_ms": 10 * seconds} for seconds in (1.0, 3.0)]
    outcomes = [
        Outcome(Run("finetune", 100, seed), noisy(truth, 0.2 + 0.2 * seed, seed), metrics[seed], "") for seed in (0, 1)
    ]
    outcomes.append(Outcome(Run("naive_bayes", 100, 0), truth, metrics[0], ""))
    cheap, dear = make_points(outcomes, truth, LABELS)
    assert (cheap.strategy, cheap.seeds, cheap.scores.macro_f1.value) == ("naive_bayes", 1, 1)
    assert (dear.strategy, dear.rows, dear.seeds, dear.fit_seconds, dear.predict_ms) == ("finetune", 100, 2, 2, 20)
    assert dear.scores.macro_f1.value == pytest.approx(sum(dear.spread) / 2)
    assert dear.spread[0] < dear.spread[1]


NOISE = np.random.default_rng(1).normal(0, 0.02, REPETITIONS)


def points(**curves: dict[int, float]) -> list[Point]:
    """Macro-F1 by strategy and size. Resamples move all points alike, by 2 points, and each by .2 of its own."""
    own = np.random.default_rng(2)

    def point(strategy: str, rows: int, value: float) -> Point:
        figure = Figure(value, value + NOISE + own.normal(0, 0.002, REPETITIONS))
        return Point(strategy, rows, 1, Scores(figure, figure, figure), (value, value), 1.0, 1.0)

    return [point(strategy, rows, value) for strategy, curve in curves.items() for rows, value in curve.items()]


OUTREACH = points(
    frozen={100: 0.50, 300: 0.62, 500: 0.66, 1_000: 0.70, 2_000: 0.72},
    tfidf_linear={100: 0.45, 300: 0.60, 500: 0.65, 1_000: 0.70, 2_000: 0.71},
    finetune={100: 0.20, 300: 0.621, 500: 0.80, 1_000: 0.84, 2_000: 0.845},
)


def test_the_three_questions_are_answered() -> None:
    """Figures of the study's kind: fine-tuning wins from 300 on, surely from 500 on, and 1,000 are enough."""
    found = answer(OUTREACH)
    assert found.best.point.strategy == "finetune"
    assert found.best.runner_up is not None
    assert found.best.runner_up.strategy == "frozen"
    assert found.best.lead is not None
    assert found.best.lead.value == pytest.approx(0.125)
    assert found.best.lead.low > 0.11, "paired: what moves both does not count"
    assert found.crossing is not None
    assert (found.crossing.ahead, found.crossing.surely) == (300, 500)
    assert found.enough is not None
    assert found.enough.rows == 1_000
    assert found.changes == ((300, "finetune"),)
    assert found.best_to_ship == found.best.point
    said = dict(in_words(found))
    assert "finetune: macro-F1 84.5" in said["Which strategy is best?"]
    assert "12.5 points" in said["Which strategy is best?"]
    assert "more than chance" in said["Which strategy is best?"]
    assert "From 300 tickets on" in said["From how many labels on does fine-tuning win?"]
    assert "From 500 tickets on that is more than chance" in said["From how many labels on does fine-tuning win?"]
    assert said["How many labels are enough?"].startswith("1,000: learning from 2,000 instead brings finetune 0.5 ")
    assert "Twice as many, 4,000" in said["How many labels are enough?"]


def test_where_fine_tuning_loses_it_is_said_and_what_can_be_shipped() -> None:
    found = answer(points(tfidf_linear={100: 0.5, 1_000: 0.8}, finetune={100: 0.6, 1_000: 0.75}))
    assert found.best.point.strategy == "tfidf_linear"
    assert found.crossing is not None
    assert found.crossing.ahead is None
    assert found.best_to_ship is not None
    assert found.best_to_ship.strategy == "finetune"
    said = dict(in_words(found))
    assert "the best of those is finetune, 5.0 points" in said["Which strategy is best?"]
    crossing = said["From how many labels on does fine-tuning win?"]
    assert crossing.startswith("Not on these tickets: with 1,000 tickets finetune is 5.0 points (95 % range 4")
    assert said["How many labels are enough?"].startswith("More than 1,000: the step there from 100 brought tfidf")


def test_a_lead_that_can_be_chance_is_called_so() -> None:
    found = answer(points(naive_bayes={500: 0.800}, finetune={500: 0.801}))
    said = dict(in_words(found))
    assert "can be chance" in said["Which strategy is best?"]
    assert "That can be chance" in said["From how many labels on does fine-tuning win?"]
    assert said["How many labels are enough?"] == "Not measured: this needs two sizes at least."


def test_one_strategy_alone_is_compared_with_nothing() -> None:
    found = answer(points(naive_bayes={500: 0.8}))
    assert [found.best.runner_up, found.crossing, found.enough, found.best_to_ship] == [None] * 4
    said = dict(in_words(found))
    assert "Nothing else" in said["Which strategy is best?"]
    assert "compare finetune as well" in said["Which strategy is best?"]
    assert said["From how many labels on does fine-tuning win?"].startswith("Not compared")


def test_a_dip_does_not_count_as_enough() -> None:
    """Close to the best once, and then not again, is luck."""
    found = answer(points(finetune={100: 0.80, 300: 0.70, 1_000: 0.805}))
    assert found.enough is not None
    assert (found.enough.rows, found.enough.before) == (1_000, 300)


def test_doubling_follows_a_power_law_with_a_floor() -> None:
    sizes = [200, 500, 1_000, 2_000]
    scores = [1 - (0.1 + 0.9 * size**-0.4) for size in sizes]
    expected = 0.9 * (2_000**-0.4 - 4_000**-0.4)
    assert extrapolate(sizes, scores) == pytest.approx(expected, rel=1e-3)
    assert extrapolate([50, *sizes], [0.01, *scores]) == extrapolate(sizes, scores), "a beginning follows no law"
    flat = extrapolate(sizes, [0.4, 0.8, 0.84, 0.845])
    assert flat is not None
    assert 0 < flat < 0.01, "what has levelled off does not rise again"
    assert extrapolate([100, 200, 400], [0.8, 0.7, 0.6]) == 0
    assert extrapolate([100, 200, 400], [0.9, 1.0, 1.0]) == 0, "nothing is left"
    assert extrapolate([100, 200], [0.5, 0.6]) is None


def test_a_reason_quotes_nobody() -> None:
    """Our own errors say what to do; another library's may hold a customer's words."""
    assert reason(DataError("give more rows")) == "give more rows"
    with pytest.raises(ValueError, match="customer") as caught:
        float("a customer's words")
    assert reason(caught.value).startswith("ValueError in test_compare.py, line ")
    assert "customer" not in reason(caught.value)
