"""What the admin chooses by, as figures: the table, the page and the JSON file all show these."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from integration.settings import Spikes
from worker import spikes
from worker.backtest.history import HOUR, History
from worker.backtest.replay import TICK_S, Episode, Replay, first_judged
from worker.backtest.sensitivities import Pair

MONTH_H = 365.25 * 24 / 12

SMALLEST_H = 6
"""Hours that ``spikes.smallest`` speaks of."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that would have been. Times are Unix seconds.

    Attributes:
        category: its name; ``All tickets`` for all.
        fired_at: when people would have been told first.
        ended: an ``open`` one lasts when history ends, a ``settled`` one has become the new normal.
        observed, expected: tickets in the ``window_s`` seconds that made it fire.
        ratio: observed / expected, None where nothing is; ``ratio_low`` to ``ratio_high``: its 90 % interval.
        once_in_weeks: how rarely chance alone would show as much.
        told_with: the category whose alert tells this one too, since three or more fired together.
    """

    category: str
    kind: Literal["spike", "silence"]
    began_at: float
    fired_at: float
    ended_at: float | None
    ended: Literal["resolved", "settled", "open"]
    observed: int
    expected: float
    window_s: float
    ratio: float | None
    ratio_low: float
    ratio_high: float
    once_in_weeks: float
    told_with: str | None


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A category, a parent or all tickets, at one sensitivity.

    Attributes:
        per_hour: tickets, as learned from the whole history; on average over the week.
        months: in which it could have had an alert.
        alerts: as Presort would have sent them, its budget of false alerts included.
        without_budget: the same without.
        smallest_ratio, smallest_tickets: the smallest spike of six hours that is found at that rate; None where the
            rate wanders so much that none is sure to be.
    """

    name: str
    per_hour: float
    months: float
    alerts: int
    without_budget: int
    smallest_ratio: float | None
    smallest_tickets: float | None


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """One of the three: at most one false alert per category in so many ``weeks``.

    Attributes:
        months: category-months looked at, parents and all tickets counted as categories.
        per_category_month, per_category_month_without_budget: alerts.
        alerts: in the order they fired.
    """

    weeks: int
    months: float
    per_category_month: float
    per_category_month_without_budget: float
    categories: list[Category]
    alerts: list[Alert]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Times are Unix seconds.

    Attributes:
        begin, end: of the history.
        judged_from: before it, there was too little history for any alert.
        zone: the account's, an IANA name.
        unsorted: tickets without a category, which count for nothing.
    """

    begin: float
    end: float
    judged_from: float
    zone: str
    tickets: int
    unsorted: int
    sensitivities: list[Sensitivity]


def figures(history: History, zone: str, config: Spikes, found: Mapping[int, Pair]) -> Figures:
    """Count what was replayed."""
    return Figures(
        begin=history.start,
        end=history.start + 3600 * (history.counts.shape[1] // HOUR),
        judged_from=history.start + first_judged(config) * TICK_S,
        zone=zone,
        tickets=history.tickets,
        unsorted=history.unsorted,
        sensitivities=[_sensitivity(history, config, weeks, pair) for weeks, pair in found.items()],
    )


def _sensitivity(history: History, config: Spikes, weeks: int, pair: Pair) -> Sensitivity:
    months = float(pair.budgeted.watched.sum()) / MONTH_H
    return Sensitivity(
        weeks=weeks,
        months=months,
        per_category_month=len(pair.budgeted.episodes) / months if months else 0.0,
        per_category_month_without_budget=len(pair.free.episodes) / months if months else 0.0,
        categories=_categories(history, config, weeks, pair),
        alerts=[_alert(history, one, pair.budgeted) for one in pair.budgeted.episodes],
    )


def _categories(history: History, config: Spikes, weeks: int, pair: Pair) -> list[Category]:
    with_budget, without = (Counter(one.row for one in replay.episodes) for replay in pair)
    base, found = pair.budgeted.baseline, []
    rates = base.rate.mean(axis=1)
    ratios = spikes.smallest(rates, base.error.mean(axis=1), base.dispersion, weeks)
    for row, (name, rate, ratio) in enumerate(zip(history.names, rates.tolist(), ratios.tolist(), strict=True)):
        usual = rate * SMALLEST_H
        tickets = None if math.isnan(ratio) else max(ratio * usual, config.min_tickets)
        found.append(
            Category(
                name=name,
                per_hour=rate,
                months=float(pair.budgeted.watched[row]) / MONTH_H,
                alerts=with_budget[row],
                without_budget=without[row],
                smallest_ratio=None if tickets is None else tickets / usual,
                smallest_tickets=tickets,
            )
        )
    return found


def _alert(history: History, one: Episode, replay: Replay) -> Alert:
    fired, last = one.fired, one.last
    leader = next((each.row for each in replay.episodes if each.fired.id == last.incident), one.row)
    return Alert(
        category=history.names[one.row],
        kind=fired.kind,
        began_at=fired.started_at,
        fired_at=fired.opened_at,
        ended_at=last.resolved_at,
        ended="open" if last.state == "firing" else last.state,
        observed=fired.observed,
        expected=fired.expected,
        window_s=fired.window_s,
        ratio=fired.observed / fired.expected if fired.expected > 0 else None,
        ratio_low=fired.ratio_low,
        ratio_high=fired.ratio_high,
        once_in_weeks=fired.once_in_weeks,
        told_with=history.names[leader] if leader != one.row else None,
    )
