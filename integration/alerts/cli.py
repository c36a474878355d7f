"""``presort alerts``: what fires, and a person's word on it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import datetime

import click

from integration import alerting
from integration.alerting import Silence
from integration.alerts.backtesting import backtest
from integration.alerts.trying import try_channel
from integration.commands import chosen, connected
from integration.operating.switches import by_option
from integration.records import Alert
from integration.settings import Settings
from integration.store import Store
from integration.times import from_local, local_time, once_in, span

SHOWN_LOG = 10
MINUTE = click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])


@click.group()
def alerts() -> None:
    """Show spike alerts; look after them, silence them, and say which were worth it.

    Example: presort alerts list
    """


alerts.add_command(try_channel)
alerts.add_command(backtest)


@alerts.command("list")
@click.option("--log", "closed", is_flag=True, help="Also the newest closed ones.")
def show_all(*, closed: bool) -> None:
    """Show what fires or ended within the last two hours, and the silences.

    Example: presort alerts list
    """
    with connected() as (config, store):
        rows = alerting.active(store.redis)
        old = alerting.log(store.redis, SHOWN_LOG) if closed else []
        silences = [one for one in alerting.silences(store.redis) if one.until > time.time()]
    zone = config.zendesk.time_zone
    for alert in [*rows, *old]:
        ended = f"until {local_time(alert.resolved_at, zone)}" if alert.resolved_at is not None else "still"
        click.echo(
            f"{alert.id}  {alert.state:8} {alert.severity:8} {alert.classifier} {alert.name}: {_against(alert)}, since "
            f"{local_time(alert.started_at, zone)}, {ended}"
        )
    firing = sum(alert.state == "firing" for alert in rows)
    click.echo(f"{firing} firing, {len(rows) - firing} over")
    for one in silences:
        click.echo(f"silence {_silence(one, zone)}")


@alerts.command()
@click.argument("which", metavar="ALERT")
def show(which: str) -> None:
    """Show one whole: its figures, samples, what stands out, and who has heard of it. ALERT is an id or a category.

    Example: presort alerts show category/refund_request
    """
    with connected() as (config, store):
        alert = _one(store, which)
    lines = list(_facts(alert, config.zendesk.time_zone))
    width = max(len(name) for name, _ in lines)
    click.echo("\n".join(f"{name:{width}}  {fact}" for name, fact in lines))


@alerts.command()
@click.argument("which", metavar="ALERT")
@by_option
def ack(which: str, *, by: str) -> None:
    """Say that you look after an alert: channels hear so, and then nothing more until it ends.

    Example: presort alerts ack category/refund_request
    """
    with connected() as (_, store):
        alert = _one(store, which)
        after = alerting.acknowledge(store.redis, alert, by=by, now=time.time())
    if after is None or after.state != "firing":
        raise click.ClickException(f"{alert.name} does not fire any longer")
    click.echo(f"{after.name}: {after.acknowledged_by} looks after it")


@alerts.command()
@click.argument("what", metavar="[[CLASSIFIER/]CATEGORY]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every category, instead of one.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="From now on, for so long.")
@click.option("--from", "since", type=MINUTE, help='A planned window: "2026-12-01 22:00", in the account\'s time zone.')
@click.option("--to", "until", type=MINUTE, help="Its end.")
@click.option("--reason", default="", help="Why, for the record.")
@by_option
def silence(
    what: str | None,
    *,
    everything: bool,
    hours: float | None,
    since: datetime | None,
    until: datetime | None,
    reason: str,
    by: str,
) -> None:
    """Tell nobody of CATEGORY's alerts for a while; what still fires at the end is told then.

    CATEGORY is a label's tag, "A::*" for all labels named A::..., or "*" for the alerts on all tickets. Counting and
    judging go on. Whoever has heard that an alert fires also hears its end.

    Example: presort alerts silence category/delivery_delay --hours 4
    """
    if everything is (what is not None):
        raise click.UsageError("name a category, or say --all")
    with connected() as (config, store):
        zone = config.zendesk.time_zone
        begin, end = _window(hours, since, until, zone)
        classifier, category = (None, None) if what is None else _place(config, store, what)
        name = uuid.uuid4().hex[:8]
        one = Silence(id=name, classifier=classifier, category=category, since=begin, until=end, by=by, reason=reason)
        alerting.silence(store.redis, one)
    click.echo(f"silence {_silence(one, zone)}")
    click.echo(f"to end it before: presort alerts unsilence {one.id}")


@alerts.command()
@click.argument("name", metavar="ID")
def unsilence(name: str) -> None:
    """End a silence, or call a planned one off; what fires is told with the next look.

    Example: presort alerts unsilence 3f1c9a04
    """
    with connected() as (_, store):
        if not alerting.unsilence(store.redis, name):
            raise click.ClickException(f"there is no silence {name}; `presort alerts list` shows which there are")
    click.echo("it has ended")


@alerts.command()
@click.argument("which", metavar="ALERT")
def useful(which: str) -> None:
    """Say that an alert was worth it: its category gets easier to alert again.

    Example: presort alerts useful 5d2f9c1e07ab
    """
    _rate(which, useful=True)


@alerts.command("not-useful")
@click.argument("which", metavar="ALERT")
def not_useful(which: str) -> None:
    """Say that an alert was not worth it: its category needs more evidence for the next one.

    Example: presort alerts not-useful 5d2f9c1e07ab
    """
    _rate(which, useful=False)


def _rate(which: str, *, useful: bool) -> None:
    with connected() as (_, store):
        alert = _one(store, which)
        if not alerting.rate(store.redis, alert, useful=useful):
            raise click.ClickException(f"{alert.id} is not remembered any longer")
    click.echo(f"{alert.name}: noted as {'useful' if useful else 'not useful'}")


def _one(store: Store, which: str) -> Alert:
    """The alert of that id, or the newest of that category."""
    rows = [*reversed(alerting.active(store.redis)), *alerting.log(store.redis)]
    words = ((alert, {alert.id, alert.category, alert.name, f"{alert.classifier}/{alert.category}"}) for alert in rows)
    found = next((alert for alert, names in words if which in names), None)
    if found is None:
        raise click.ClickException(f"there is no alert {which!r}; `presort alerts list --log` shows which there are")
    return found


def _window(hours: float | None, since: datetime | None, until: datetime | None, zone: str) -> tuple[float, float]:
    """Unix seconds of a silence's begin and end."""
    if (hours is None) is (until is None) or (hours is not None and since is not None):
        raise click.UsageError("say how long (--hours 2), or from when to when (--from ... --to ...)")
    now = time.time()
    begin = now if since is None else from_local(since, zone)
    end = from_local(until, zone) if until is not None else begin + (hours or 0) * 3600
    if end <= max(begin, now):
        raise click.UsageError(f"that ends at {local_time(end, zone)}, which is over already or before its begin")
    return begin, end


