"""Is a category's rate news? Counts in, a baseline and evidence out: no Redis, no clock, numpy only.

What is usual is learned by the hour of the local week (``learn``, ``expect``). What is news is told by a
Shiryaev-Roberts e-detector (``evidence``): the sum, over the start times that a spike could have had, of the likelihood
ratio between "since then the rate is rho times the usual" and "nothing happened", each weighted with the hours it
stands for. If nothing happens the sum grows by one an hour on average, so the mean time until it exceeds A by chance is
at least A hours, for rare and for frequent categories alike (Shin, Ramdas, Rinaldo, "E-detectors", NEJSDS 2024, theorem
2.4).
Support tickets are not Poisson: the rate itself wanders, and its estimate is one. So the ratio compares gamma-mixed
Poisson (negative binomial) distributions. The bound holds as far as that describes the tickets; for where it does not,
there is a budget (``extra``).

Rows (C) are categories, their parents and all tickets alike. Times are hours unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WEEK = 168
"""Hours."""

WINDOWS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 90, 120, 180, 270, 360)
"""Minutes. Each stands for all start times between it and the one before; those shorter than a tick are left out."""

RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""The spikes looked for, as multiples of the expected rate; see ``_log_ratio`` for how likely each is beforehand."""

QUIET = (0.05, 0.2)
"""The same for silence: next to no tickets where there should be many."""

HALF_LIFE = 6.0
"""Weeks until an hour counts half of what a new one does, for the shape of the week."""

PRIOR = 10.0
"""Tickets' worth of belief that an hour's rate is the pooled profile's; categories differ from it by some 30 %."""

RECENT = 2 * WEEK
"""Hours that set the level."""

TRUST = 20.0
"""Tickets' worth of belief, at most, that the level is what it was before those."""

POOLED = 2000.0
"""Tickets' worth of belief that a category's over-dispersion is that of all."""

LEAST, EARLY = 0.01, 0.05
"""Least over-dispersion, and least of a category that has less than two weeks of history."""

SCALES = (1, 6)
"""Hours over which over-dispersion is measured."""

AVERAGED = 0.55
"""What is left of an hour's error over six: neighbours err alike (simulated at 0.1 to 10 an hour: .58 to .43)."""

ETA = 2.0
"""Decades by which a fired alert raises its category's threshold."""


class Baseline(NamedTuple):
    """What is usual in each of C rows.

    Attributes:
        rate: (C, 168) tickets an hour by hour of the local week, 0 = Monday 00:00.
        error: (C, 168) squared relative error of the rate.
        dispersion: (C, 2) squared coefficient of variation of the true rate around it, over 1 h and over 6 h.
        weeks: (C,) weeks of hours that taught it.
    """

    rate: Floats
    error: Floats
    dispersion: Floats
    weeks: Floats


class Evidence(NamedTuple):
    """For each of C rows, what the counts say.

    Attributes:
        statistic: (C,) hours; how long chance alone would need to show as much.
        observed, expected: (C,) tickets in the window that speaks most clearly.
        window: (C,) its length in ticks.
        low, high: (C,) 90 % interval of the ratio of the rate to the expected one.
    """

    statistic: Floats
    observed: Ints
    expected: Floats
    window: Ints
    low: Floats
    high: Floats


