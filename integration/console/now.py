"""*Now*: what came in the last hour against what is usual, what waits, who works, what fires."""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from integration import alerting, counting, outcomes, usual
from integration.console import context, figures
from integration.console.usually import Times, Usual, tags, tickets
from integration.controls import Controls
from integration.counting import ALL
from integration.records import Model
from integration.settings import Classifier
from integration.store import WORKER_TTL
from integration.times import span
from integration.usual import Row

routes = Blueprint("now", __name__)

WINDOW = 60
"""Ticks that the table adds up: an hour of minutes."""

CHART = 180
"""Ticks that the chart shows."""

LATE_READS = 3
"""Looks at the export that may fail before it is worth a person's eye."""

HELD = {
    "learning": "still learning",
    "model_changed": "on hold: another model",
    "thresholds_changed": "on hold: other thresholds",
    "taxonomy_changed": "on hold: other labels",
}


class Line(NamedTuple):
    """A category in the newest ``WINDOW`` ticks; ``usual`` is None before anything was learned.

    Attributes:
        state: what its alert or its baseline says, "" where there is nothing to say.
        alert: the id of the alert that fires.
    """

    row: str
    name: str
    tickets: int
    usual: Usual | None
    state: str
    alert: str | None

    @property
    def most(self) -> float:
        """Where a picture of it ends, in tickets."""
        return max(self.tickets, self.usual.high if self.usual else 0.0, 1.0) * 1.1

    @property
    def unusual(self) -> str:
        """In which way it lies outside the band, "" within."""
        if self.usual is None or self.usual.low <= self.tickets <= self.usual.high:
            return ""
        return "more than usual" if self.tickets > self.usual.high else "less than usual"


@routes.get("/")
def show() -> str:
    """The whole page."""
    classifier, row = context.classifier(), request.args.get("category", ALL)
    return context.page("now.html", row=row, classifiers=context.config().classifiers, **_facts(), **_table(classifier))


@routes.get("/now/facts")
def facts() -> str:
    """What waits, who works, what fires, again."""
    return render_template("console/now_facts.html", **_facts())


@routes.get("/now/lines")
def lines() -> str:
    """The table, again."""
    return render_template("console/now_lines.html", **_table(context.classifier()))


@routes.get("/now/figure.json")
def figure() -> ResponseReturnValue:
    """One category's tickets, tick by tick."""
    classifier, row = context.classifier(), request.args.get("category", ALL)
    config, redis = context.config(), context.redis()
    tick_s, last = config.spikes.tick_s, _last(time.time())
    first = _first(classifier, last, CHART)
    model, learned = context.store().model(classifier.name), _learned(classifier)
    labels = {} if model is None else model.labels
    found = tickets(redis, classifier.name, row, labels, unit="ticks", first=first, last=last)
    base = learned.get(row)
    starts = [tick * tick_s for tick in range(first, last)]
    band = None if base is None else Times(starts, tick_s, config).usual(base)
    name = _names(model, learned).get(row, row)
    text = f"{name}: {sum(found)} tickets in {span((last - first) * tick_s)}"
    if base is not None and band is not None:
        text += f", where {sum(one.expected for one in band):.1f} are usual"
    return jsonify(figures.counts(starts, tick_s, found, band, context.zone(), text=f"{text}."))


def _facts() -> dict[str, object]:
    store, redis, config, now = context.store(), context.redis(), context.config(), time.time()
    oldest = store.unanswered(now, 1)
    read_at = outcomes.caught_up_at(redis)
    return {
        "depths": store.depths(),
        "oldest": oldest[0] if oldest else None,
        "workers": store.workers(),
        "worker_ttl": WORKER_TTL,
        "models": {one.name: store.model(one.name) for one in config.classifiers},
        "alerts": [one for one in alerting.active(redis) if one.state == "firing"],
        "refusal": Controls(redis).refusal(config.zendesk, now),
        "held_s": store.updates_held(),
        "export_age": None if read_at is None else now - read_at,
        "export_late": read_at is not None and now - read_at > LATE_READS * config.ledger.every_s,
        "now": now,
    }


def _table(classifier: Classifier) -> dict[str, object]:
    last, tick_s = _last(time.time()), context.config().spikes.tick_s
    first = _first(classifier, last, WINDOW)
    return {
        "classifier": classifier,
        "lines": _lines(classifier, first, last),
        "window": span((last - first) * tick_s),
        "since": first * tick_s,
        "until": last * tick_s,
    }


def _lines(classifier: Classifier, first: int, last: int) -> list[Line]:
    """All tickets first, then what is furthest from its usual, then by tickets."""
    config, redis = context.config(), context.redis()
    model, learned = context.store().model(classifier.name), _learned(classifier)
    names = _names(model, learned)
    ticks = counting.ticks(redis, classifier.name, first, last)
    sums = Counter({ALL: sum(one.tickets for one in ticks)})
    for one in ticks:
        sums.update(one.categories)
    labels = {} if model is None else model.labels
    for row in learned:
        sums[row] = sum(sums[tag] for tag in tags(row, labels))
    tick_s = config.spikes.tick_s
    times = Times([tick * tick_s for tick in range(first, last)], tick_s, config)
    active = [one for one in alerting.active(redis) if one.classifier == classifier.name]
    firing = {one.category: one for one in active if one.state == "firing"}
    lines = []
    for row, name in ({tag: tag for tag in sums} | names).items():
        base, alert = learned.get(row), firing.get(row)
        state = "alert fires" if alert else "" if base is None else HELD.get(base.held or "", base.held or "")
        usually = None if base is None else times.together(base)
        lines.append(Line(row, name, sums[row], usually, state, alert.id if alert else None))
    return sorted(lines, key=lambda one: (one.row != ALL, one.alert is None, not one.unusual, -one.tickets, one.name))


def _names(model: Model | None, learned: dict[str, Row]) -> dict[str, str]:
    """What people read of each row: those that were learned, or before that the model's labels."""
    if learned:
        return {row: one.name for row, one in learned.items()}
    return {**({} if model is None else model.labels), ALL: "All tickets"}


def _learned(classifier: Classifier) -> dict[str, Row]:
    base = usual.baseline(context.redis(), classifier.name)
    return {} if base is None else {one.row: one for one in base.rows}


def _last(now: float) -> int:
    """The tick after the newest one whose late tickets have come, as in ``worker.counted``."""
    spikes = context.config().spikes
    return int(now // spikes.tick_s) - spikes.late_ticks


def _first(classifier: Classifier, last: int, ticks: int) -> int:
    """Where the newest ``ticks`` begin, or counting, if that began since: before, nothing was counted."""
    began = counting.began(context.redis(), classifier.name)
    if began is None:
        return last - ticks
    return min(last - 1, max(last - ticks, int(began // context.config().spikes.tick_s)))
