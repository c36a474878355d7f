"""The detector: what it holds for usual, its formula, its silence in quiet weeks, its voice when something happens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from worker import spikes
from worker.spikes import QUIET, RATIOS, WINDOWS, Baseline, Bools, Floats, Ints, extra

DISPERSION = np.array([0.03, 0.06])


def _evidence(counts: Ints, expected: Floats, error: float = 0.0, dispersion: Floats = DISPERSION) -> spikes.Evidence:
    rows = len(counts)
    return spikes.evidence(counts, expected, np.full(rows, error), np.tile(dispersion, (rows, 1)))


def _weeks(shape: Floats, weeks: int) -> tuple[Floats, Ints, Bools]:
    """A rate (C, 168) repeated, the slots, and a mask that teaches everything."""
    rate = np.tile(shape, (1, weeks))
    return rate, np.arange(rate.shape[1]) % 168, np.ones(rate.shape, dtype=bool)


def _shape(rows: int) -> Floats:
    """A week with a steep morning, a long afternoon and quiet days at its end; mean 1."""
    hour, day = np.arange(168) % 24, np.arange(168) // 24
    week = (0.2 + 2 * np.exp(-(((hour - 10.5) / 2) ** 2)) + np.exp(-(((hour - 16) / 3) ** 2))) * np.where(
        day < 5, 1, 0.3
    )
    return np.tile(week / week.mean(), (rows, 1))


# What is news


def test_the_statistic_is_the_sum_over_starts() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(2.0, (3, 380))
    expected = rng.uniform(0.5, 4.0, (3, 380))
    error = np.array([0.0, 0.02, 0.1])
    found = spikes.evidence(counts, expected, error, np.tile(DISPERSION, (3, 1)))
    for row in range(3):
        total, before = 0.0, 0
        for k in WINDOWS:
            x, m = counts[row, -k:].sum(), expected[row, -k:].sum()
            part = min(max(math.log(k / 60) / math.log(6), 0), 1)
            a = 1 / (0.03 ** (1 - part) * 0.06**part + error[row] * 0.55**part)
            terms = [rho**-0.5 * rho**-a * ((a + m) / (a / rho + m)) ** (a + x) for rho in RATIOS]
            total += (k - before) / 60 * sum(terms) / sum(rho**-0.5 for rho in RATIOS)
            before = k
        assert found.statistic[row] == pytest.approx(total, rel=1e-9)


def test_a_scan_is_the_statistic_at_every_tick() -> None:
    rng = np.random.default_rng(2)
    counts, expected = rng.poisson(1.0, (2, 500)), rng.uniform(0.5, 1.5, (2, 500))
    error, dispersion = np.array([0.01, 0.1]), np.tile(DISPERSION, (2, 1))
    every = spikes.scan(counts, expected, error, dispersion)
    for now in (1, 7, 359, 361, 500):
        newest = spikes.evidence(counts[:, :now], expected[:, :now], error, dispersion).statistic
        assert every[:, now - 1] == pytest.approx(newest, rel=1e-9)


def test_without_dispersion_it_is_the_poisson_ratio() -> None:
    found = _evidence(np.array([[4]]), np.array([[1.5]]), dispersion=np.array([1e-6, 1e-6]))
    poisson = np.average([rho**4 * math.exp(-(rho - 1) * 1.5) for rho in RATIOS], weights=np.array(RATIOS) ** -0.5) / 60
    assert found.statistic[0] == pytest.approx(poisson, rel=1e-3)


def test_the_length_of_a_tick_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    halves, expected = rng.poisson(0.5, (4, 720)), np.full((4, 720), 0.5)
    error, dispersion = np.zeros(4), np.tile(DISPERSION, (4, 1))
    fine = spikes.evidence(halves, expected, error, dispersion, tick_h=1 / 120)
    minutes = spikes.evidence(
        halves.reshape(4, 360, 2).sum(axis=2), expected.reshape(4, 360, 2).sum(axis=2), error, dispersion
    )
    coarse = spikes.evidence(
        halves.reshape(4, 72, 10).sum(axis=2), expected.reshape(4, 72, 10).sum(axis=2), error, dispersion, tick_h=1 / 12
    )
    assert fine.statistic == pytest.approx(minutes.statistic, rel=1e-9)
    assert fine.window.tolist() == (minutes.window * 2).tolist()
    assert coarse.statistic == pytest.approx(minutes.statistic, rel=0.25)


@pytest.mark.parametrize("ratios", [RATIOS, QUIET])
@pytest.mark.parametrize(("m", "alpha"), [(0.1, 0.05), (3.0, 0.05), (40.0, 0.2)])
def test_by_chance_alone_a_ratio_is_one_on_average(m: float, alpha: float, ratios: tuple[float, ...]) -> None:
    """The e-property behind the bound on false alerts: the exact mean under the gamma-mixed null it was made for."""
    a = 1 / alpha
    x = np.arange(20_000)
    log_pmf = np.array([math.lgamma(a + k) - math.lgamma(k + 1) - math.lgamma(a) for k in x])
    pmf = np.exp(log_pmf + a * math.log(a / (a + m)) + x * math.log(m / (a + m)))
    rows = len(x)
    found = spikes.evidence(
        x[:, None], np.full((rows, 1), m), np.zeros(rows), np.full((rows, 2), alpha), tick_h=1.0, ratios=ratios
    )
    assert pmf.sum() == pytest.approx(1.0, abs=1e-9)
    assert (found.statistic * pmf).sum() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("rate", [0.1, 1.0, 10.0, 100.0])
def test_in_quiet_weeks_false_alerts_stay_under_the_promise(rate: float) -> None:
    """50 categories, 6 weeks of 5 minutes, a rate that wanders by the hour: at most one alert in four weeks each."""
    rng = np.random.default_rng(4)
    wander = np.repeat(rng.gamma(1 / 0.03, 0.03, (50, 6 * 168)), 12, axis=1)
    counts = rng.poisson(rate / 12 * wander)
    found = spikes.scan(
        counts, np.full(counts.shape, rate / 12), np.zeros(50), np.tile([0.03, 0.02], (50, 1)), tick_h=1 / 12
    )
    over = found >= spikes.threshold(4)
    fired = (over[:, 1:] & ~over[:, :-1]).sum()
    assert fired <= 50 * 6 / 4


@pytest.mark.parametrize(("rate", "ratio", "minutes"), [(3, 10, 60), (30, 5, 30), (300, 3, 10)])
def test_a_spike_is_seen(rate: float, ratio: float, minutes: int) -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(rate / 60, (10, 720))
    counts[3, -minutes:] = rng.poisson(rate / 60 * ratio, minutes)
    found = _evidence(counts, np.full(counts.shape, rate / 60))
    assert (found.statistic >= spikes.threshold(4)).tolist() == [row == 3 for row in range(10)]
    assert found.low[3] < ratio < found.high[3]
    assert found.low[3] > 1
    assert found.observed[3] / found.expected[3] == pytest.approx(ratio, rel=0.5)
    assert found.window[3] <= 2 * minutes


def test_silence_is_seen() -> None:
    rng = np.random.default_rng(6)
    counts = rng.poisson(0.5, (2, 360))
    counts[0, -60:] = 0
    found = spikes.evidence(counts, np.full((2, 360), 0.5), np.zeros(2), np.tile(DISPERSION, (2, 1)), ratios=QUIET)
    assert (found.statistic >= spikes.threshold(4)).tolist() == [True, False]
    assert found.high[0] < 0.5


def test_a_great_spike_does_not_overflow() -> None:
    found = _evidence(np.array([[10_000_000]]), np.array([[0.001]]))
    assert np.isfinite(found.statistic).all()
    assert np.isfinite(found.high).all()


def test_where_nothing_may_speak_nothing_is_said() -> None:
    """Ticks that another alert has told are zeros, seen and expected."""
    found = _evidence(np.zeros((1, 360), dtype=np.int64), np.zeros((1, 360)))
    assert found.statistic[0] == pytest.approx(6)
    assert found.low[0] == 0


def test_the_interval_is_that_of_a_poisson_count() -> None:
    """Exact 90 % limits for 10 tickets: 5.425 and 16.962 (Garwood 1936)."""
    found = _evidence(np.array([[10]]), np.array([[1.0]]))
    assert found.low[0] == pytest.approx(5.425, rel=0.01)
    assert found.high[0] == pytest.approx(16.962, rel=0.01)


# What is usual


def test_the_week_is_learned() -> None:
    rng = np.random.default_rng(7)
    rate, slots, taught = _weeks(_shape(20) * 10, 8)
    learned = spikes.learn(rng.poisson(rate), slots, taught)
    assert np.abs(learned.rate / rate[:, :168] - 1).mean() < 0.12
    assert learned.rate.mean() == pytest.approx(10, rel=0.03)
    assert learned.weeks.tolist() == [8.0] * 20
    assert (learned.error < 0.07).all()


def test_a_lone_category_of_few_tickets_takes_the_week_from_the_others() -> None:
    rng = np.random.default_rng(8)
    rate, slots, taught = _weeks(_shape(20) * np.array([[0.1], *[[10.0]] * 19]), 4)
    learned = spikes.learn(rng.poisson(rate), slots, taught)
    assert np.corrcoef(learned.rate[0], rate[0, :168])[0, 1] > 0.9


def test_the_changed_clock_moves_nothing() -> None:
    """In spring an hour of the local week is missing, in autumn one is there twice; each teaches its own slot."""
    rng = np.random.default_rng(9)
    slots = np.concatenate([np.arange(168)[np.arange(168) != 146], np.arange(168), np.insert(np.arange(168), 146, 146)])
    shape = _shape(5) * 5000
    learned = spikes.learn(rng.poisson(shape[:, slots]), slots, np.ones((5, len(slots)), dtype=bool))
    assert np.abs(learned.rate / shape - 1).max() < 0.15
    assert learned.weeks.tolist() == [3.0] * 5


def test_an_hour_under_an_alert_teaches_nothing() -> None:
    rate, slots, taught = _weeks(_shape(5) * 10, 3)
    counts = np.random.default_rng(10).poisson(rate)
    counts[0, 200:212] *= 30
    taught[0, 200:212] = False
    spared = spikes.learn(counts, slots, taught)
    assert spared.rate[0].mean() == pytest.approx(10, rel=0.05)
    assert spared.weeks[0] == pytest.approx(3 - 12 / 168)


def test_a_past_spike_that_nobody_marked_teaches_little() -> None:
    rate, slots, taught = _weeks(_shape(5) * 10, 8)
    counts = np.random.default_rng(11).poisson(rate)
    counts[0, 200:206] *= 10
    learned = spikes.learn(counts, slots, taught)
    assert learned.rate[0, 32:38] == pytest.approx(rate[0, 32:38], rel=0.5)


def test_the_wandering_of_the_rate_is_measured() -> None:
    rng = np.random.default_rng(12)
    rate, slots, taught = _weeks(np.full((20, 168), 50.0), 8)
    renewed = spikes.learn(rng.poisson(rate * rng.gamma(1 / 0.1, 0.1, rate.shape)), slots, taught)
    lasting = np.repeat(rng.gamma(1 / 0.1, 0.1, (20, rate.shape[1] // 6)), 6, axis=1)
    lasted = spikes.learn(rng.poisson(rate * lasting), slots, taught)
    assert renewed.dispersion.mean(axis=0) == pytest.approx([0.1, 0.1 / 6], abs=0.02)
    assert lasted.dispersion.mean(axis=0) == pytest.approx([0.1, 0.1], abs=0.03)


def test_after_a_promotion_the_shape_stays_and_the_level_is_new() -> None:
    rng = np.random.default_rng(13)
    rate, slots, taught = _weeks(_shape(3) * 20, 6)
    rate[0, 168 * 5 :] *= 3
    since = np.array([168 * 5, 0, rate.shape[1]])
    learned = spikes.learn(rng.poisson(rate), slots, taught, since=since)
    assert learned.rate.mean(axis=1) == pytest.approx([60, 20, 20], rel=0.1)
    assert np.corrcoef(learned.rate[0], rate[0, :168])[0, 1] > 0.95
    assert learned.dispersion[0].max() < 0.05
    assert learned.error[2].min() > 1 > 10 * learned.error[1].max()


@pytest.mark.parametrize(("tickets", "fires"), [(2, False), (5, True)])
def test_a_category_that_never_had_a_ticket_fires_from_five(tickets: int, *, fires: bool) -> None:
    rate, slots, taught = _weeks(_shape(10), 4)
    counts = np.random.default_rng(14).poisson(rate)
    counts[0] = 0
    learned = spikes.learn(counts, slots, taught)
    expected, error = spikes.expect(learned, np.arange(360) / 60 + 10, 1 / 60)
    now = np.zeros(expected.shape, dtype=np.int64)
    now[0, np.linspace(50, 350, tickets).astype(int)] = 1
    found = spikes.evidence(now, expected, error, learned.dispersion)
    assert bool(found.statistic[0] >= spikes.threshold(4)) is fires


def test_expected_tickets_go_smoothly_from_hour_to_hour() -> None:
    rate = np.full((1, 168), 1.0)
    rate[0, 0], rate[0, 1] = 60.0, 240.0
    learned = Baseline(rate, np.full((1, 168), 0.5), np.tile(DISPERSION, (1, 1)), np.array([4.0]))
    expected, error = spikes.expect(learned, np.array([0.5, 1.0, 1.5, 168.5]), 1 / 60)
    assert expected[0] == pytest.approx([1.0, 2.0, 4.0, 1.0])
    assert error.tolist() == [0.5]


# Life of an alert


def test_confused_neighbours_are_expected() -> None:
    expected = np.tile([[100 / 60], [1 / 60], [101 / 60]], (1, 60))
    counts = np.full((3, 60), 2)
    counts[1:] = 0
    counts[0, -30:] = 17
    leak = spikes.leaked(counts, expected, np.array([[98, 2], [0, 50]]))
    assert leak[1, -1] == pytest.approx((17 - 100 / 60) * 2 / 98)
    assert leak[1, :30].sum() == leak[0].sum() == leak[2].sum() == 0


def test_a_single_ticket_of_a_rare_category_leaks_nothing() -> None:
    """Of two thousand categories many have one: that is no spike, and a matrix of all of them takes seconds."""
    counts = np.zeros((2, 30), dtype=np.int64)
    counts[0, -1] = 1
    assert spikes.leaked(counts, np.full((2, 30), 1e-4), np.array([[90, 10], [0, 50]])).sum() == 0


def test_it_is_over_by_evidence_not_by_silence() -> None:
    expected = np.full(30, 1.0)
    assert not spikes.is_over(np.full(30, 6), expected, ratio=6)
    assert spikes.is_over(np.ones(30, dtype=np.int64), expected, ratio=6)
    assert not spikes.is_over(np.zeros(30, dtype=np.int64), np.full(30, 0.01), ratio=6)
    assert not spikes.is_over(np.zeros(0, dtype=np.int64), np.zeros(0), ratio=6)


def test_a_silence_is_over_when_tickets_come() -> None:
    expected = np.full(30, 1.0)
    assert not spikes.is_over(np.zeros(30, dtype=np.int64), expected, ratio=0)
    assert spikes.is_over(np.ones(30, dtype=np.int64), expected, ratio=0)


def test_the_budget_bounds_the_alerts_of_any_stream() -> None:
    """Whatever the statistic does: T weeks bring T / 4 + (d + 2) / 2 alerts, d its most decades over the threshold."""
    rng = np.random.default_rng(15)
    events: list[tuple[float, int]] = []
    weeks, decades = 52, 5.0
    for hour in range(0, weeks * 168, 3):
        if rng.uniform(0, decades) >= extra(events, hour, 4):
            events.append((hour, 1))
    assert 10 <= len(events) <= weeks / 4 + (decades + 2) / 2


def test_feedback_moves_the_budget() -> None:
    fired = [(0.0, 1)]
    assert extra([], 0, 4) == 0
    assert extra(fired, 0, 4) == 2
    assert extra(fired, 336, 4) == pytest.approx(1)
    assert extra(fired, 10_000, 4) == 0
    assert extra([*fired, (1.0, -1)], 1, 4) == 0
    assert extra([*fired, (0.0, 1)], 0, 4) == 4


@pytest.mark.parametrize(("rate", "error"), [(0.1, 0.1), (1, 0.03), (100, 0.01)])
def test_the_smallest_spike_is_the_one_that_just_fires(rate: float, error: float) -> None:
    ratio = spikes.smallest(np.array([rate]), np.array([error]), DISPERSION[None], 4).item()
    for factor, fires in ((1.1, True), (0.9, False)):
        tickets = np.diff(np.round(np.linspace(0, ratio * factor * rate * 6, 361)), prepend=0)[1:].astype(np.int64)
        found = _evidence(tickets[None], np.full((1, 360), rate / 60), error)
        assert (found.statistic[0] >= spikes.threshold(4)) is np.bool_(fires) or rate < 1


def test_much_over_dispersion_hides_spikes_of_any_size() -> None:
    """The limit is r - 1 - ln r = 9 alpha: about 1.9 for .03, 3 for .1."""
    alpha = np.array([0.03, 0.1, 3.0])
    found = spikes.smallest(np.full(3, 1e6), np.zeros(3), np.stack([alpha, alpha], axis=1), 4)
    assert found == pytest.approx([1.9, 3.0, np.nan], rel=0.25, nan_ok=True)
