"""What each category usually brings: learned every hour by whoever watches, published for all processes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from integration import alerting, counting, usual
from integration.counting import DAY, HOUR, Change
from integration.settings import Classifier
from integration.usual import Baseline, Row
from worker import calendar, changes, lessons, spikes
from worker.counted import Counted, read
from worker.parts import Parts
from worker.spikes import Floats


class Expected(NamedTuple):
    """R rows and T ticks of a ``Counted``.

    Attributes:
        rows: its rows.
        expected: (R, T) tickets, without those that other labels' spikes send here (``spikes.leaked``).
        error: (R,) squared relative error of that.
        dispersion: (R, 2) squared coefficient of variation of the true rate around it, over 1 h and over 6 h.
        weeks: (R,) of hours that taught it.
        held: row to why it does not fire now, see ``usual.Row``.
    """

    rows: list[str]
    expected: Floats
    error: Floats
    dispersion: Floats
    weeks: Floats
    held: dict[str, str]


def expected(parts: Parts, classifier: Classifier, seen: Counted, now: float) -> Expected | None:
    """What the ticks of ``seen`` should have brought; None before a whole hour was counted, or for an old model.

    Learns anew when an hour is over, or when something changed that counts depend on; one process at a time (the
    store's lock ``watch``). ``now`` in Unix seconds.
    """
    redis, config = parts.store.redis, parts.config
    manifest = parts.predictors[classifier.name].manifest
    if not changes.notice(redis, classifier.name, manifest, now):
        return None
    changed = counting.changes(redis, classifier.name)
    until = int((now - config.spikes.late_ticks * config.spikes.tick_s) // HOUR)
    base = usual.baseline(redis, classifier.name)
    if (
        base is None
        or (base.until, base.changed_at) != (until, _newest(changed))
        or [one.row for one in base.rows] != seen.rows
    ):
        base = _learn(parts, classifier, seen, changed, until=until, now=now)
        if base is None:
            return None
        usual.publish(redis, classifier.name, base)
    learned = spikes.Baseline(
        np.array([one.rate for one in base.rows]),
        np.array([one.error for one in base.rows]),
        np.array([one.dispersion for one in base.rows]),
        np.array([one.weeks for one in base.rows]),
    )
    tick_s, ticks = config.spikes.tick_s, seen.counts.shape[1]
    middles = (np.arange(seen.last - ticks, seen.last) + 0.5) * tick_s
    places = calendar.positions(middles, config.zendesk.time_zone, config.spikes.holidays)
    tickets, error = spikes.expect(learned, places, tick_s / HOUR)
    held = {one.row: one.held for one in base.rows if one.held is not None}
    return Expected(seen.rows, tickets, error, learned.dispersion, learned.weeks, held)


def _learn(
    parts: Parts, classifier: Classifier, seen: Counted, changed: list[Change], *, until: int, now: float
) -> Baseline | None:
    """From the hours before ``until`` (Unix hour), at most ``counting.WEEKS`` weeks of them."""
    redis, config = parts.store.redis, parts.config
    since = counting.counting_since(redis, classifier.name)
    hours = range(until if since is None else max(since, until - counting.WEEKS * spikes.WEEK), until)
    if not hours:
        return None
    labels = parts.predictors[classifier.name].manifest.labels
    rows, counts = read(redis, "hours", classifier, labels, first=hours.start, last=until)
    if rows != seen.rows:  # another model serves since the ticks were read: the next look sees its labels
        return None
    shifts = [one for one in changed if one.kind != "rebuilt"]
    slots = calendar.slots(np.array(hours), config.zendesk.time_zone, config.spikes.holidays)
    served = counting.served(redis, classifier.name)
    learned = lessons.learn(
        rows,
        [label.name for label in labels],
        counts,
        hours=hours,
        slots=slots,
        alerts=alerting.known(redis, classifier.name),
        tick_s=config.spikes.tick_s,
        born=served.labels if served else lessons.NO_BIRTHS,
        since=_newest(shifts),
    )
    hold = f"{shifts[0].kind}_changed" if shifts and now - shifts[0].at < DAY else None
    figures = (_short(learned.rate), _short(learned.error), learned.dispersion.tolist(), learned.weeks.tolist())
    return Baseline(
        until=until,
        changed_at=_newest(changed),
        rows=[
            Row(
                row=row,
                name=name,
                rate=rate,
                error=error,
                dispersion=(dispersion[0], dispersion[1]),
                weeks=weeks,
                held=hold or ("learning" if weeks < config.spikes.learning_weeks else None),
            )
            for row, name, rate, error, dispersion, weeks in zip(rows, seen.names, *figures, strict=True)
        ],
    )


def _newest(changed: list[Change]) -> float:
    return changed[0].at if changed else 0.0


def _short(numbers: Floats) -> list[tuple[float, ...]]:
    """Rows of four significant digits: what is published is read every minute."""
    scale = 10.0 ** (3 - np.floor(np.log10(numbers)))
    return [tuple(row) for row in (np.round(numbers * scale) / scale).tolist()]
