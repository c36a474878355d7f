"""An alert as an SVG: tickets as bars against what was expected, and where it began, was told and ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from worker.backtest.replay import TICK, TICK_S
from worker.spikes import Floats, Ints

WIDTH, HEIGHT = 720, 246
LEFT, RIGHT, TOP, FLOOR = 40, 710, 68, 220
"""Where the axes are."""

BUCKETS = (1, 3, 6, 12, 36)
"""Ticks that one bar may stand for: 5, 15 and 30 minutes, one and three hours."""

BARS = 132
"""Most bars in a picture: each is still some pixels wide."""

BAND = 1.645
"""Standard deviations to either side of the expectation: nine of ten quiet bars end within."""


class Scene(NamedTuple):
    """What a picture shows. Times are Unix seconds.

    Attributes:
        start: of the first tick.
        counts, expected: (T,) tickets in each tick, and how many were usual.
        spread: squared coefficient of variation of the rate around the expected one.
        marks: what to mark: its class ("began", "fired" or "ended"), its words and its time.
    """

    start: float
    counts: Ints
    expected: Floats
    spread: float
    marks: Sequence[tuple[str, str, float]]


def draw(scene: Scene, zone: str, title: str) -> str:
    """An ``<svg>`` without colours: the page's style gives them, light and dark. ``title`` is read to the blind."""
    bucket = _bucket(scene)
    size = scene.counts.size // bucket
    counts, expected = (one[: size * bucket].reshape(-1, bucket).sum(1) for one in (scene.counts, scene.expected))
    low, high = band(expected, scene.spread)
    top = _round_up(max(float(counts.max()), float(high.max())))
    step = (RIGHT - LEFT) / size

    def x(at: float) -> float:
        return LEFT + (at - scene.start) / (bucket * TICK_S) * step

    def y(value: float) -> float:
        return FLOOR - value / top * (FLOOR - TOP)

    def line(values: Floats) -> list[str]:
        return [f"{LEFT + (place + 0.5) * step:.1f},{y(value):.1f}" for place, value in enumerate(values)]

    bars = (
        f"M{LEFT + (place + 0.1) * step:.1f} {FLOOR}V{y(count):.1f}h{0.8 * step:.1f}V{FLOOR}z"
        for place, count in enumerate(counts)
        if count
    )
    levels = (
        f'<path class="grid" d="M{LEFT} {y(value):.1f}H{RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" class="right">{value:g}</text>'
        for value in (0.0, top / 2, top)
    )
    hours = (
        f'<path class="grid" d="M{x(at):.1f} {FLOOR}v5"/>'
        f'<text x="{x(at):.1f}" y="{HEIGHT - 6}" class="middle">{label}</text>'
        for at, label in _hours(scene.start, scene.start + size * bucket * TICK_S, ZoneInfo(zone))
    )
    marks = (_mark(kind, words, min(max(x(at), LEFT), RIGHT), row) for row, (kind, words, at) in enumerate(scene.marks))
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
            *levels,
            f'<text x="{LEFT}" y="{TOP - 10}">tickets in {_length(bucket)}</text>',
            f'<polygon class="band" points="{" ".join(line(high) + line(low)[::-1])}"/>',
            f'<path class="bars" d="{"".join(bars)}"/>',
            f'<polyline class="usual" points="{" ".join(line(expected))}"/>',
            *hours,
            *marks,
            "</svg>",
        ]
    )


def band(expected: Floats, spread: float) -> tuple[Floats, Floats]:
    """Between which counts nine of ten quiet bars lie.

    Tickets of a rate that wanders have the variance m + spread m^2; the square root of such a count has about a quarter
    of 1 + spread m, whatever m is (the delta method), and is far nearer to normal.
    """
    root, reach = np.sqrt(expected), 0.5 * BAND * np.sqrt(1 + spread * expected)
    return np.maximum(root - reach, 0) ** 2, (root + reach) ** 2


def _bucket(scene: Scene) -> int:
    """The shortest bar in which two tickets are usual; an hour where that is longer, or what makes few enough bars."""
    fits = [one for one in BUCKETS if scene.counts.size <= BARS * one] or [BUCKETS[-1]]
    return next((one for one in fits if one * scene.expected.mean() >= 2), max(fits[0], BUCKETS[3]))


def _round_up(value: float) -> float:
    """The next value that halves well, for the axis."""
    power = 10.0 ** np.floor(np.log10(max(value, 1.0)))
    return float(next(digit * power for digit in (2, 4, 6, 10) if digit * power >= value))


def _length(bucket: int) -> str:
    minutes = bucket * TICK
    return f"{minutes} minutes" if minutes < 60 else "an hour" if minutes == 60 else f"{minutes // 60} hours"


def _hours(start: float, end: float, zone: ZoneInfo) -> Iterator[tuple[float, str]]:
    """Where the axis is labelled: at most ten full hours by the local clock, the day at midnight."""
    every = next((hours for hours in (3, 6, 12) if end - start <= 10 * hours * 3600), 24)
    at = datetime.fromtimestamp(start, UTC).replace(minute=0, second=0)
    while (at := at + timedelta(hours=1)).timestamp() < end:
        local = at.astimezone(zone)
        if local.hour % every == 0 and local.minute == 0:
            yield at.timestamp(), f"{local:%a %-d %b}" if local.hour == 0 else f"{local:%H:%M}"


def _mark(kind: str, words: str, place: float, row: int) -> str:
    """A line from top to bottom; each mark's words have a row of their own, so that none covers another."""
    height = 12 + 14 * row
    at, side = (place - 5, "right") if place > WIDTH * 0.6 else (place + 5, "left")
    return (
        f'<path class="mark {kind}" d="M{place:.1f} {height - 9}V{FLOOR}"/>'
        f'<text x="{at:.1f}" y="{height}" class="{side}">{escape(words)}</text>'
    )