def _place(config: Settings, store: Store, what: str) -> tuple[str | None, str]:
    """Classifier (None: all) and category that were typed; a misspelt one would silence nothing, so it is refused."""
    classifier, _, category = what.partition("/")
    named = category != "" and classifier in {one.name for one in config.classifiers}
    place = (classifier, category) if named else (None, what)
    models = [store.model(one.name) for one in chosen(config, place[0])]
    labels = {tag: name for model in models if model is not None for tag, name in model.labels.items()}
    parent = place[1].endswith("::*") and any(name.startswith(place[1][:-1]) for name in labels.values())
    if labels and not parent and place[1] not in {*labels, "*"}:
        raise click.ClickException(f"the model knows no category {place[1]!r}: give a label's tag, as in {min(labels)}")
    return place


def _facts(alert: Alert, zone: str) -> Iterator[tuple[str, str]]:
    """What there is to know of an alert, a line each."""
    yield "alert", f"{alert.id}, {alert.classifier} {alert.name} ({alert.category})"
    yield "state", f"{alert.state}, {alert.severity}" + (f", re-opened {alert.flaps} times" if alert.flaps else "")
    yield "since", local_time(alert.started_at, zone)
    if alert.resolved_at is not None:
        yield "until", local_time(alert.resolved_at, zone)
    yield "counted", _against(alert)
    if alert.kind == "spike":
        ratio = alert.observed / max(alert.expected, 1e-9)
        yield "ratio", f"{ratio:.1f}, 90 % interval {alert.ratio_low:.1f} to {alert.ratio_high:.1f}"
        yield "share", f"{alert.share:.1%} of all tickets"
    yield "by chance", once_in(alert.once_in_weeks)
    for one in alert.words:
        usually = f"{one.usually} of {one.of_usually}"
        yield "word", f"{one.word}: in {one.here} of {one.of_here} tickets, usually in {usually}"
    for sample in alert.samples:
        yield "ticket", f"#{sample.ticket_id} {sample.url} {sample.subject or ''}".rstrip()
    if alert.also:
        yield "also", ", ".join(alert.also)
    if alert.incident not in {None, alert.id}:
        yield "incident", f"told with alert {alert.incident}"
    if alert.acknowledged_by is not None:
        yield "looked after by", alert.acknowledged_by
    if alert.silenced_until is not None:
        yield "silenced until", local_time(alert.silenced_until, zone)
    if alert.useful is not None:
        yield "useful", "yes" if alert.useful else "no"
    yield from _heard(alert)


def _heard(alert: Alert) -> Iterator[tuple[str, str]]:
    told = {channel for channel, news in alert.told.items() if news == alert.news}
    yield "told", ", ".join(sorted(told)) or "nobody"
    if behind := {*alert.told, *alert.telling} - told:
        yield "not yet", f"{', '.join(sorted(behind))}, of the newest; `presort doctor` says why"


def _against(alert: Alert) -> str:
    return f"{alert.observed:,} tickets in {span(alert.window_s)} where {alert.expected:.1f} are usual"


def _silence(one: Silence, zone: str) -> str:
    what = "everything" if one.category is None else one.category
    where = "" if one.classifier is None else f" of {one.classifier}"
    why = f": {one.reason}" if one.reason else ""
    return f"{one.id}  {what}{where}, {local_time(one.since, zone)} to {local_time(one.until, zone)}, by {one.by}{why}"
