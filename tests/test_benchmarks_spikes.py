"""What our detector is measured against does what its source says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.spikes import farrington, noufaily, scenarios
from benchmarks.spikes.rivals import RIVALS
from worker import spikes
from worker.spikes import WEEK, Bools, Floats, Ints

REAL = Path(__file__).parent.parent / "var" / "data" / noufaily.FILE
PER, TICK_H = 12, 1 / 12
START = 5 * WEEK * PER


def test_the_tail_is_that_of_rs_surveillance() -> None:
    """Figures of the R package's own tests: mean 5, 11 cases, upper bounds at 0.05 of 10 and 9."""
    mean, phi = np.full(2, 5.0), np.array([1.5, 1.0])
    assert farrington.tail(np.array([11, 11]), mean, phi) == pytest.approx([0.03763657, 0.01369527], abs=1e-8)
    assert (farrington.tail(np.array([11, 10]), mean, phi) <= 0.05).all()
    assert (farrington.tail(np.array([10, 9]), mean, phi) > 0.05).all()
    assert farrington.tail(np.array([0, 0]), mean, phi) == pytest.approx([1, 1])


def by_the_book(counts: Ints, time: Floats, level: Ints) -> tuple[float, float, float]:
    """Farrington Flexible for one history with design matrix, iterated weighted least squares and hat matrix."""
    x: Floats = np.column_stack([np.eye(level.max() + 1)[level], time])

    def fit(prior: Floats) -> tuple[Floats, Floats, Floats]:
        mu = np.asarray(counts + 0.1, dtype=np.float64)
        for _ in range(100):
            eta = np.log(mu)
            inverse = np.asarray(np.linalg.inv(x.T @ (x * (prior * mu)[:, None])), dtype=np.float64)
            mu = np.exp(x @ inverse @ (x.T @ (prior * mu * (eta + (counts - mu) / mu))))
        hat: Floats = prior * mu * np.einsum("ij,jk,ik->i", x, inverse, x)
        return mu, inverse, hat

    def phi(mu: Floats, prior: Floats) -> float:
        return max(1.0, float((prior * (counts - mu) ** 2 / mu).sum() / (len(x) - x.shape[1])))

    mu, _, hat = fit(np.ones(len(x)))
    s = 1.5 * (counts ** (2 / 3) * mu ** (-1 / 6) - mu**0.5) / np.sqrt(phi(mu, np.ones(len(x))) * (1 - hat))
    prior = np.array([one**-2 if one > 2.58 else 1.0 for one in s])
    prior *= len(prior) / prior.sum()
    mu, inverse, _ = fit(prior)
    now = np.eye(x.shape[1])[0]
    expected = np.exp(now @ inverse @ (x.T @ (prior * mu * (np.log(mu) + (counts - mu) / mu))))
    return float(expected), phi(mu, prior), float(now @ inverse @ now) * phi(mu, prior)


def test_the_fit_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    time, level = np.arange(-237.0, 0) / 52, np.arange(237) // 5 % 10
    mu = np.exp(1 + 0.2 * time + np.sin(level))
    counts = rng.negative_binomial(mu / 2, 1 / 3, (5, 237))
    counts[:, 100] += 60
    fit = farrington.flexible(counts, time, level)
    for row, history in enumerate(counts):
        assert [values[row] for values in fit] == pytest.approx(by_the_book(history, time, level), rel=1e-6)
    usual = np.delete(np.arange(237), 100)
    without = farrington.flexible(counts[:, usual], time[usual], level[usual])
    assert fit.mean == pytest.approx(without.mean, rel=0.1), "the past outbreak hardly counts"


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there: docs/benchmarks.md says what it is")
def test_so_it_is_on_real_series() -> None:
    counts, _ = noufaily.read(REAL)
    time, level = np.arange(-counts.shape[1], 0) / 52, np.zeros(counts.shape[1], dtype=np.int64)
    fit = farrington.flexible(counts, time, level)
    for row, history in enumerate(counts):
        assert [values[row] for values in fit] == pytest.approx(by_the_book(history, time, level), rel=1e-6)


def test_a_trend_that_leads_above_all_past_counts_is_left_out() -> None:
    time, level = np.arange(-20.0, 0) - 30, np.zeros(20, dtype=np.int64)
    counts = np.round(np.exp((time + 50) / 8)).astype(np.int64)[None]
    assert farrington.flexible(counts, time, level).mean == pytest.approx(
        farrington.flexible(counts, time, level, trend=False).mean
    )


def test_a_season_without_a_case_is_fitted_too() -> None:
    counts, level = np.array([[3, 0, 2, 0, 4, 0]]), np.array([0, 1] * 3)
    fit = farrington.flexible(counts, np.arange(-6.0, 0), level, trend=False)
    assert [values[0] for values in fit] == pytest.approx([3, 1, 1 / 9])