def learn(counts: Ints, slots: Ints, taught: Bools, *, since: Ints | None = None) -> Baseline:
    """What is usual, from whole hours.

    mu[c, s] = level[c] * pooled[s] * own[c, s]: the week's shape of all rows, a row's own deviation from it, and how
    many tickets there are at present. Both shapes are gamma-Poisson estimates relative to what stands left of them
    (``_relative``); hours count half after ``HALF_LIFE`` weeks. The level is (n + q) / (m + q), with n tickets in the
    last two weeks, m the fitted ones, and q = 1/2 + the tickets before those, at most ``TRUST``. The squared relative
    error is that of the shape and of the level, 1 / tickets each; the latter does not average out over six hours, so it
    is divided by ``AVERAGED``. Past spikes are cleaned: an hour teaches at most
    m + 4 sqrt(m + alpha m^2) + 1 tickets.

    Args:
        counts: (C, H) tickets in whole hours, oldest first.
        slots: (H,) each one's hour of the local week.
        taught: (C, H) False where a row must not learn: an open alert, a hold, before it existed.
        since: (C,) index of the first hour at the present level; a promotion changed it. The shape is learned from all
            hours, the level from there on, with the error that few hours bring.
    """
    rows, hours = counts.shape
    present = np.arange(hours) >= (np.zeros(rows, dtype=np.int64) if since is None else since)[:, None]
    weight = taught * 0.5 ** (np.arange(hours - 1, -1, -1) / WEEK / HALF_LIFE)
    weeks = taught.sum(axis=1) / WEEK
    at = np.zeros((hours, WEEK))
    at[np.arange(hours), slots] = 1.0
    x, alpha = counts.astype(np.float64), np.full((rows, len(SCALES)), EARLY)
    for _ in range(3):
        before, level = _levels(x, weight, present, np.ones((1, hours)))
        flat = np.where(present, level[:, None], before[:, None]) * weight
        pooled, _ = _relative((x * weight).sum(axis=0) @ at, flat.sum(axis=0) @ at)
        before, level = _levels(x, weight, present, pooled[None, slots])
        m = np.where(present, level[:, None], before[:, None]) * pooled[slots]
        own, known = _relative((x * weight) @ at, (m * weight) @ at)
        leverage = m * weight / known[:, slots]
        fitted = m * own[:, slots]
        alpha = _dispersion(counts, fitted, leverage, taught, alpha=alpha, weeks=weeks)
        x = np.minimum(counts, fitted + 4 * np.sqrt(fitted + alpha[:, :1] * fitted**2) + 1)
    late = taught & present & (np.arange(hours) >= hours - RECENT)
    trust = 0.5 + np.minimum(TRUST, (x * (taught & present & ~late)).sum(axis=1))
    tickets = (x * late).sum(axis=1) + trust
    level *= tickets / ((fitted * late).sum(axis=1) + trust)
    return Baseline(level[:, None] * pooled * own, 1 / known + 1 / AVERAGED / tickets[:, None], alpha, weeks)


def _levels(x: Floats, weight: Floats, present: Bools, shape: Floats) -> tuple[Floats, Floats]:
    """(C,) tickets an hour before and since the present level began, where the ``shape`` (1, H) of the week is one.

    The first is (n + 1/2) / (hours + 1), the second has one ticket's worth of belief in the first: (n + 1) / (hours +
    1 / first).
    """
    n, h = x * weight, shape * weight
    before = ((n * ~present).sum(axis=1) + 0.5) / ((h * ~present).sum(axis=1) + 1)
    return before, ((n * present).sum(axis=1) + 1) / ((h * present).sum(axis=1) + 1 / before)


def _relative(n: Floats, m: Floats) -> tuple[Floats, Floats]:
    """(..., 168) rate relative to what was fitted, and the tickets' worth of knowledge behind it.

    (PRIOR + n~) / (PRIOR + m~), the posterior mean of a gamma-distributed factor with mean 1; n~ and m~ are the hour's
    own tickets and fitted tickets and b times its neighbours', b = 1/2 where there are few, 0 where there are many: b =
    10 / (20 + m).
    """
    b = 10 / (20 + m)
    n, m = (one + b * (np.roll(one, 1, axis=-1) + np.roll(one, -1, axis=-1)) for one in (n, m))
    return (PRIOR + n) / (PRIOR + m), PRIOR + m


