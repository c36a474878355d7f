"""What the detector says of each row: counts and what is expected in, a ``Sign`` a row out. Pure, numpy only.

Some of what looks like a row's spike is another's. What the classifier confuses with a category that spikes is added to
what is expected (``spikes.leaked``), and attached to that category's alert. Of parent and child the lowest is told that
explains the excess, and the other by what is left. And what one alert has told, the next must not tell again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from integration.counting import ALL
from integration.records import Alert
from worker import spikes
from worker.lifecycle import Sign
from worker.spikes import Bools, Floats, Ints

SEEN = max(spikes.WINDOWS)
"""Ticks that speak for an alert."""

EXPLAINS = 0.8
"""A parent is not told where one child brings so much of its excess."""

OUTAGE = 5.0
"""Tickets of the account that were due in a row of ticks in which none came: of all time chance spends 4 % in such."""

NOTHING = 1e-9
"""Tickets expected where there is nothing to judge."""


class Look(NamedTuple):
    """One classifier's counts, R rows and T ticks, the oldest first.

    Attributes:
        rows: labels, then their parents ``A::*``, then ``*``, which counts every ticket once.
        names: what people read.
        counts: (R, T) tickets.
        expected: (R, T) tickets, without those that other categories' spikes send here by confusion.
        error, dispersion: (R,) and (R, 2), see ``spikes.evidence``.
        held: row to why it must not fire now.
        threshold: hours of the statistic that are news.
        confusion: (L, L) test rows of the model, truth down and answer across, for the first L rows; None without.
        end: Unix seconds at which the newest tick ended.
        tick_s: seconds a tick lasts.
        complete: whether all tickets up to ``end`` are counted.
    """

    rows: Sequence[str]
    names: Sequence[str]
    counts: Ints
    expected: Floats
    error: Floats
    dispersion: Floats
    held: Mapping[str, str]
    threshold: float
    confusion: Ints | None
    end: float
    tick_s: float
    complete: bool = True

    def newest(self) -> Look:
        """The ticks that speak for an alert."""
        return self._replace(counts=self.counts[:, -SEEN:], expected=self.expected[:, -SEEN:])

    def column(self, at: float) -> int:
        """The column of the tick that holds a time."""
        ticks = int(self.counts.shape[1])
        return min(max(0, ticks - int(-(-(self.end - at) // self.tick_s))), ticks)


def read(look: Look, known: Sequence[Alert], now: float) -> tuple[list[Sign], dict[str, list[str]]]:
    """Every row's sign, of a silence too, and which rows only rise because they are confused with one that fires.

    Args:
        look: counts, and what is expected.
        known: the classifier's alerts, active and closed.
        now: Unix seconds.

    Returns:
        Signs; and by the category that fires the names of rows that it explains.
    """
    firing = {one.category: one for one in known if one.state == "firing" and one.kind == "spike"}
    plain, look = look.newest(), _with_leak(look)
    newest = look.newest()
    fresh = _fresh(newest, known, "spike")
    found = _evidence(newest, newest.expected, fresh)
    windows = np.clip(found.window, 1, np.maximum(fresh.sum(axis=1), 1))  # what was told is in none
    attached = {} if look.confusion is None else _attached(plain, look.confusion, firing, fresh, found.statistic)
    below = families(look.rows, look.names)
    explained = _by_child(newest, windows, below)
    statistic = _without_told(newest, fresh, found.statistic, known, below)
    whole = np.cumsum(newest.counts[-1, ::-1])
    age = now - look.end
    # No ticket came for so long that one was due: then the end of a spike cannot be told from an outage.
    stopped = _due(look) >= 1
    signs = []
    for row, category in enumerate(look.rows):
        window = int(windows[row])
        alert = firing.get(category)
        signs.append(
            Sign(
                category=category,
                name=look.names[row],
                kind="spike",
                statistic=float(statistic[row]),
                observed=int(found.observed[row]),
                expected=float(found.expected[row]),
                window_s=window * look.tick_s,
                low=float(found.low[row]),
                high=float(found.high[row]),
                share=_share(int(found.observed[row]), int(whole[window - 1])),
                held=look.held.get(category),
                explained=bool(explained[row]),
                over=alert is not None and _over(look, row, alert),
                complete=look.complete,
                stopped=stopped,
                age_s=age,
            )
        )
    return [*signs, _silence(look, known, age)], attached


def _silence(look: Look, known: Sequence[Alert], age: float) -> Sign:
    """The sign of "no tickets at all": the window is the time since the last one."""
    error, dispersion = look.error[-1:], look.dispersion[-1:]
    last = look._replace(rows=[ALL], counts=look.counts[-1:], expected=look.expected[-1:])
    last = last._replace(error=error, dispersion=dispersion).newest()
    found = _evidence(last, last.expected, _fresh(last, known, "silence"), spikes.QUIET)
    since = _since_last(look)
    alert = next((one for one in known if one.state == "firing" and one.kind == "silence"), None)
    return Sign(
        category=ALL,
        name=look.names[-1],
        kind="silence",
        statistic=float(found.statistic[0]),
        observed=0,
        expected=_due(look),
        window_s=since * look.tick_s,
        low=0.0,
        high=float(found.high[0]),
        share=0.0,
        held=look.held.get(ALL),
        over=alert is not None and _over(look, -1, alert),
        complete=look.complete,
        age_s=age,
    )


def _evidence(look: Look, usual: Floats, fresh: Bools, ratios: tuple[float, ...] = spikes.RATIOS) -> spikes.Evidence:
    """The detector's word on the newest ticks; the demo's are minutes to it."""
    return spikes.evidence(
        look.counts * fresh, np.where(fresh, usual, NOTHING), look.error, look.dispersion, ratios=ratios
    )


def _fresh(look: Look, known: Iterable[Alert], kind: str) -> Bools:
    """(R, T) ticks that no alert which has ended has spoken of."""
    fresh = np.ones(look.counts.shape, dtype=bool)
    place = {category: row for row, category in enumerate(look.rows)}
    for alert in known:
        if alert.kind == kind and alert.resolved_at is not None and alert.category in place:
            fresh[place[alert.category], : look.column(alert.resolved_at)] = False
    return fresh


def _with_leak(look: Look) -> Look:
    """Expects also what categories that spike send to others by confusion; to a parent as much as to its children."""
    if look.confusion is None:
        return look
    leak = spikes.leaked(look.counts, look.expected, look.confusion)
    for row, children in families(look.rows, look.names).items():
        if look.rows[row] != ALL:  # of all tickets none comes from elsewhere
            leak[row] = leak[[one for one in children if one < len(look.confusion)]].sum(axis=0)
    return look._replace(expected=look.expected + leak)


def _attached(
    plain: Look, confusion: Ints, firing: Collection[str], fresh: Bools, statistic: Floats
) -> dict[str, list[str]]:
    """Names of labels that would be news without what they are sent by confusion, by the category that sends most."""
    labels = list(plain.rows[: len(confusion)])
    sources = [labels.index(one) for one in firing if one in labels]
    if not sources:
        return {}
    only_then = (_evidence(plain, plain.expected, fresh).statistic >= plain.threshold) & (statistic < plain.threshold)
    excess = (plain.counts - plain.expected)[sources].sum(axis=1)
    attached: dict[str, list[str]] = {}
    for row in sorted(set(np.flatnonzero(only_then[: len(labels)]).tolist()) - set(sources)):
        sent = confusion[sources, row] * excess
        if sent.max() > 0:
            attached.setdefault(labels[sources[int(sent.argmax())]], []).append(plain.names[row])
    return attached


def _without_told(
    look: Look, fresh: Bools, statistic: Floats, known: Iterable[Alert], below: Mapping[int, list[int]]
) -> Floats:
    """(R,) the statistic, of parents judged by what is left once the excess of children that are news is taken out.

    News is a child with an alert in the time that is looked at, or with evidence for one; of nested ones the uppermost.
    """
    told = {one.category for one in known if one.resolved_at is None or look.column(one.resolved_at) > 0}
    soon = [category not in look.held and statistic[row] >= look.threshold for row, category in enumerate(look.rows)]
    news = {row for row, category in enumerate(look.rows) if category in told or soon[row]}
    excess, left = look.counts - look.expected, look.counts.astype(np.float64)
    for row, children in below.items():
        inside = news.intersection(children)
        taken = sorted(inside - {one for child in inside for one in below.get(child, ())})
        if taken:
            left[row] = np.maximum(left[row] - excess[taken].sum(axis=0), 0)
    parents = list(below)
    # Parts of tickets too, which the detector's formula takes as well.
    judged = look._replace(
        counts=cast("Ints", left[parents]), error=look.error[parents], dispersion=look.dispersion[parents]
    )
    found = statistic.copy()
    found[parents] = _evidence(judged, look.expected[parents], fresh[parents]).statistic
    return found


def _by_child(look: Look, window: Ints, below: Mapping[int, list[int]]) -> Bools:
    """(R,) parents of whose excess one child that may fire explains most."""
    explained = np.zeros(len(look.rows), dtype=bool)
    excess = np.cumsum((look.counts - look.expected)[:, ::-1], axis=1)
    free = np.array([category not in look.held for category in look.rows])
    for row, children in below.items():
        most = excess[children, window[row] - 1][free[children]]
        explained[row] = bool((most >= EXPLAINS * max(excess[row, window[row] - 1], NOTHING)).any())
    return explained


def families(rows: Sequence[str], names: Sequence[str]) -> dict[int, list[int]]:
    """Each parent's row with those of its children, of all depths; ``rows`` and ``names`` as in ``Look``."""
    below: dict[str, list[int]] = {category: [] for category in rows if category.endswith("::*")}
    for row, name in enumerate(names):
        path = name.split("::")
        for depth in range(1, len(path)):
            if (children := below.get("::".join([*path[:depth], "*"]))) is not None:
                children.append(row)
    everything = [row for row, category in enumerate(rows) if category != ALL]
    return {row: below.get(category, everything) for row, category in enumerate(rows) if category[-1:] == "*"}


def _over(look: Look, row: int, alert: Alert) -> bool:
    since = look.column(alert.opened_at)
    ratio = max(alert.peak, alert.observed / max(alert.expected, NOTHING))
    # An outage is what a silence is about; of a spike it tells nothing.
    told = ~_outages(look)[since:] if alert.kind == "spike" else slice(None)
    return spikes.is_over(look.counts[row, since:][told], look.expected[row, since:][told], ratio)


def _outages(look: Look) -> Bools:
    """(T,) ticks whose tickets are lost, or come later: runs in which none of the account's came, and many were due."""
    empty = look.counts[-1] == 0
    run = np.cumsum(np.diff(empty, prepend=False))
    due = np.bincount(run, weights=look.expected[-1] * empty)
    lost: Bools = empty & (due[run] >= OUTAGE)
    return lost


def _due(look: Look) -> float:
    """Tickets expected since the last one came."""
    return float(look.expected[-1, look.counts.shape[1] - _since_last(look) :].sum())


def _since_last(look: Look) -> int:
    """Ticks since the last one with a ticket."""
    some = np.flatnonzero(look.counts[-1])
    return int(look.counts.shape[1]) - (1 + int(some[-1]) if len(some) else 0)


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 0.0
