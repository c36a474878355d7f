"""Which hours teach a row what is usual, in the live watch and in back-tests alike. Pure: no Redis, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from integration import alerting
from integration.records import Alert
from worker import spikes
from worker.counted import parents
from worker.spikes import WEEK, Baseline, Bools, Ints

HOUR = 3600

AT_ONCE = 64
"""Rows learned together."""

OUTAGE = 10.0
"""Where so many tickets an hour are usual, one without a single ticket tells of Presort's or Zendesk's health, not of
what customers want: by chance it comes once in exp(10) = 22,000 hours."""

NO_BIRTHS: Mapping[str, float] = {}


def learn(
    rows: Sequence[str],
    labels: Sequence[str],
    counts: Ints,
    *,
    hours: range,
    slots: Ints,
    alerts: Iterable[Alert],
    tick_s: float,
    born: Mapping[str, float] = NO_BIRTHS,
    since: float = 0.0,
) -> Baseline:
    """What is usual, from the hours that may teach it.

    A spike must not become the usual, unless it has after all (``settled``); nor must an outage, nor the time before a
    label was there. A row's weeks begin with its first ticket, so that no category fires from zero; one that never had
    any learns that none come.

    Args:
        rows: R of them: labels, parents, all tickets, see ``Counted``.
        labels: the names of the first ones.
        counts: (R, H) tickets in each hour.
        hours: H Unix hours.
        slots: (H,) their hours of the local week.
        alerts: all that are known of these hours, in any state.
        tick_s: seconds that the alerts' ticks last.
        born: since when a label is there, Unix seconds; always, if it does not say.
        since: what every row's level was before this time (Unix seconds) says nothing of what it is now.
    """
    taught = np.ones(counts.shape, dtype=bool)
    level = np.full(len(rows), place(since, hours))
    families = parents(labels)
    for alert in alerts:
        if alert.category in rows:
            row, settled = rows.index(alert.category), alerting.level_since(alert, tick_s)
            end = place(settled or alert.resolved_at or float("inf"), hours)
            taught[row, place(alert.started_at // HOUR * HOUR, hours) : end] = False
            if settled is not None:  # then all that it is a part of has another level too
                above = [rows.index(parent) for parent, children in families.items() if row in children]
                level[[row, *above, -1]] = np.maximum(level[[row, *above, -1]], end)
    for row, label in enumerate(rows[: len(labels)]):
        taught[row, : place(born.get(label, 0.0), hours)] = False
    taught[:, _outages(counts[-1], slots)] = False
    seen = np.cumsum(counts, axis=1) > 0
    taught &= seen | ~seen[:, -1:]
    return _in_blocks(counts, slots, taught, level)._replace(weeks=(taught & seen).sum(axis=1) / WEEK)


def place(at: float, hours: range) -> int:
    """The place of the first of the Unix hours that begins at or after a time (Unix seconds); their number if none."""
    return int(np.clip(np.ceil(at / HOUR), hours.start, hours.stop)) - hours.start


def _in_blocks(counts: Ints, slots: Ints, taught: Bools, level: Ints) -> Baseline:
    """``spikes.learn`` of ``AT_ONCE`` rows at a time, each block beside the row of all tickets.

    What rows have in common, the shape of the account's week above all, that row tells every block; and half a year of
    500 categories needs far less memory.
    """
    every = len(counts) - 1
    blocks = [np.append(np.arange(first, min(first + AT_ONCE, every)), every) for first in range(0, every, AT_ONCE)]
    learned = [spikes.learn(counts[rows], slots, taught[rows], since=level[rows]) for rows in blocks]
    ends = [len(rows) - 1 for rows in blocks[:-1]] + [len(blocks[-1])]
    return Baseline(
        *(
            np.concatenate([one[:end] for one, end in zip(figures, ends, strict=True)])
            for figures in zip(*learned, strict=True)
        )
    )


def _outages(tickets: Ints, slots: Ints) -> Bools:
    """(H,) hours without a ticket where ``OUTAGE`` or more are usual at that hour of the week."""
    hours = np.bincount(slots, minlength=WEEK)
    mean = np.bincount(slots, weights=tickets, minlength=WEEK) / np.maximum(hours, 1)
    found: Bools = (tickets == 0) & (mean[slots] >= OUTAGE)
    return found