def _dispersion(
    counts: Ints, fitted: Floats, leverage: Floats, taught: Bools, *, alpha: Floats, weeks: Floats
) -> Floats:
    """(C, 2) squared coefficient of variation of the rate around the fitted one, over 1 h and over 6 h.

    sum((x - m)^2 / (1 - leverage) - x) / sum(m^2) over blocks of so many hours, with x at most m + 3 sd; the leverage
    is what a block's own tickets have moved its fit by, without which short histories look calmer than they are.
    Shrunk to the pooled value with the weight of ``POOLED`` tickets.
    """
    found = np.empty_like(alpha)
    least = np.where(weeks < 2, EARLY, LEAST)
    for scale, span in enumerate(SCALES):
        blocks = counts.shape[1] // span
        x, m, lev, seen = (
            one[:, counts.shape[1] - blocks * span :].reshape(len(counts), blocks, span).sum(axis=2)
            for one in (counts, fitted, leverage * fitted, taught)
        )
        used = seen == span
        x = np.minimum(x, m + 3 * np.sqrt(m + alpha[:, scale, None] * m**2))
        lev = np.minimum(lev / np.maximum(m, 1e-12), 0.9)
        top = (((x - m) ** 2 / (1 - lev) - x) * used).sum(axis=1)
        bottom = (m**2 * used).sum(axis=1) + 1e-12
        tickets = (x * used).sum(axis=1)
        pooled = max(LEAST, top.sum() / (bottom.sum() + 1e-12))
        found[:, scale] = np.maximum(least, (tickets * top / bottom + POOLED * pooled) / (tickets + POOLED))
    return found


def expect(baseline: Baseline, positions: Floats, tick_h: float) -> tuple[Floats, Floats]:
    """What each tick should bring: the logarithm of the rate, linear between the middles of hours.

    Args:
        baseline: what was learned.
        positions: (T,) hours of the local week, fractional, of each tick's middle.
        tick_h: hours a tick lasts.

    Returns:
        (C, T) expected tickets, and (C,) the mean squared relative error of that.
    """
    hour = np.floor(positions - 0.5).astype(np.int64)
    part = positions - 0.5 - hour
    hours, place = np.unique(np.stack([hour, hour + 1]) % WEEK, return_inverse=True)
    weights = np.zeros((len(hours), len(positions)))
    weights[place.reshape(2, -1), np.arange(len(positions))] = 1 - part, part
    expected = np.exp(np.log(baseline.rate[:, hours]) @ weights) * tick_h
    return expected, baseline.error[:, np.floor(positions).astype(np.int64) % WEEK].mean(axis=1)


def evidence(
    counts: Ints,
    expected: Floats,
    error: Floats,
    dispersion: Floats,
    *,
    tick_h: float = 1 / 60,
    ratios: tuple[float, ...] = RATIOS,
) -> Evidence:
    """The statistic at the newest tick.

    R = sum over windows k of w_k * mean over rho of rho^-a * ((a + M_k) / (a / rho + M_k))^(a + X_k), with X_k and M_k
    the tickets seen and expected in the last k, w_k the hours of start times that the window stands for, a weighted
    mean, and a = 1 / (dispersion + error), both over k: the likelihood ratio of two negative binomial distributions
    whose gamma-distributed rate has shape a and mean M_k or rho M_k. (For a -> infinity the Poisson ratio,
    rho^X exp(-(rho - 1) M).)

    The interval is Byar's approximation to the Poisson limits with the error added: (X / M) (1 - 1 / 9X -+ 1.645
    sqrt(1 / X + error) / 3)^3, X + 1 in place of X above.

    Args:
        counts: (C, T) tickets per row and tick, oldest first.
        expected: (C, T) tickets expected.
        error: (C,) squared relative error of that.
        dispersion: (C, 2) squared coefficient of variation of the true rate around it, over 1 h and over 6 h.
        tick_h: hours a tick lasts.
        ratios: what is looked for, RATIOS or QUIET.
    """
    ticks, hours = _windows(tick_h, counts.shape[1])
    starts = counts.shape[1] - ticks[::-1]

    def sums(values: Ints | Floats) -> Floats:
        return np.cumsum(np.add.reduceat(values, starts, axis=1)[:, ::-1], axis=1, dtype=np.float64)

    x, m = sums(counts), sums(expected)
    part = np.log(hours) + _log_ratio(x, m, _shape(ticks, tick_h, error, dispersion), ratios)
    best, rows = part.argmax(axis=1), np.arange(len(counts))
    top, x, m = part[rows, best], x[rows, best], m[rows, best]
    low, high = (
        n / np.maximum(m, 1e-9) * np.maximum(0, 1 - 1 / (9 * n) + side * 1.645 / 3 * np.sqrt(1 / n + error)) ** 3
        for n, side in ((np.maximum(x, 1e-9), -1), (x + 1, 1))
    )
    log_sum = top + np.log(np.exp(part - top[:, None]).sum(axis=1))
    return Evidence(np.exp(np.minimum(log_sum, 700)), x.astype(np.int64), m, ticks[best], low, high)