def test_there_are_42_scenarios_of_the_dispersion_they_say() -> None:
    assert len(set(scenarios.SCENARIOS)) == 42
    for scenario in (one for one in scenarios.SCENARIOS if one.waves == 0 and one.beta == 0):
        quiet = scenarios.simulate(scenario, 50, np.random.default_rng(0)).counts[:, : scenarios.PAST]
        assert quiet.mean() == pytest.approx(np.exp(scenario.theta), rel=0.05)
        assert quiet.var() / quiet.mean() == pytest.approx(scenario.phi, rel=0.1)


def test_half_of_an_outbreak_comes_at_once_and_most_of_the_rest_a_week_later() -> None:
    made = scenarios.simulate(scenarios.SCENARIOS[-1], 400, np.random.default_rng(0))
    truth = scenarios.outbreaks(made.outbreak, made.size)
    inside = (made.size > 5) & (truth.first < scenarios.TEST - 8)
    cases, first = made.outbreak[inside], truth.first[inside]
    share = [cases[np.arange(len(cases)), first + week].sum() / cases.sum() for week in (0, 1)]
    assert share == pytest.approx([0.5, 0.42], abs=0.02)


@pytest.mark.parametrize(("error", "exact"), [(0, [0, 1, 2, 3]), (0.03, [0])])
def test_our_weekly_statistic_is_the_sum_of_likelihood_ratios_over_the_last_weeks(
    error: float, exact: list[int]
) -> None:
    """Between one week and four the detector interpolates, which is exact without an error of the fit."""
    counts, expected = np.array([[3, 5, 4, 12]]), np.full((1, 4), 4.0)
    total, sums = 0.0, []
    for k in range(1, 5):
        x, m = counts[0, -k:].sum(), 4.0 * k
        a = 1 / (0.5 / m + error)
        total += float(stats.nbinom.pmf(x, a, a / (a + 2 * m)) / stats.nbinom.pmf(x, a, a / (a + m)))
        sums.append(total)
    found = noufaily.weekly(counts, expected, np.array([1.5]), np.array([error]), (2,))[0]
    assert found[exact] == pytest.approx(np.array(sums)[exact])
    assert found == pytest.approx(sums, rel=0.02)


def test_an_alarm_is_told_once() -> None:
    weeks = np.zeros((1, 6, noufaily.WINDOWS))
    weeks[0, 1:5] = [[50, 50, 50, 50], [0, 50, 50, 50], [0, 0, 50, 50], [0, 50, 50, 50]]
    assert noufaily.alarms(weeks, 40).tolist() == [[False, True, False, False, True, False]]


def test_delay_and_detection_count_within_the_outbreak_only() -> None:
    cases, fired = np.zeros((4, 6), dtype=np.int64), np.zeros((4, 6), dtype=bool)
    cases[0, 1:4] = cases[1, 1:3] = 1
    cases[2, 5] = 1
    fired[0, 2] = fired[1, 3] = fired[2, 5] = True
    figures = scenarios.outcome(fired, scenarios.outbreaks(cases, np.array([2, 5, 9, 9])))
    assert figures["false_alarms"] == pytest.approx(1 / 18, abs=1e-4)
    assert [figures[f"found_{sizes}"] for sizes in ("1_3", "4_6", "7_10")] == [1, 0, 1]
    assert [figures[f"spanning_found_by_week_{week}"] for week in (1, 2)] == [0, 0.5]
    assert figures["spanning_weeks_unseen"] == 1.5


def test_at_equal_false_alarms_ours_finds_no_less_than_farrington_flexible(tmp_path: Path) -> None:
    """FPR .0051 +- .001 at alpha .005 guards the simulator.

    The full run is ten times as long; here the standard error of a difference is two points.
    """
    lines = ["series,unit,t,observed,outbreak_state", *(f"a,0,{t},{40 * (t == 200)},{t == 200:d}" for t in range(209))]
    (tmp_path / noufaily.FILE).write_text("\n".join(lines))
    figures = noufaily.measure(replicates=10, seed=0, data=tmp_path)
    assert figures["farrington_nominal"]["0.005"]["false_alarms"] == pytest.approx(0.0051, abs=0.001)
    for rate, found in figures["matched"].items():
        assert all(one["false_alarms"] <= float(rate) for one in found.values())
        for one in found.values():
            each = [part["false_alarms"] for part in one["by_theta"].values()]
            assert len(each) == 7
            assert np.mean(each) == pytest.approx(one["false_alarms"], rel=0.05)
        assert found["presort"]["found"] > found["farrington"]["found"] - 0.06
    assert figures["real"]["0.005"]["farrington"] == {"outbreak_weeks": 1, "other_weeks": 0}
    assert "presort, at 0.01" in noufaily.table(figures)


