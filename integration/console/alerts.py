"""*Alerts*: what fires and what fired, one of them whole, and a person's word on it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from integration import alerting, usual
from integration.alerting import Silence
from integration.console import context, figures
from integration.console.figures import Figure, Mark
from integration.console.usually import Times, tickets
from integration.counting import HOUR, TICKS_TTL
from integration.records import Alert
from integration.times import local_time

routes = Blueprint("alerts", __name__, url_prefix="/alerts")

SHOWN = 50
"""Closed alerts on a page of the list."""

SILENCES_H = {1: "1 hour", 4: "4 hours", 24: "1 day", 168: "1 week"}
REASON_CHARS = 200

BARS = 200
"""At most, in the picture of an alert."""

BUCKETS = (1, 2, 5, 10, 15, 30, 60)
"""Ticks that a bar may stand for."""

BEFORE, AFTER = 180, 60
"""Ticks shown before an alert began and after it ended."""


@routes.get("/")
def show() -> str:
    """All of them."""
    start = max(0, request.args.get("from", 0, type=int))
    closed = alerting.log(context.redis())
    more = start + SHOWN if len(closed) > start + SHOWN else None
    return context.page(
        "alerts.html", closed=closed[start:][:SHOWN], start=start, more=more, many=len(closed), **_live()
    )


@routes.get("/live")
def live() -> str:
    """The part of the list that changes."""
    return render_template("console/alerts_live.html", **_live())


@routes.get("/figure.json")
def timeline() -> ResponseReturnValue:
    """When which category fired."""
    redis, now = context.redis(), time.time()
    return jsonify(figures.timeline([*alerting.log(redis, BARS), *alerting.active(redis)], context.zone(), now))


@routes.get("/<name>")
def one(name: str) -> str:
    """One of them, whole."""
    return context.page("alert.html", **_one(name))


@routes.get("/<name>/live")
def one_live(name: str) -> str:
    """The part of it that changes."""
    return render_template("console/alert_live.html", **_one(name))


@routes.get("/<name>/figure.json")
def picture(name: str) -> ResponseReturnValue:
    """Its counts against what is usual, from a while before it began to a while after it ended."""
    return jsonify(_picture(_find(name), time.time()))


@routes.post("/<name>/acknowledge")
def acknowledge(name: str) -> ResponseReturnValue:
    """Say that one looks after it."""
    alert = _find(name)
    after = alerting.acknowledge(context.redis(), alert, by=context.user(), now=time.time())
    if after is None or after.state != "firing":
        flash(f"{alert.name} does not fire any longer.")
    else:
        if after.acknowledged_by == context.user():
            context.note(f"acknowledged alert {alert.id} of {alert.classifier}/{alert.category}")
        flash(f"{after.acknowledged_by} looks after {alert.name}: channels hear so, and nothing more until it ends.")
    return _back(name)


@routes.post("/<name>/silence")
def silence(name: str) -> ResponseReturnValue:
    """Tell nobody of this category for a while."""
    alert, now = _find(name), time.time()
    hours = request.form.get("hours", 0, type=int)
    if hours not in SILENCES_H:
        raise BadRequest("Say for how long.")
    one = Silence(
        id=uuid.uuid4().hex[:8],
        classifier=alert.classifier,
        category=alert.category,
        since=now,
        until=now + hours * HOUR,
        by=context.user(),
        reason=request.form.get("reason", "").strip()[:REASON_CHARS],
    )
    alerting.silence(context.redis(), one)
    context.note(f"silenced {alert.classifier}/{alert.category} for {SILENCES_H[hours]}" + _because(one.reason))
    until = local_time(one.until, context.config().zendesk.time_zone)
    flash(f"Nobody is told of {alert.name} until {until}. What still fires then is told then.")
    return _back(name)


@routes.post("/silences/<name>/end")
def unsilence(name: str) -> ResponseReturnValue:
    """End a silence, or call a planned one off."""
    if alerting.unsilence(context.redis(), name):
        context.note(f"ended silence {name}")
        flash("The silence has ended: what fires is told with the next look.")
    else:
        flash("That silence had ended already.")
    return redirect(url_for("alerts.show"))


@routes.post("/<name>/rate")
def rate(name: str) -> ResponseReturnValue:
    """Say whether it was worth it."""
    alert, useful = _find(name), request.form.get("useful") == "yes"
    if alerting.rate(context.redis(), alert, useful=useful):
        word = "useful" if useful else "not useful"
        context.note(f"called alert {alert.id} of {alert.classifier}/{alert.category} {word}")
        then = "gets easier to alert again" if useful else "needs more evidence for the next alert"
        flash(f"Noted as {word}: {alert.name} {then}.")
    return _back(name)


def _live() -> dict[str, object]:
    redis, now = context.redis(), time.time()
    active = list(reversed(alerting.active(redis)))
    silences = [one for one in alerting.silences(redis) if one.until > now]
    return {
        "alerts": sorted(active, key=lambda one: one.state != "firing"),
        "silences": silences,
        "quiet": {one.id for one in active if _silence(one, silences, now)},
        "now": now,
    }


def _one(name: str) -> dict[str, object]:
    alert, redis, now = _find(name), context.redis(), time.time()
    silences = alerting.silences(redis)
    return {
        "alert": alert,
        "silence": _silence(alert, silences, now),
        "others": [one for one in alerting.active(redis) if one.incident == alert.incident and one.id != alert.id]
        if alert.incident
        else [],
        "silences_h": SILENCES_H,
        "now": now,
    }


def _find(name: str) -> Alert:
    return context.or_404(alerting.find(context.redis(), name))


def _silence(alert: Alert, silences: Sequence[Silence], now: float) -> Silence | None:
    """The silence that covers it longest."""
    return max((one for one in silences if one.covers(alert, now)), key=lambda one: one.until, default=None)


def _back(name: str) -> ResponseReturnValue:
    return redirect(url_for("alerts.one", name=name))


def _picture(alert: Alert, now: float) -> Figure:
    """Ticks while they are remembered, hours before that."""
    config, redis, store = context.config(), context.redis(), context.store()
    tick_s, end = config.spikes.tick_s, min(now, (alert.resolved_at or now) + AFTER * config.spikes.tick_s)
    start = alert.started_at - BEFORE * tick_s
    fresh = start > now - TICKS_TTL
    unit_s = tick_s if fresh else HOUR
    if not fresh:
        start, end = alert.started_at - 24 * HOUR, max(end, alert.started_at + 6 * HOUR)
    units = (end - start) / unit_s
    bucket = next((one for one in BUCKETS if units <= one * BARS), BUCKETS[-1])
    first = int(start // unit_s) // bucket * bucket
    last = first + max(1, int(end // unit_s - first) // bucket) * bucket  # whole bars: none is low for being unfinished
    model, base = store.model(alert.classifier), usual.baseline(redis, alert.classifier)
    found = tickets(
        redis,
        alert.classifier,
        alert.category,
        {} if model is None else model.labels,
        unit="ticks" if fresh else "hours",
        first=first,
        last=last,
    )
    bars = [sum(found[place : place + bucket]) for place in range(0, len(found), bucket)]
    step_s = bucket * unit_s
    starts = [unit * unit_s for unit in range(first, last, bucket)]
    row = None if base is None else next((one for one in base.rows if one.row == alert.category), None)
    band = None if row is None else Times(starts, step_s, config).usual(row)
    zone = config.zendesk.time_zone
    marks = [Mark(alert.started_at, "began"), Mark(alert.opened_at, "alert")]
    if alert.resolved_at is not None:
        marks.append(Mark(alert.resolved_at, "over"))
    text = (
        f"{alert.name}: {sum(bars)} tickets from {local_time(starts[0], zone)} to {local_time(last * unit_s, zone)}, "
        f"at most {max(bars)} in {figures.length(step_s)}"
    )
    if band is not None:
        text += f", where {max(one.expected for one in band):.1f} are usual at most"
    return figures.counts(starts, step_s, bars, band, context.zone(), text=f"{text}.", marks=marks)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