def scan(
    counts: Ints,
    expected: Floats,
    error: Floats,
    dispersion: Floats,
    *,
    tick_h: float = 1 / 60,
    ratios: tuple[float, ...] = RATIOS,
) -> Floats:
    """(C, T): the statistic of ``evidence`` at every tick, for back-tests; windows that began before are left out."""
    ticks, hours = _windows(tick_h, counts.shape[1])
    x, m = (np.pad(np.cumsum(one, axis=1, dtype=np.float64), ((0, 0), (1, 0))) for one in (counts, expected))
    a = _shape(ticks, tick_h, error, dispersion)
    total = np.zeros(counts.shape)
    for i, k in enumerate(ticks):
        log_ratio = _log_ratio(x[:, k:] - x[:, :-k], m[:, k:] - m[:, :-k], a[:, i, None], ratios)
        total[:, k - 1 :] += hours[i] * np.exp(np.minimum(log_ratio, 700))
    return total


def _windows(tick_h: float, most: int) -> tuple[Ints, Floats]:
    """Windows in ticks, and the hours of start times each stands for."""
    ticks = np.unique(np.round(np.array(WINDOWS) / 60 / tick_h, 6).astype(np.int64))
    ticks = ticks[(ticks >= 1) & (ticks <= most)]
    return ticks, np.diff(ticks, prepend=0) * tick_h


def _shape(ticks: Ints, tick_h: float, error: Floats, dispersion: Floats) -> Floats:
    """(C, K) a = 1 / (alpha + error) of each window; both go from the value of 1 h to that of 6 h as a power."""
    part = np.clip(np.log(ticks * tick_h) / np.log(SCALES[1]), 0, 1)
    alpha = dispersion[:, :1] ** (1 - part) * dispersion[:, 1:] ** part
    shape: Floats = 1 / (alpha + error[:, None] * AVERAGED**part)
    return shape


def _log_ratio(x: Floats, m: Floats, a: Floats, ratios: tuple[float, ...]) -> Floats:
    """Logarithm of the mean likelihood ratio over ``ratios``; the formula is ``evidence``'s. Any shape.

    Weights are rho^-1/2 (for silence rho^1/2): a small spike needs every ticket of evidence, a great one has enough.
    """
    weights = np.exp(-np.abs(np.log(ratios)) / 2)
    n, base = a + x, np.log(a + m)
    logs = [
        n * (base - np.log(a / rho + m)) - a * np.log(rho) + np.log(weight)
        for rho, weight in zip(ratios, weights / weights.sum(), strict=True)
    ]
    top = np.maximum.reduce(logs)
    mean: Floats = top + np.log(sum(np.exp(one - top) for one in logs))
    return mean


def leaked(counts: Ints, expected: Floats, confusion: Ints, *, tick_h: float = 1 / 60) -> Floats:
    """(C, T) tickets that other categories' excess sends here, because the classifier confuses them.

    sum over j of C[j, here] / C[j, j] * max(0, x_j - m_j), in ticks at whose end the last quarter of an hour had an
    excess above 3 sqrt(1 + m): a spike of j, not its everyday noise. To be added to what is expected.

    Args:
        counts: (C, T) tickets per row and tick; the first L rows are the labels.
        expected: (C, T) tickets expected.
        confusion: (L, L) test rows, truth down and answer across, in the order of the labels.
        tick_h: hours a tick lasts.
    """
    labels, span = len(confusion), max(1, round(0.25 / tick_h))
    excess = counts[:labels] - expected[:labels]

    def recent(values: Floats) -> Floats:
        sums = np.cumsum(values, axis=1)
        sums[:, span:] -= sums[:, :-span].copy()
        return sums

    real = np.where(recent(excess) > 3 * np.sqrt(1 + recent(expected[:labels])), np.maximum(excess, 0), 0)
    sources = np.flatnonzero(real.any(axis=1))  # few, so that thousands of categories take milliseconds
    share = confusion[sources] / np.maximum(np.diag(confusion)[sources], 1)[:, None]
    share[np.arange(len(sources)), sources] = 0
    found = np.zeros(counts.shape)
    found[:labels] = share.T @ real[sources]
    return found


