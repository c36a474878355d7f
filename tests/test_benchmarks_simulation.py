"""The made-up weeks that detectors are compared on, and how they are scored."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.spikes import simulation
from benchmarks.spikes.simulation import HOUR, TICK_H, WEEK, Spikes
from worker.spikes import Bools


def _alarm(*ticks: int) -> Bools:
    alarm = np.zeros((1, 200), dtype=bool)
    alarm[0, list(ticks)] = True
    return alarm


def test_alarms_within_two_hours_are_one_alert() -> None:
    assert simulation.alerts(_alarm()) == 0
    assert simulation.alerts(_alarm(0, 1, 24, 48)) == 1
    assert simulation.alerts(_alarm(0, 25)) == 2
    assert simulation.alerts(_alarm(10, 34, 59, 199)) == 3


def test_three_tickets_in_six_hours_make_an_alarm_count() -> None:
    counts = np.zeros((1, 200), dtype=np.int64)
    counts[0, [10, 11, 12]] = 1
    told = simulation.told(np.ones((1, 200), dtype=bool), counts)
    assert np.flatnonzero(told).tolist() == list(range(12, 10 + 6 * HOUR))


def test_a_spike_is_seen_when_an_alarm_is_in_it() -> None:
    alarm = np.concatenate([_alarm(5, 62, 135), _alarm()])
    injected = Spikes(np.array([0, 0, 0, 1]), np.array([0, 50, 100, 0]), np.array([12, 62, 136, 72]))
    one, three, six = simulation.detected(alarm, injected)
    assert one == {"per_cent": 50.0, "minutes": 30.0}
    assert three == {"per_cent": 100.0, "minutes": 180.0}
    assert six == {"per_cent": 0.0, "minutes": None}


@pytest.mark.parametrize("noise", ["A", "B"])
def test_made_up_weeks_have_the_rate_they_are_asked_for(noise: simulation.Noise) -> None:
    rate = simulation.rates(np.random.default_rng(1), per_hour=10, rows=20, weeks=4, noise=noise)
    assert rate.shape == (20, 4 * WEEK)
    assert rate.mean() * HOUR == pytest.approx(10, rel=0.1)


def test_each_week_has_a_spike_and_lies_beside_it_unchanged() -> None:
    rng = np.random.default_rng(2)
    rate = simulation.rates(rng, per_hour=1, rows=3, weeks=4, noise="A")
    spiked, injected = simulation.inject(rng, rate, 5, first_week=2)
    assert sorted(zip(injected.row, injected.start // WEEK, strict=True)) == [(r, w) for r in range(3) for w in (2, 3)]
    assert set(injected.end - injected.start) == {HOUR, 3 * HOUR, 6 * HOUR}
    raised = spiked / rate
    assert set(np.unique(raised.round(9))) == {1.0, 5.0}
    assert (raised > 1).sum() == (injected.end - injected.start).sum()


def test_our_statistic_does_not_look_ahead() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(simulation.rates(rng, per_hour=10, rows=3, weeks=4, noise="A"))
    later = counts.copy()
    now = 3 * WEEK + 500
    later[:, now:] *= 7
    before, after = (simulation.statistic(one, 2 * WEEK, TICK_H) for one in (counts, later))
    assert before[:, :now] == pytest.approx(after[:, :now], rel=1e-12)
    assert (after[:, now + HOUR] > before[:, now + HOUR]).all()
