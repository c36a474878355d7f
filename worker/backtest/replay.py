"""History played again with the future left out: which alerts would there have been? Pure: counts in, episodes out.

Each day the baseline is learned from the hours before it. The statistic comes for a whole day at once, in ticks of five
minutes (``spikes.scan``). Rows that come near an alert, and those that have one, are looked at in every tick as the
watch would have looked: their minutes by ``signs.read``, their alerts by ``lifecycle``. So the rules are those of the
live watch, and a thousand quiet categories cost little.
Three things are not known of the past: what the model would have confused, what people would have said of an alert,
and silences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from integration import counting
from integration.counting import ALL
from integration.records import Alert
from integration.settings import Spikes
from worker import calendar, counted, lessons, lifecycle, signs, spikes
from worker.backtest.history import HOUR, History
from worker.signs import Look
from worker.spikes import Baseline, Bools, Floats, Ints

TICK = 5
"""Minutes between two looks."""

TICK_S, TICK_H = 60 * TICK, TICK / 60
HOUR_TICKS = HOUR // TICK
DAY_TICKS = 24 * HOUR_TICKS

SEEN = 6 * HOUR_TICKS
"""Ticks that speak for an alert: the detector's longest window."""

LOOKED_AT = counted.HISTORY // TICK
"""Ticks in one look."""

TAUGHT_BY = counting.WEEKS * spikes.WEEK
"""Hours of the past that teach."""

NEAR = 0.5
"""A row is looked at when it shows so much of the statistic that an alert needs: minutes can show a little more than
ticks."""


class Episode(NamedTuple):
    """One alert.

    Attributes:
        row: of the history.
        fired: the alert as it opened: what people would have been told first.
        last: its last state.
        spread: squared coefficient of variation of the rate around the expected one, at that hour.
        first, usual: (T,) tickets expected in each tick from ``first`` on, from a day before its begin to some hours
            after its end, as they were expected on the day.
    """

    row: int
    fired: Alert
    last: Alert
    spread: float
    first: int
    usual: Floats


class Replay(NamedTuple):
    """What the watch would have done at one sensitivity.

    Attributes:
        episodes: in the order they fired.
        watched: (R,) hours in which a row could have had an alert.
        baseline: as learned from all of the history: what is usual now.
    """

    episodes: list[Episode]
    watched: Floats
    baseline: Baseline


class _Day(NamedTuple):
    """Ticks ``begin`` to ``end``, and what is known of the rows then: (R,) and (R, 2), see ``spikes.evidence``."""

    begin: int
    end: int
    error: Floats
    dispersion: Floats
    held: dict[str, str]


@dataclass
class _Watch:
    """The watch on its way through history.

    Attributes:
        usual: (R, T) tickets expected, filled in day by day.
        hourly: (R, H) tickets in each hour.
        labels: the names of the categories that have no children.
        places: each row's.
        families: each parent's row with those of its children, of all depths.
        active: alerts that fire, or that ended and may open again, by category and kind.
        closed: those that ended and cannot, by the same.
        episodes: by the alert's id.
    """

    history: History
    config: Spikes
    budget: bool
    usual: Floats
    hourly: Ints
    labels: list[str]
    places: dict[str, int]
    families: dict[int, list[int]]
    active: dict[tuple[str, str], Alert] = field(default_factory=dict)
    closed: defaultdict[tuple[str, str], list[Alert]] = field(default_factory=lambda: defaultdict(list))
    episodes: dict[str, Episode] = field(default_factory=dict)


