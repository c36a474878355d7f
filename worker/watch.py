"""The look at the counts, once a tick: what came against what is expected, what becomes of alerts, who is told.

Each step can be repeated: what is read is in Redis, a change is written whole or not at all, and who is told is asked
of what was written. So a watcher that is killed between any two of them neither loses an alert nor repeats one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from integration import alerting
from integration.messages import CLASSIFY
from integration.records import Alert
from integration.settings import Classifier
from worker import baselines, counted, lifecycle, notify, signs
from worker.describing import describe
from worker.parts import Parts
from worker.spikes import Ints, threshold

log = logging.getLogger("presort.watch")

LOCK_S = 30
"""Longer than any step of a look takes, and shorter than the minute between two: who is killed stops none but his."""

BACKLOG = 100
"""More tickets than this wait to be classified: the newest counts are not whole."""


def watch(parts: Parts, now: float) -> None:
    """One look at all classifiers, by one process at a time; then tell what changed. ``now`` in Unix seconds."""
    with parts.store.lock("watch", life_s=LOCK_S) as prolong:
        if prolong is None:
            return
        for classifier in parts.config.classifiers:
            _look(parts, classifier, now, prolong)
            prolong()
        names = {one.name for one in parts.config.classifiers}
        for alert in alerting.active(parts.store.redis):
            if alert.classifier not in names:
                _write(parts, alert, lifecycle.gone(alert, now, parts.config.spikes))
        notify.tell(parts, now, prolong)


def _look(parts: Parts, classifier: Classifier, now: float, prolong: Callable[[], object]) -> None:
    config, redis = parts.config.spikes, parts.store.redis
    look = _counts(parts, classifier, now)
    if look is None:
        return
    active = [one for one in alerting.active(redis) if one.classifier == classifier.name]
    closed = [one for one in alerting.log(redis) if one.classifier == classifier.name]
    alerts = {(one.category, one.kind): one for one in active}
    past: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    for one in closed:
        past[one.category, one.kind].append(one)
    silences = alerting.silences(redis)
    rows, attached = signs.read(look, [*closed, *active], now)
    for sign in rows:
        place = (sign.category, sign.kind)
        alert = alerts.pop(place, None)
        after = lifecycle.step(
            alert,
            sign,
            now,
            config,
            classifier=classifier.name,
            raised=lifecycle.budget(past[place], now, config),
            silences=silences,
            members=0 if alert is None else lifecycle.members(alert, active),
        )
        if after is not None and after is not alert and after.news == after.revision and after.state == "firing":
            prolong()
            after = describe(parts, classifier, after)
        _write(parts, alert, after)
    for alert in alerts.values():  # their label is gone
        _write(parts, alert, lifecycle.gone(alert, now, config))
    firing = [one for one in alerting.active(redis) if one.classifier == classifier.name]
    for after in lifecycle.regroup(firing, attached, config):
        alerting.save(redis, after, over=after.revision - 1)
    for silence in silences:
        if silence.until < now:
            alerting.unsilence(redis, silence.id)


def _counts(parts: Parts, classifier: Classifier, now: float) -> signs.Look | None:
    """What was counted and what is expected; None while nothing can be."""
    seen = counted.counted(parts, classifier, now)
    if not seen.counts.shape[1]:
        return None
    learned = baselines.expected(parts, classifier, seen, now)
    if learned is None:
        return None
    waiting = parts.store.depths()["tickets"] + parts.store.waiting(CLASSIFY)
    tick_s = parts.config.spikes.tick_s
    return signs.Look(
        rows=seen.rows,
        names=seen.names,
        counts=seen.counts,
        expected=learned.expected,
        error=learned.error,
        dispersion=learned.dispersion,
        held=learned.held,
        threshold=threshold(parts.config.spikes.weeks),
        confusion=_confusion(parts, classifier, seen.rows),
        end=seen.last * tick_s,
        tick_s=tick_s,
        complete=waiting <= BACKLOG,
    )


def _confusion(parts: Parts, classifier: Classifier, rows: list[str]) -> Ints | None:
    """The serving model's confusion on its own test rows, where the first rows are its labels."""
    manifest = parts.predictors[classifier.name].manifest
    labels = [label.value for label in manifest.labels]
    if manifest.confusion is None or rows[: len(labels)] != labels:
        return None
    return np.array(manifest.confusion, dtype=np.int64)


def _write(parts: Parts, before: Alert | None, after: Alert | None) -> None:
    """Make a state the next one, unless somebody was faster: then the next look sees what they made of it."""
    if after is before:
        return
    redis = parts.store.redis
    if after is None:
        if before is not None:
            alerting.close(redis, before)
    elif alerting.save(redis, after, over=0 if before is None else before.revision) and after.news == after.revision:
        figures = f"{after.observed} tickets, {after.expected:.1f} expected"
        log.info("alert %s: %s/%s, %s", after.event, after.classifier, after.category, figures)
