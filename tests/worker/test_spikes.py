"""The detector: its formula, its silence when nothing happens, its voice when something does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from worker import spikes
from worker.spikes import RATIOS, WINDOWS, evidence, expectation, is_over


def _reference(counts: list[int], expected: list[float], a: float) -> float:
    """The formula of the docstring, written out with loops."""
    total, before = 0.0, 0
    for k in WINDOWS:
        if k > len(counts):
            break
        x, m = sum(counts[-k:]), sum(expected[-k:])
        terms = [rho**-a * ((a + m) / (a / rho + m)) ** (a + x) for rho in RATIOS]
        total += (k - before) * sum(terms) / len(terms)
        before = k
    return total


def test_the_statistic_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(2.0, (3, 50))
    expected = rng.uniform(0.5, 4.0, (3, 50))
    error = np.array([0.0, 0.02, 0.1])
    found = evidence(counts, expected, error)
    for row in range(3):
        a = 1 / (spikes.DISPERSION + error[row])
        assert found.statistic[row] == pytest.approx(
            _reference(counts[row].tolist(), expected[row].tolist(), a), rel=1e-9
        )


def test_without_dispersion_it_is_the_poisson_ratio() -> None:
    counts, expected = np.array([[4]]), np.array([[1.5]])
    found = evidence(counts, expected, np.array([0.0]), dispersion=1e-7)
    poisson = np.mean([rho**4 * math.exp(-(rho - 1) * 1.5) for rho in RATIOS])
    assert found.statistic[0] == pytest.approx(poisson, rel=1e-4)


@pytest.mark.parametrize(("m", "dispersion"), [(0.1, 0.05), (3.0, 0.05), (40.0, 0.2)])
def test_by_chance_alone_a_ratio_is_one_on_average(m: float, dispersion: float) -> None:
    """The e-property behind the bound on false alerts: the exact mean under the gamma-mixed null it was made for."""
    a = 1 / dispersion
    x = np.arange(20_000)
    log_pmf = np.array([math.lgamma(a + k) - math.lgamma(k + 1) - math.lgamma(a) for k in x])
    pmf = np.exp(log_pmf + a * math.log(a / (a + m)) + x * math.log(m / (a + m)))
    found = evidence(x[:, None], np.full((len(x), 1), m), np.zeros(len(x)), dispersion)
    assert pmf.sum() == pytest.approx(1.0, abs=1e-9)
    assert (found.statistic * pmf).sum() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.2, 2.0])
def test_in_quiet_weeks_false_alerts_stay_under_the_promise(rate: float) -> None:
    """40 categories over 4 days, looked at every five minutes: at most one alert per category in four weeks."""
    rng = np.random.default_rng(3)
    days, categories = 4, 40
    ticks = days * 1440
    counts = rng.poisson(rate, (categories, 1440 + ticks))
    threshold = 4 * 7 * 1440
    false_alerts = 0
    for now in range(1440, 1440 + ticks, 30):
        window = counts[:, now - 1440 : now]
        expected, error = expectation(window, window.sum(axis=0), 360)
        false_alerts += int((evidence(window[:, -360:], expected[:, -360:], error).statistic >= threshold).sum())
    assert false_alerts <= categories * days / 28 * 2


@pytest.mark.parametrize(("rate", "ratio", "within"), [(0.05, 10, 60), (0.5, 5, 30), (5.0, 3, 10)])
def test_a_spike_is_seen(rate: float, ratio: float, within: int) -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(rate, (10, 1440))
    counts[3, -within:] = rng.poisson(rate * ratio, within)
    expected, error = expectation(counts, counts.sum(axis=0), 360)
    found = evidence(counts[:, -360:], expected[:, -360:], error)
    assert found.statistic[3] >= 4 * 7 * 1440
    assert (np.delete(found.statistic, 3) < 4 * 7 * 1440).all()
    assert found.observed[3] / found.expected[3] == pytest.approx(ratio, rel=0.5)
    assert found.window[3] <= 2 * within


def test_a_busy_morning_is_no_spike() -> None:
    """Every category triples at once: the share of each stays what it was."""
    rng = np.random.default_rng(5)
    counts = np.concatenate([rng.poisson(0.5, (10, 1200)), rng.poisson(1.5, (10, 240))], axis=1)
    expected, error = expectation(counts, counts.sum(axis=0), 360)
    assert (evidence(counts[:, -360:], expected[:, -360:], error).statistic < 4 * 7 * 1440).all()


def test_labels_that_come_together_do_not_hide_each_others_spike() -> None:
    """Two labels on the same tickets: the odds are against the tickets without, not against the other label."""
    rng = np.random.default_rng(6)
    counts = rng.poisson(0.5, (10, 1440))
    counts[1] = counts[0]
    counts[:2, -10:] += 5
    expected, error = expectation(counts, counts.sum(axis=0) - counts[1], 360)
    found = evidence(counts[:, -360:], expected[:, -360:], error)
    assert (found.statistic[:2] >= 4 * 7 * 1440).all()
    assert found.expected[0] / found.window[0] == pytest.approx(0.5, rel=0.5)


def test_a_category_under_alert_does_not_learn_its_spike() -> None:
    counts = np.ones((5, 300), dtype=np.int64)
    counts[0, 100:150] = 50
    quiet = np.ones(counts.shape, dtype=bool)
    quiet[0, 100:150] = False
    learned, _ = expectation(counts, counts.sum(axis=0), 100)
    spared, _ = expectation(counts, counts.sum(axis=0), 100, quiet)
    assert spared[0, -1] < 1.2 < learned[0, -1]


def test_a_category_that_was_never_seen_does_not_fire_from_a_ticket_or_two() -> None:
    counts = np.full((10, 1440), 1, dtype=np.int64)
    counts[0] = 0
    counts[0, -3:] = 1
    expected, error = expectation(counts, counts.sum(axis=0), 360)
    assert evidence(counts[:, -360:], expected[:, -360:], error).statistic[0] < 4 * 7 * 1440


def test_a_great_spike_does_not_overflow() -> None:
    counts, expected = np.array([[10_000_000]]), np.array([[0.001]])
    assert np.isfinite(evidence(counts, expected, np.array([0.01])).statistic).all()


def test_it_is_over_by_evidence_not_by_silence() -> None:
    expected = np.full(30, 1.0)
    assert not is_over(np.full(30, 6), expected, ratio=6)
    assert is_over(np.ones(30, dtype=np.int64), expected, ratio=6)
    assert not is_over(np.zeros(30, dtype=np.int64), np.full(30, 0.01), ratio=6)