def made(ratio: float = 1) -> Ints:
    """A category of 12 tickets an hour, with three hours of ``ratio`` times as many in the sixth week."""
    rate = np.ones((2, 6 * WEEK * PER))
    rate[:, START + 30 * PER : START + 33 * PER] *= ratio
    return np.random.default_rng(1).poisson(rate)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_sees_a_great_spike_and_nothing_before_the_start(name: str) -> None:
    alarm = RIVALS[name](made(ratio=10), START, TICK_H)
    assert alarm.shape == (2, 6 * WEEK * PER)
    assert alarm[:, START + 30 * PER : START + 33 * PER].any(axis=1).all()
    assert not alarm[:, :START].any()
    assert alarm[:, START:].mean() < 0.1


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_knows_the_past_only(name: str) -> None:
    counts, now = made(), START + 31 * PER + 5
    later = counts.copy()
    later[:, now:] = 50
    before = RIVALS[name](counts, START, TICK_H)
    after = RIVALS[name](later, START, TICK_H)
    assert (before[:, :now] == after[:, :now]).all()
    assert (before[:, now:] != after[:, now:]).any()


def last(counts: Ints, tick: int, span: int = PER) -> int:
    return int(counts[tick + 1 - span : tick + 1].sum())


def z_by_hand(counts: Ints, tick: int) -> bool:
    before = [last(counts, tick - PER - back) for back in range(24 * PER)]
    return bool((last(counts, tick) - np.mean(before)) / np.std(before) > 3)


def gitlab_by_hand(counts: Ints, tick: int) -> bool:
    def above(at: int) -> bool:
        week = [[last(counts, at - k * WEEK * PER - back) for back in range(WEEK * PER)] for k in range(4)]
        predicted = [
            last(counts, at - k * WEEK * PER + PER // 2) + np.mean(week[0]) - np.mean(week[k]) for k in (1, 2, 3)
        ]
        return bool((last(counts, at) - np.median(predicted)) / np.std(week[0]) > 3)

    return above(tick) and above(tick - 1)


def glr_by_hand(counts: Ints, tick: int) -> bool:
    hourly = counts[None, :START].reshape(1, -1, PER).sum(axis=2)
    baseline = spikes.learn(hourly, np.arange(5 * WEEK) % WEEK, np.ones((1, 5 * WEEK), dtype=bool))
    expected, _ = spikes.expect(baseline, (np.arange(counts.size) + 0.5) / PER, TICK_H)
    best = 0.0
    for span in range(1, 6 * PER + 1):
        x, m = last(counts, tick, span), float(expected[0, tick + 1 - span : tick + 1].sum())
        best = max(best, x * np.log(x / m) - x + m if x > m else 0)
    return best > 5


BY_HAND: dict[str, Callable[[Ints, int], bool]] = {
    "z-score 24 h": z_by_hand,
    "GitLab": gitlab_by_hand,
    "Poisson GLR": glr_by_hand,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_rival_is_its_formula(name: str) -> None:
    """Around a spike that is just seen, so that both answers occur; one row, as the baseline pools rows."""
    counts = made(ratio=2)[:1]
    alarm = RIVALS[name](counts, START, TICK_H)[0]
    ticks = range(START + 30 * PER, START + 31 * PER + 6)
    assert [bool(alarm[tick]) for tick in ticks] == [BY_HAND[name](counts[0], tick) for tick in ticks]
    assert len({bool(alarm[tick]) for tick in ticks}) == 2


def test_the_hourly_farrington_is_the_regression_on_the_same_hours_of_the_weeks_before() -> None:
    counts = made(ratio=3)[:1]
    alarm: Bools = RIVALS["Farrington, hourly"](counts, START, TICK_H)[0]
    hourly = counts.reshape(1, -1, PER).sum(axis=2)
    assert set(np.flatnonzero(alarm) % PER) == {PER - 1}
    for hour in range(5 * WEEK + 28, 5 * WEEK + 36):
        past = np.concatenate([hourly[0, hour - k * WEEK - 1 : hour - k * WEEK + 2] for k in range(1, 5)])
        fit = farrington.flexible(past[None], np.ones(12), np.zeros(12, dtype=np.int64), trend=False)
        rare = farrington.tail(hourly[:, hour], fit.mean, fit.phi)[0] <= 0.005
        assert alarm[hour * PER + PER - 1] == rare
    assert alarm[(5 * WEEK + 30) * PER + PER - 1]
