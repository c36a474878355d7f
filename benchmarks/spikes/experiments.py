"""What is measured on made-up weeks: the comparison, a young account, a confused classifier, and time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.spikes import simulation
from benchmarks.spikes.rivals import RIVALS
from benchmarks.spikes.simulation import HISTORY, HOUR, MONTH, TICK_H, WEEK, Noise, alerts, detected, told
from worker import spikes
from worker.spikes import Bools, Floats, Ints

Say = Callable[[str], object]

OURS = "Presort"
RATES = (0.1, 1.0, 10.0, 100.0)
"""Tickets an hour."""

RATIOS = (2, 3, 5, 10)
SENSITIVITIES = (4, 12)
"""Weeks: thresholds of 672 and 2,016 hours."""


def comparison(say: Say, *, quick: bool) -> dict[str, Any]:
    """Detectors at their own thresholds on the same tickets: false alerts, and what they see of injected spikes.

    By noise, then tickets an hour, then detector. Each has ``false_alerts`` by threshold in hours (ours) or at the one
    it has, with the count beside alerts per category-month, and with noise A ``spikes``: for each ratio, for spikes of
    one, three and six hours, the per cent seen and the median minutes until then.
    """
    rows, test = (10, 2) if quick else (80, 12)
    found: dict[str, Any] = {}
    noises: tuple[Noise, ...] = ("A", "B")
    for noise in noises:
        for per_hour in RATES:
            say(f"comparison: noise {noise}, {per_hour:g} tickets an hour")
            rng = np.random.default_rng(11)  # the seed 1 served to choose the detector's constants
            cell: dict[str, Any] = {name: {} for name in (OURS, *RIVALS)}
            counts = rng.poisson(simulation.rates(rng, per_hour=per_hour, rows=rows, weeks=HISTORY + test, noise=noise))
            for name, alarms in _alarms(counts).items():
                cell[name]["false_alerts"] = {
                    threshold: _rate(alarm, counts, rows * test / MONTH) for threshold, alarm in alarms.items()
                }
            for ratio in ((3,) if quick else RATIOS) if noise == "A" else ():
                rate = simulation.rates(rng, per_hour=per_hour, rows=rows, weeks=HISTORY + test, noise=noise)
                rate, injected = simulation.inject(rng, rate, ratio, first_week=HISTORY)
                counts = rng.poisson(rate)
                for name, alarms in _alarms(counts).items():
                    first = next(iter(alarms.values()))
                    cell[name].setdefault("spikes", {})[f"x{ratio}"] = detected(told(first, counts), injected)
            found.setdefault(noise, {})[f"{per_hour:g}"] = cell
    return found


def table(figures: dict[str, Any]) -> str:
    """``comparison`` for people, in Markdown: false alerts a category-month, per cent of spikes seen in 1 / 3 / 6 h."""
    ratios = list(figures["A"][f"{RATES[0]:g}"][OURS]["spikes"])
    lines = [
        "| tickets an hour | detector | " + " | ".join(["A", "B", *ratios]) + " |",
        "|" + "---|" * (4 + len(ratios)),
    ]
    for per_hour, cell in figures["A"].items():
        for name, row in cell.items():
            false = [
                " / ".join(f"{one['per_category_month']:.2f}" for one in kind["false_alerts"].values())
                for kind in (row, figures["B"][per_hour][name])
            ]
            seen = [
                "/".join(f"{one['per_cent']:.0f}" for one in three)
                + (f" ({three[1]['minutes']:.0f})" if three[1]["minutes"] else "")
                for three in row["spikes"].values()
            ]
            lines.append(f"| {per_hour} | {name} | " + " | ".join([*false, *seen]) + " |")
    return "\n".join(lines)


def _alarms(counts: Ints) -> dict[str, dict[str, Bools]]:
    start = HISTORY * WEEK
    statistic = simulation.statistic(counts, start, TICK_H)
    ours = {f"{spikes.threshold(weeks):g} h": statistic >= spikes.threshold(weeks) for weeks in SENSITIVITIES}
    return {OURS: ours} | {name: {"its own": rival(counts, start, TICK_H)} for name, rival in RIVALS.items()}


def _rate(alarm: Bools, counts: Ints, months: float) -> dict[str, float]:
    number = alerts(told(alarm, counts))
    return {"alerts": number, "per_category_month": round(number / months, 2)}


def cold_start(say: Say, *, quick: bool) -> dict[str, Any]:
    """The first week of use after so many weeks of history, noise A, at 672 h: false alerts, fivefold spikes seen."""
    rows = 40 if quick else 400
    found: dict[str, Any] = {}
    for per_hour in RATES:
        for weeks in (1, 2, 4, 8):
            say(f"cold start: {per_hour:g} tickets an hour, {weeks} weeks of history")
            rng = np.random.default_rng(2)
            rate = simulation.rates(rng, per_hour=per_hour, rows=rows, weeks=weeks + 1, noise="A")
            spiked, injected = simulation.inject(rng, rate, 5, first_week=weeks)
            quiet, loud = (
                (told(simulation.statistic(counts, weeks * WEEK, TICK_H) >= spikes.threshold(4), counts), counts)
                for counts in (rng.poisson(rate), rng.poisson(spiked))
            )
            found.setdefault(f"{per_hour:g}", {})[f"{weeks} weeks"] = {
                **_rate(*quiet, rows / MONTH),
                "x5_3h": detected(loud[0], injected)[1],
            }
    return found


def leak(say: Say, *, quick: bool) -> dict[str, Any]:
    """A tenfold spike, three hours of a category of 100 an hour, of whose tickets a part is mistaken for another's.

    The other has one an hour. Per cent of such spikes that raise an alert there, at 672 h, with the leak unknown, half
    of it known, and all of it.
    """
    pairs = 20 if quick else 200
    found: dict[str, Any] = {}
    for part in (0.005, 0.02, 0.05):
        say(f"leak: {part:.1%}")
        rng = np.random.default_rng(3)
        big, small = (
            simulation.rates(rng, per_hour=per_hour, rows=pairs, weeks=HISTORY + 1, noise="A")
            for per_hour in (100.0, 1.0)
        )
        spiked, (row, start, end) = simulation.inject(rng, big, 10, first_week=HISTORY)
        three = end - start == 3 * HOUR
        truth = [rng.poisson(one) for one in (spiked, small)]
        moved = rng.binomial(np.where(spiked > big, truth[0], 0), part)
        both = np.stack([truth[0] - moved, truth[1] + moved])
        usual = [_expected(counts) for counts in both]
        found[f"{part:.1%}"] = {
            known: round(100 * float(np.mean([
                _mistaken(both[:, r], usual, r, slice(s, e), share * part)
                for r, s, e in zip(row[three], start[three], end[three], strict=True)
            ])), 1)
            for known, share in (("unknown", 0.0), ("half", 0.5), ("known", 1.0))
        }  # fmt: skip
    return found


def _expected(counts: Ints) -> tuple[Floats, Floats, Floats]:
    """What the weeks before the last one lead to expect in it; see ``spikes.scan``."""
    hourly = counts[:, : HISTORY * WEEK].reshape(len(counts), -1, HOUR).sum(axis=2)
    learned = spikes.learn(hourly, np.arange(hourly.shape[1]) % 168, np.ones(hourly.shape, dtype=np.bool_))
    return *spikes.expect(learned, (np.arange(WEEK) + 0.5) / HOUR, TICK_H), learned.dispersion


def _mistaken(counts: Ints, usual: list[tuple[Floats, Floats, Floats]], row: int, spike: slice, part: float) -> bool:
    """Whether the second of two categories fires during the first one's spike, with ``part`` of a leak known."""
    week = slice(HISTORY * WEEK, (HISTORY + 1) * WEEK)
    expected, error, dispersion = (np.stack([one[i][row] for one in usual]) for i in range(3))
    confusion = np.array([[100_000 * (1 - part), 100_000 * part], [0, 100_000]]).astype(np.int64)
    expected = expected + spikes.leaked(counts[:, week], expected, confusion, tick_h=TICK_H)
    over = spikes.scan(counts[:, week], expected, error, dispersion, tick_h=TICK_H)[1] >= spikes.threshold(4)
    return bool(over[spike.start - week.start : spike.stop - week.start].any())


