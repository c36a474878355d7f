"""Noufaily's 42 scenarios: our detector beside Farrington Flexible, at the same rate of false alarms.

Both see the same counts and the same fitted mean, dispersion and error; what differs is what they do with them.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.spikes import farrington
from benchmarks.spikes.scenarios import PARAMETERS, SCENARIOS, TEST, YEAR, Outbreaks, outbreaks, outcome, simulate
from worker import spikes
from worker.spikes import Bools, Floats, Ints

REFERENCE, BLOCK, RECENT = 7, 5, 26
"""Weeks of the present season's level, of each other one, and of the newest past, which may be an outbreak."""

WINDOWS = 4
"""Weeks back that the last cases count: in our windows, and in Farrington's "at least five cases"."""

LEAST = 5

TICK_H = 1.5
"""A week is played by 1.5 h, so that the detector's windows of up to 6 h are those of 1, 2, 3 and 4 weeks."""

NOMINAL = (0.05, 0.01, 0.005, 0.001)
RATES = (0.005, 0.01)
"""False-alarm rates at which the detectors are compared."""

FILE = "surveillance_weekly_counts.csv"


class Scores(NamedTuple):
    """What the detectors make of the test weeks of R series.

    Attributes:
        farrington: (R, T) -log10 of the probability of so many cases; below zero where there are too few for an alarm.
        ours: (R, T, WINDOWS) weeks that chance would need to show as much as the last 1, ..., WINDOWS weeks.
    """

    farrington: Floats
    ours: Floats