def is_over(counts: Ints, expected: Floats, ratio: float) -> bool:
    """Whether a spike, or a silence, has ended, by evidence and not by a lack of it.

    G = max(0, G + (r - 1) m - x ln r) over the ticks since the alert opened: a CUSUM of the Poisson likelihood ratio of
    "back to the expected rate" against "still r times it". Over when G is 3 or more, that is when the first is e^3 = 20
    times as likely. r is half the ratio found, between 1.5 and 5: the window that fired is the luckiest one, and with
    its full ratio two empty ticks of a rare category would end an alert. For a silence, the same upside down.

    Args:
        counts: (T,) tickets of one category since the alert opened.
        expected: (T,) tickets expected.
        ratio: observed over expected when the alert was found; below one for a silence.
    """
    r = min(max(1.5, ratio / 2), 5.0) if ratio >= 1 else 1 / min(max(1.5, 0.5 / max(ratio, 0.1)), 5.0)
    path = np.cumsum((r - 1) * expected - counts * np.log(r))
    return bool(len(path) and path[-1] - min(0.0, path.min()) >= 3)


def threshold(weeks: float) -> float:
    """The statistic (hours) at which an alert fires, for at most one false alert per category in so many weeks."""
    return WEEK * weeks


def extra(events: Iterable[tuple[float, int]], now: float, weeks: float) -> float:
    """The budget: decades by which one category's threshold stands above ``threshold(weeks)`` now.

    Each fired alert adds ``ETA``, and what is above zero sinks by ETA in as many weeks as one alert is meant to take.
    So whatever the tickets do, T hours bring at most T / threshold(weeks) + (d + ETA) / ETA alerts, where d is the
    most decades the statistic ever stood above the threshold (an integral controller, as in Gibbs, Candes, "Adaptive
    conformal inference", NeurIPS 2021). "Not useful" adds ETA once more, "useful" takes it back.

    Args:
        events: (hour, step) of the category's past, oldest first: 1 for an alert, 1 for "not useful", -1 for "useful".
        now: hour.
        weeks: the sensitivity.
    """
    decades, then = 0.0, -np.inf
    for hour, step in [*events, (now, 0)]:
        decades = max(0.0, decades - ETA * max(0.0, hour - then) / threshold(weeks))
        decades = max(0.0, decades + ETA * step)
        then = hour
    return decades


def smallest(rate: Floats, error: Floats, dispersion: Floats, weeks: float) -> Floats:
    """(C,) the smallest spike that is found when it lasts six hours, as a ratio to the expected rate.

    The least r for which r times the expected tickets, in each window, bring the statistic to ``threshold(weeks)``. So
    many tickets in six hours: r * rate * 6. With much over-dispersion r does not fall below a limit however many
    tickets come, r - 1 - ln r = 9 (alpha + error); NaN where that alone is above the greatest of ``RATIOS``.

    Args:
        rate: (C,) tickets an hour.
        error: (C,) squared relative error of the rate.
        dispersion: (C, 2) squared coefficient of variation, over 1 h and over 6 h.
        weeks: the sensitivity.
    """
    ticks, hours = _windows(1 / 60, 360)
    a = _shape(ticks, 1 / 60, error, dispersion)

    def least(tickets_an_hour: Floats) -> Floats:
        m = tickets_an_hour[:, None] * ticks / 60
        low, high = np.zeros(len(m)), np.full(len(m), 20.0)  # of ln r
        for _ in range(40):
            r = (low + high) / 2
            total = np.logaddexp.reduce(np.log(hours) + _log_ratio(np.exp(r)[:, None] * m, m, a, RATIOS), axis=1)
            found = total >= np.log(threshold(weeks))
            low, high = np.where(found, low, r), np.where(found, r, high)
        ratio: Floats = np.exp(high)
        return ratio

    return np.where(least(np.full(len(rate), 1e9)) <= max(RATIOS), least(rate), np.nan)
