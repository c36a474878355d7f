"""Reads the counts, asks ``spikes``, opens and resolves alerts, tells the channel."""

from __future__ import annotations

import logging
import uuid
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from integration.records import Alert, Sample
from integration.settings import Classifier, Spikes
from integration.zendesk.errors import ZendeskError
from worker import notify, spikes
from worker.parts import Parts

log = logging.getLogger("presort.watch")

HISTORY = 1440
"""Ticks looked at: a day of minutes."""

JUDGED = 360
"""The newest ticks are judged against the older ones; with little history, a third of it."""

PAST_ALERTS = 200
"""Resolved alerts remembered: more than can end within the history."""

HOLD = 15
"""Ticks an alert lasts at least."""

SAMPLES = 5
WEEK_TICKS = 7 * 24 * 60


class _Counts(NamedTuple):
    """``counts`` (C, T) by category, ``tickets`` (T,) each once; ``last`` is the tick after the newest column."""

    categories: list[str]
    counts: spikes.Ints
    tickets: spikes.Ints
    last: int


def watch(parts: Parts, now: float) -> None:
    """One look at all classifiers, by one process at a time; then tell what changed. ``now`` in Unix seconds."""
    with parts.store.lock("watch", life_s=60) as prolong:
        if prolong is None:
            return
        for classifier in parts.config.classifiers:
            _look(parts, classifier, now)
            prolong()
        names = {one.name for one in parts.config.classifiers}
        for alert in parts.store.alerts().values():
            if alert.classifier not in names and alert.state == "firing":  # nobody counts for it any longer
                parts.store.save_alert(msgspec.structs.replace(alert, state="resolved", resolved_at=now))
        notify.tell(parts, now, prolong)


def _look(parts: Parts, classifier: Classifier, now: float) -> None:
    config = parts.config.spikes
    seen = _read_counts(parts, classifier, now)
    ticks = seen.counts.shape[1]
    if ticks < config.learning_ticks:
        return
    open_alerts = {one.category: one for one in parts.store.alerts().values() if one.classifier == classifier.name}
    past = [one for one in parts.store.alert_log(PAST_ALERTS) if one.classifier == classifier.name]
    quiet, fresh = _marks(seen, [*open_alerts.values(), *past], config)
    held_out = min(JUDGED, ticks // 3)
    expected, error = spikes.expectation(seen.counts, seen.tickets, held_out, quiet)
    found = spikes.evidence((seen.counts * fresh)[:, -held_out:], (expected * fresh)[:, -held_out:], error)
    for row, category in enumerate(seen.categories):
        alert = open_alerts.get(category)
        if alert is None:
            if found.statistic[row] >= config.weeks * WEEK_TICKS and found.observed[row] >= config.min_tickets:
                _open(parts, classifier, category, found, row=row, now=now)
        elif alert.state == "firing":
            since = _index(alert.opened_at, seen, config)
            ratio = alert.observed / max(alert.expected, 1e-9)
            if ticks - since >= HOLD and spikes.is_over(seen.counts[row, since:], expected[row, since:], ratio):
                parts.store.save_alert(msgspec.structs.replace(alert, state="resolved", resolved_at=now))
                log.info("alert resolved: %s", alert.category)


def _marks(seen: _Counts, alerts: list[Alert], config: Spikes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two (C, T) masks: ticks a category may learn from, and ticks that may speak for a new alert.

    A spike must not become the usual; and what one alert has told, another must not tell again.
    """
    quiet, fresh = np.ones(seen.counts.shape, dtype=bool), np.ones(seen.counts.shape, dtype=bool)
    rows = {category: row for row, category in enumerate(seen.categories)}
    for alert in alerts:
        row = rows.get(alert.category)
        if row is None:
            continue
        end = seen.counts.shape[1] if alert.resolved_at is None else _index(alert.resolved_at, seen, config) + 1
        quiet[row, _index(alert.started_at, seen, config) : end] = False
        fresh[row, :end] = False
    return quiet, fresh


def _read_counts(parts: Parts, classifier: Classifier, now: float) -> _Counts:
    """Counts since counting began, at most ``HISTORY``; every label has a row: a silent one is a row of zeros."""
    config = parts.config.spikes
    last = int(now // config.tick_s) - config.late_ticks
    began = parts.store.counting_since(classifier.name)
    first = last if began is None else min(last, max(began, last - HISTORY))
    ticks = parts.store.counts(classifier.name, first, last)
    rows = [tick.categories for tick in ticks]
    labels = [label.value for label in parts.predictors[classifier.name].manifest.labels]
    categories = labels + sorted({category for row in rows for category in row} - set(labels))
    counts = np.array([[row.get(category, 0) for row in rows] for category in categories], dtype=np.int64)
    tickets = np.array([tick.tickets for tick in ticks], dtype=np.int64)
    return _Counts(categories, counts.reshape(len(categories), len(rows)), tickets, last)


def _index(at: float, seen: _Counts, config: Spikes) -> int:
    """The column of the tick that holds a time."""
    ticks = int(seen.counts.shape[1])
    return min(max(0, ticks - (seen.last - int(at // config.tick_s))), ticks)


def _open(parts: Parts, classifier: Classifier, category: str, found: spikes.Evidence, *, row: int, now: float) -> None:
    config = parts.config.spikes
    model = parts.predictors[classifier.name].manifest
    names = {label.value: label.name for label in model.labels}
    window_s = float(found.window[row]) * config.tick_s
    alert = Alert(
        id=uuid.uuid4().hex,
        classifier=classifier.name,
        category=category,
        name=names.get(category, category),
        opened_at=now,
        started_at=now - config.late_ticks * config.tick_s - window_s,
        observed=int(found.observed[row]),
        expected=float(found.expected[row]),
        window_s=window_s,
        once_in_weeks=float(found.statistic[row]) / WEEK_TICKS,
        samples=_samples(parts, classifier, category),
    )
    if parts.store.open_alert(alert):
        log.info("alert fired: %s, %d tickets, %.1f expected", category, alert.observed, alert.expected)


def _samples(parts: Parts, classifier: Classifier, category: str) -> tuple[Sample, ...]:
    """The newest tickets of the category; their subjects are asked of Zendesk, for we keep no text."""
    ids = parts.store.samples(classifier.name, category, SAMPLES)
    try:
        tickets = parts.zendesk.show_many(ids)
    except ZendeskError as error:  # an alert without subjects is better than none
        log.warning("samples without subjects: %s", error)
        tickets = {}
    return tuple(
        Sample(
            ticket_id=one,
            url=parts.zendesk.ticket_url(one),
            subject=_one_line(tickets[one].subject or tickets[one].description) if one in tickets else None,
        )
        for one in ids
    )


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:100]