def score(counts: Ints, test: int = TEST, years: int = 5) -> Scores:
    """Both detectors on the last ``test`` weeks of (R, weeks) counts, each week fitted to the years before it.

    The season has ten levels: the present week and three on either side, and nine blocks of five weeks.
    """
    half = REFERENCE // 2
    ago = np.arange(years * YEAR + half, RECENT, -1)
    place = (half - ago) % YEAR
    level = np.where(place < REFERENCE, 0, 1 + (place - REFERENCE) // BLOCK)
    days = counts.shape[1] - test - WINDOWS + 1 + np.arange(test + WINDOWS - 1)
    fit = farrington.flexible(counts[:, days[:, None] - ago].reshape(-1, len(ago)), -ago / YEAR, level)
    mean, phi, error = (values.reshape(len(counts), -1) for values in fit)

    def recent(values: Any) -> Any:  # noqa: ANN401 - counts or floats, as they come
        windows = np.lib.stride_tricks.sliding_window_view(values, WINDOWS, axis=1)
        return windows.reshape(-1, WINDOWS)

    last, expected = recent(counts[:, days]), recent(np.maximum(mean, farrington.TINY))
    enough = (last.sum(axis=1) >= LEAST).reshape(-1, test, 1)
    mean, phi, error = mean[:, -test:], phi[:, -test:], error[:, -test:]
    rarity = -np.log10(np.maximum(farrington.tail(counts[:, -test:], mean, phi), 1e-300))
    weeks = weekly(last, expected, phi.ravel(), error.ravel()).reshape(-1, test, WINDOWS)
    return Scores(np.where(enough[..., 0], rarity, -1), np.where(enough, weeks, 0))


def weekly(
    counts: Ints, expected: Floats, phi: Floats, error: Floats, ratios: tuple[float, ...] = spikes.RATIOS
) -> Floats:
    """(B, WINDOWS) our statistic in weeks, with windows of up to 1, 2, 3 and 4 weeks.

    A count with variance phi mu has a rate with a squared coefficient of variation of (phi - 1) / mu; k independent
    weeks have a k-th of that; the error of the fit is common to all. The detector takes the sum as a power of the
    window's length between 1 h and 6 h: what it gets there makes it right for one week and for four.

    Args:
        counts: (B, WINDOWS) the last weeks, oldest first.
        expected: (B, WINDOWS) what was expected of them.
        phi: (B,) variance over mean.
        error: (B,) variance of the mean's logarithm.
        ratios: what is looked for.
    """
    week = (phi - 1) / expected[:, -1]
    one, four = week + error, week / WINDOWS + error
    dispersion = np.stack([one * (one / four) ** (np.log(TICK_H) / np.log(WINDOWS)), four], axis=1)
    known = np.zeros(len(counts))
    found = [
        spikes.evidence(counts[:, -k:], expected[:, -k:], known, dispersion, tick_h=TICK_H, ratios=ratios).statistic
        / TICK_H
        for k in range(1, WINDOWS + 1)
    ]
    return np.stack(found, axis=1)


def alarms(ours: Floats, threshold: float) -> Bools:
    """(R, T) weeks in which our detector fires.

    An alarm is told once: after it, windows begin in the week after it. So what made one alarm does not make another in
    the next three weeks.
    """
    fired, age = np.zeros(ours.shape[:2], dtype=np.bool_), np.full(len(ours), WINDOWS)
    for week in range(ours.shape[1]):
        seen = np.minimum(age, WINDOWS) - 1
        fired[:, week] = ours[np.arange(len(ours)), week, seen] >= threshold
        age = np.where(fired[:, week], 1, age + 1)
    return fired


DETECTORS: Mapping[str, Callable[[Scores, float], Bools]] = {
    "farrington": lambda scores, decades: scores.farrington >= decades,
    "presort": lambda scores, decades: alarms(scores.ours, 10**decades),
    "presort, told weekly": lambda scores, decades: scores.ours[..., -1] >= 10**decades,
}


def at_rate(rate: float, detect: Callable[[float], Bools], free: Bools) -> float:
    """Decades: the lowest threshold, to a thousandth, that gives at most ``rate`` of the free weeks an alarm."""
    low, high = 0.0, 20.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if detect(middle)[free].mean() > rate else (low, middle)
    return high


def measure(replicates: int = 100, seed: int = 0, data: Path | None = None) -> dict[str, Any]:
    """Farrington Flexible at its own levels, and both detectors at equal false alarms.

    Args:
        replicates: series a scenario.
        seed: of the simulation.
        data: a folder. Where it holds ``FILE``, real series are scored too, at the thresholds of the simulation.
    """
    rng = np.random.default_rng(seed)
    series = [simulate(scenario, replicates, rng) for scenario in SCENARIOS]
    scores = Scores(*map(np.concatenate, zip(*(score(one.counts) for one in series), strict=True)))
    truth = outbreaks(np.concatenate([one.outbreak for one in series]), np.concatenate([one.size for one in series]))
    nominal = {f"{alpha:g}": outcome(DETECTORS["farrington"](scores, -np.log10(alpha)), truth) for alpha in NOMINAL}
    thresholds = {
        rate: {name: at_rate(rate, partial(detect, scores), ~truth.during) for name, detect in DETECTORS.items()}
        for rate in RATES
    }
    figures = {
        "scenarios": len(SCENARIOS),
        "replicates": replicates,
        "farrington_nominal": nominal,
        "matched": {
            f"{rate:g}": {
                name: {"threshold": round(10**decades, 1), **outcome(fired, truth), "by_theta": by_theta(fired, truth)}
                for name, decades in each.items()
                for fired in [DETECTORS[name](scores, decades)]
            }
            for rate, each in thresholds.items()
        },
    }
    if data and (data / FILE).exists():
        figures["real"] = {f"{rate:g}": real(data / FILE, each) for rate, each in thresholds.items()}
    return figures


def by_theta(fired: Bools, truth: Outbreaks) -> dict[str, dict[str, float]]:
    """False alarms and outbreaks found for each of ``PARAMETERS``: equal in all, alarms may be unequal in each."""
    parts = (np.array_split(values, len(PARAMETERS)) for values in (fired, *truth))
    return {
        f"{theta:g}": {name: outcome(alarm, Outbreaks(*part))[name] for name in ("false_alarms", "found")}
        for (theta, *_), alarm, *part in zip(PARAMETERS, *parts, strict=True)
    }


def real(path: Path, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Published weekly series with marked outbreak weeks, four years each; two teach, two are tested."""
    counts, marked = read(path)
    test = counts.shape[1] // 2 - WINDOWS
    scores, marked = score(counts, test, years=2), marked[:, -test:]
    return {
        "outbreak_weeks": int(marked.sum()),
        "other_weeks": int((~marked).sum()),
        **{
            name: {"outbreak_weeks": int((fired & marked).sum()), "other_weeks": int((fired & ~marked).sum())}
            for name, decades in thresholds.items()
            for fired in [DETECTORS[name](scores, decades)]
        },
    }


def read(path: Path) -> tuple[Ints, Bools]:
    """(series, weeks) counts, and which weeks are marked as outbreaks."""
    rows = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            rows[row["series"], row["unit"]].append((int(row["observed"]), int(row["outbreak_state"])))
    cells = np.array(list(rows.values()), dtype=np.int64)
    return cells[..., 0], cells[..., 1] > 0


def table(figures: Mapping[str, Any]) -> str:
    """The same for people."""
    shares = ("false_alarms", "found", "found_1_3", "found_4_6", "found_7_10")
    rows = [(f"farrington, alpha {alpha}", row) for alpha, row in figures["farrington_nominal"].items()]
    rows += [(f"{name}, at {rate}", row) for rate, each in figures["matched"].items() for name, row in each.items()]
    lines = [
        f"Noufaily's {figures['scenarios']} scenarios, {figures['replicates']} series each. Per cent of the weeks that",
        "have no outbreak but an alarm; of outbreaks found, all and of 1-3, 4-6, 7-10 standard deviations; of those",
        "that span weeks, by the end of the 1st, 2nd and 3rd, and the weeks that they go unseen",
    ]
    for name, row in rows:
        found = "".join(f"{100 * row[key]:7.2f}" for key in shares)
        spanning = "".join(f"{100 * row[f'spanning_found_by_week_{week}']:6.1f}" for week in (1, 2, 3))
        lines.append(f"{name:32}{found}  {spanning}{row['spanning_weeks_unseen']:6.2f}")
    lines.append("the same outbreaks found, and weeks with a false alarm, by theta (logarithm of the mean)")
    for rate, each in figures["matched"].items():
        for name, row in each.items():
            pairs = [
                f"{theta}: {100 * at['found']:.1f} {100 * at['false_alarms']:.2f}"
                for theta, at in row["by_theta"].items()
            ]
            lines.append(f"{name + ', at ' + rate:32}" + "".join(f"{pair:17}" for pair in pairs))
    for rate, row in figures.get("real", {}).items():
        for name in DETECTORS:
            hits = ", ".join(f"{row[name][kind]} of {row[kind]} {kind.replace('_', ' ')}" for kind in row[name])
            lines.append(f"real series, {name}, at {rate}: alarms in {hits}")
    return "\n".join(lines)