def speed(say: Say, *, quick: bool) -> dict[str, Any]:
    """2,000 categories of 0.1 to 100 tickets an hour, six hours of minutes: median of many, milliseconds a tick."""
    say("speed")
    rng = np.random.default_rng(4)
    rate = 10 ** rng.uniform(-1, 2, (2000, 1)) * np.ones((1, HISTORY * 168))
    hourly, taught = rng.poisson(rate), np.ones(rate.shape, dtype=np.bool_)
    started = time.perf_counter()
    learned = spikes.learn(hourly, np.arange(rate.shape[1]) % 168, taught)
    seconds = time.perf_counter() - started
    positions = np.arange(360) / 60 + 9.5
    counts = rng.poisson(rate[:, :360] / 60)
    times: dict[str, list[float]] = {"expect_ms": [], "evidence_ms": []}
    for _ in range(20 if quick else 200):
        started = time.perf_counter()
        expected, error = spikes.expect(learned, positions, 1 / 60)
        between = time.perf_counter()
        spikes.evidence(counts, expected, error, learned.dispersion)
        times["expect_ms"].append(1000 * (between - started))
        times["evidence_ms"].append(1000 * (time.perf_counter() - between))
    return {"categories": 2000, "learn_s": round(seconds, 2)} | {
        name: round(statistics.median(all_), 2) for name, all_ in times.items()
    }
