"""Made-up weeks of tickets whose truth is known, and how a detector fares on them.

Rates rise in the morning, differ by weekday and by category, grow, and wander: by the hour (noise A), and besides for
half a day and for whole days (noise B). Five-minute ticks; eight weeks teach, twelve test. An alarm counts where the
last six hours brought three tickets; alarms less than two hours apart are one alert.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from worker import spikes
from worker.spikes import Bools, Floats, Ints

Noise = Literal["A", "B"]
Detector = Callable[[Ints, int, float], Bools]
"""(counts (C, T), first tick of the test, hours a tick lasts) -> (C, T) alarm. It may look at no tick's future."""

TICK_H = 1 / 12
HOUR = 12
WEEK = 168 * HOUR
MONTH = 52 / 12
"""Weeks."""

HISTORY = 8
DURATIONS = (1, 3, 6)
"""Hours."""

WEEKDAYS = (1.25, 1.1, 1.05, 1.0, 0.9, 0.35, 0.3)


class Spikes(NamedTuple):
    """S injected ones: the row, the first tick, the tick after the last."""

    row: Ints
    start: Ints
    end: Ints


def rates(rng: np.random.Generator, *, per_hour: float, rows: int, weeks: int, noise: Noise) -> Floats:
    """(rows, weeks * WEEK) tickets a tick that are to be expected, wandering included."""
    hour = (np.arange(WEEK) + 0.5) / HOUR % 24
    day = np.arange(WEEK) // (24 * HOUR)
    bumps = ((10.5, 2.0, 1.0), (15.5, 2.0, 0.9), (20.0, 1.5, 0.4))
    profile = 0.1 + sum(height * np.exp(-(((hour - at) / width) ** 2) / 2) for at, width, height in bumps)
    profile = profile * np.array(WEEKDAYS)[day]
    angle = 2 * np.pi * np.arange(1, 4)[:, None] * hour / 24
    own = np.exp(rng.normal(0, 0.16, (rows, 3)) @ np.cos(angle) + rng.normal(0, 0.16, (rows, 3)) @ np.sin(angle))
    shape = profile * own
    shape *= per_hour * TICK_H / shape.mean(axis=1, keepdims=True)
    hours = weeks * 168
    wander = rng.gamma(1 / 0.03, 0.03, (rows, hours))
    growth = 0.01
    if noise == "B":
        growth = 0.02
        drift, keep = rng.normal(0, 0.15, rows), np.exp(-1 / 12)
        for one in range(hours):
            wander[:, one] *= np.exp(drift)
            drift = keep * drift + rng.normal(0, 0.15 * np.sqrt(1 - keep**2), rows)
        wander *= np.repeat(np.exp(rng.normal(0, 0.15, (rows, weeks * 7))), 24, axis=1)
    wander *= (1 + growth) ** (np.arange(hours) / 168)
    return np.tile(shape, (1, weeks)) * np.repeat(wander, HOUR, axis=1)


def inject(rng: np.random.Generator, rate: Floats, ratio: float, *, first_week: int) -> tuple[Floats, Spikes]:
    """One spike a row and week at a random time, of one, three or six hours in turn."""
    rows, weeks = len(rate), rate.shape[1] // WEEK
    row, week = (one.ravel() for one in np.meshgrid(np.arange(rows), np.arange(first_week, weeks), indexing="ij"))
    length = np.array(DURATIONS)[rng.permutation(len(row)) % len(DURATIONS)] * HOUR
    start = week * WEEK + (rng.uniform(size=len(row)) * (WEEK - length)).astype(np.int64)
    spiked = rate.copy()
    for r, s, n in zip(row, start, length, strict=True):
        spiked[r, s : s + n] *= ratio
    return spiked, Spikes(row, start, start + length)


def statistic(counts: Ints, start: int, tick_h: float, *, every_h: int = 168) -> Floats:
    """(C, T) our statistic from ``start`` on, learning anew every so many hours from what was before.

    Hours in which a row's statistic stood above ``threshold(4)`` teach it nothing.
    """
    per = round(1 / tick_h)
    hourly = counts.reshape(len(counts), -1, per).sum(axis=2)
    slots = np.arange(hourly.shape[1]) % 168
    taught = np.ones(hourly.shape, dtype=bool)
    found = np.zeros(counts.shape)
    for now in range(start // per, hourly.shape[1], every_h):
        learned = spikes.learn(hourly[:, :now], slots[:now], taught[:, :now])
        end = min(now + every_h, hourly.shape[1])
        ticks = np.arange((now - 6) * per, end * per)
        expected, error = spikes.expect(learned, (ticks + 0.5) / per, tick_h)
        new = spikes.scan(counts[:, ticks], expected, error, learned.dispersion, tick_h=tick_h)[:, 6 * per :]
        found[:, now * per : end * per] = new
        taught[:, now:end] = new.reshape(len(new), -1, per).max(axis=2) < spikes.threshold(4)
    return found


def told(alarm: Bools, counts: Ints) -> Bools:
    """Alarms with at least three tickets in the last six hours."""
    total = np.cumsum(counts, axis=1)
    total[:, 6 * HOUR :] -= total[:, : -6 * HOUR].copy()
    return alarm & (total >= 3)


def alerts(alarm: Bools) -> int:
    """How often an alarm begins that had none in the two hours before."""
    lately = np.cumsum(np.pad(alarm, ((0, 0), (2 * HOUR + 1, 0))), axis=1)
    before: Ints = lately[:, 2 * HOUR : -1] - lately[:, : -2 * HOUR - 1]
    return int((alarm & (before == 0)).sum())


def detected(alarm: Bools, injected: Spikes) -> list[dict[str, float | None]]:
    """For each of DURATIONS: per cent of spikes with an alarm in them, and the median minutes until it."""
    length = (injected.end - injected.start) // HOUR
    minutes = np.full(len(length), np.nan)
    for i, (row, start, end) in enumerate(zip(*injected, strict=True)):
        if alarm[row, start:end].any():
            minutes[i] = (alarm[row, start:end].argmax() + 1) * 60 / HOUR
    return [
        {
            "per_cent": round(100 * float(np.isfinite(mine).mean()), 1),
            "minutes": float(np.nanmedian(mine)) if np.isfinite(mine).any() else None,
        }
        for mine in (minutes[length == hours] for hours in DURATIONS)
    ]