def replay(
    history: History,
    zone: str,
    config: Spikes,
    *,
    budget: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> Replay:
    """Play all of it.

    Args:
        history: what was counted.
        zone: the account's, an IANA name: whose hours of the week they are.
        config: the rules, the sensitivity among them.
        budget: whether an alert raises its category's threshold (``spikes.extra``).
        progress: is told of each day that was played, 1.
    """
    rows, ticks = len(history.rows), history.counts.shape[1] // TICK
    watch = _Watch(
        history=history,
        config=msgspec.structs.replace(config, tick_s=60),  # minutes, whatever a demo wants
        budget=budget,
        usual=np.zeros((rows, ticks)),
        hourly=history.counts.reshape(rows, -1, HOUR).sum(axis=2, dtype=np.int64),
        labels=[name for row, name in zip(history.rows, history.names, strict=True) if not row.endswith("*")],
        places={row: place for place, row in enumerate(history.rows)},
        families=signs.families(history.rows, history.names),
    )
    slots, positions = _local(history, zone, config)
    watched = np.zeros(rows)
    first = first_judged(config)
    for begin in range(first, ticks, DAY_TICKS):
        end = min(begin + DAY_TICKS, ticks)
        baseline = _learned(watch, slots, begin // HOUR_TICKS)
        new = begin - LOOKED_AT if begin == first else begin
        watch.usual[:, new:end], error = spikes.expect(baseline, positions[new:end], TICK_H)
        ready = baseline.weeks >= config.learning_weeks
        watched += ready * (end - begin) * TICK_H
        held = {row: "learning" for row, one in zip(history.rows, ready, strict=True) if not one}
        _play(watch, _Day(begin, end, error, baseline.dispersion, held), ready)
        progress(1)
    episodes = sorted((_pictured(watch, one) for one in watch.episodes.values()), key=lambda one: one.fired.opened_at)
    return Replay(episodes, watched, _learned(watch, slots, ticks // HOUR_TICKS))


def first_judged(config: Spikes) -> int:
    """The first tick that could bring an alert: what comes before only teaches."""
    return max(round(config.learning_weeks * spikes.WEEK) * HOUR_TICKS, LOOKED_AT)


def _local(history: History, zone: str, config: Spikes) -> tuple[Ints, Floats]:
    """Each hour's hour of the local week, and each tick's middle in them."""
    hours = history.start // 3600 + np.arange(history.counts.shape[1] // HOUR)
    middles = history.start + (np.arange(history.counts.shape[1] // TICK) + 0.5) * TICK_S
    return calendar.slots(hours, zone, config.holidays), calendar.positions(middles, zone, config.holidays)


def _learned(watch: _Watch, slots: Ints, hour: int) -> Baseline:
    """From the hours before ``hour``, by the live watch's rules."""
    past, first = slice(max(0, hour - TAUGHT_BY), hour), watch.history.start // 3600
    return lessons.learn(
        watch.history.rows,
        watch.labels,
        watch.hourly[:, past],
        hours=range(first + past.start, first + hour),
        slots=slots[past],
        alerts=(one.last for one in watch.episodes.values()),
        tick_s=60,
    )


def _play(watch: _Watch, day: _Day, ready: Bools) -> None:
    """The ticks of one day."""
    near = NEAR * spikes.threshold(watch.config.weeks)
    begin, every = day.begin - SEEN, len(watch.usual) - 1
    fresh = np.ones((every + 1, day.end - begin), dtype=bool)  # each row since its last alert
    for one in watch.episodes.values():
        if one.last.resolved_at is not None:
            fresh[one.row, : max(0, _tick(watch, one.last.resolved_at) - begin)] = False
    minutes = watch.history.counts[:, begin * TICK : day.end * TICK]
    counts = minutes.reshape(every + 1, -1, TICK).sum(axis=2, dtype=np.int64) * fresh
    usual = watch.usual[:, begin : day.end] * fresh

    def is_near(rows: Ints, ratios: tuple[float, ...]) -> Bools:
        found = spikes.scan(
            counts[rows], usual[rows], day.error[rows], day.dispersion[rows], tick_h=TICK_H, ratios=ratios
        )
        return found[:, SEEN:] >= near

    total = np.cumsum(counts, axis=1)
    enough = (total[:, SEEN:] - total[:, :-SEEN]).max(axis=1) >= watch.config.min_tickets
    rows = np.flatnonzero(ready & enough)
    rising, quiet = is_near(rows, spikes.RATIOS), is_near(np.array([every]), spikes.QUIET)[0] & ready[-1]
    for tick in range(day.begin, day.end):
        judged = set(rows[rising[:, tick - day.begin]].tolist())
        judged.update(watch.places[category] for category, _ in watch.active)
        if judged or quiet[tick - day.begin]:
            _look(watch, day, tick, judged)


def _look(watch: _Watch, day: _Day, tick: int, judged: set[int]) -> None:
    """One look of the watch, at the end of a tick, at the rows that are judged, and at what may explain them."""
    ticks, history = slice(tick + 1 - LOOKED_AT, tick + 1), watch.history
    every = len(history.rows) - 1
    rows = sorted(judged.union([every], *(watch.families.get(row, ()) for row in judged)))
    look = Look(
        rows=[history.rows[row] for row in rows],
        names=[history.names[row] for row in rows],
        counts=history.counts[rows, ticks.start * TICK : ticks.stop * TICK].astype(np.int64),
        expected=np.repeat(watch.usual[rows, ticks], TICK, axis=1) / TICK,
        error=day.error[rows],
        dispersion=day.dispersion[rows],
        held=day.held,
        threshold=spikes.threshold(watch.config.weeks),
        confusion=None,
        end=history.start + ticks.stop * TICK_S,
        tick_s=60,
    )
    now = look.end + watch.config.late_ticks * 60
    since = look.end - LOOKED_AT * TICK_S
    known = [one.last for one in watch.episodes.values() if (one.last.resolved_at or now) > since]
    found, attached = signs.read(look, known, now)
    for sign in found:
        key = (sign.category, sign.kind)
        before = watch.active.get(key)
        if before is None and sign.statistic < look.threshold:
            continue
        if key == (ALL, "spike") and every not in judged:  # its children were not looked at
            continue
        members = 0 if before is None else lifecycle.members(before, watch.active.values())
        after = lifecycle.step(
            before, sign, now, watch.config, classifier="", raised=_raised(watch, key, now), members=members
        )
        _note(watch, day, key, after)
    for alert in lifecycle.regroup(list(watch.active.values()), attached, watch.config):
        _note(watch, day, (alert.category, alert.kind), alert)


def _raised(watch: _Watch, key: tuple[str, str], now: float) -> float:
    """Decades by which the budget raises a row's threshold, after its closed alerts."""
    return lifecycle.budget(watch.closed[key], now, watch.config) if watch.budget else 0.0


def _note(watch: _Watch, day: _Day, key: tuple[str, str], alert: Alert | None) -> None:
    """Keep an alert's next state."""
    if alert is None:
        if key in watch.active:
            watch.closed[key].append(watch.active.pop(key))
        return
    watch.active[key] = alert
    row = watch.places[alert.category]
    spread = float(day.dispersion[row, 0] + day.error[row])
    before = watch.episodes.get(alert.id, Episode(row, alert, alert, spread, 0, watch.usual[row, :0]))
    watch.episodes[alert.id] = before._replace(last=alert)


def _pictured(watch: _Watch, one: Episode) -> Episode:
    ticks = watch.usual.shape[1]
    ended = ticks if one.last.resolved_at is None else _tick(watch, one.last.resolved_at)
    first = max(_tick(watch, one.fired.started_at) - DAY_TICKS, first_judged(watch.config) - LOOKED_AT)
    return one._replace(first=first, usual=watch.usual[one.row, first : ended + SEEN].copy())


def _tick(watch: _Watch, at: float) -> int:
    """The first tick that begins at a time or after it."""
    return -int(-(at - watch.history.start) // TICK_S)
