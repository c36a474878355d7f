"""How an alert is put into words: the one place for it, whatever channel tells them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from integration.records import Alert
from integration.times import local_time, once_in, span
from worker.notify.news import News

_PLAIN = str.maketrans("@<>[]{}", "＠‹›［］｛｝")  # noqa: RUF001 - look-alikes on purpose
"""A subject is a customer's: it must not call a whole chat room (``@everyone``), nor be a link or a placeholder to
whatever shows it. Apprise escapes for some services, and for Discord, Mattermost and Google Chat it does not."""

AGAIN = "(Perhaps told before: a worker was cut short while it told this.)"


def title(news: News) -> str:
    """One line, the news first."""
    alert = news.alert
    if alert.event == "gone":
        return f"Ended: {alert.name} is not counted any longer"
    if alert.state == "resolved":
        return f"Resolved: {_back(alert)}"
    if alert.state == "settled":
        return f"New normal: {alert.name}, {_count(alert)} are what is usual from now on"
    if alert.event == "acknowledged" and not news.first:
        return f"Acknowledged: {alert.name}, by {alert.acknowledged_by}"
    whose = "" if alert.kind == "silence" else f"{_names(alert)}, "
    return f"{_headline(news)}: {whose}{_usual(alert)}"


def body(news: News, zone: str) -> str:
    """What happened, since when, how unusual, where to look and what to do; plain text, times in ``zone``."""
    return "\n".join(_lines(news, zone))


def utc(at: float) -> str:
    """A time as machines read it: ISO 8601, UTC, to the second."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def silencing(alert: Alert) -> str:
    """The command that silences it."""
    return f"presort alerts silence {shlex.quote(f'{alert.classifier}/{alert.category}')} --hours 4"


def _back(alert: Alert) -> str:
    if alert.kind == "silence":
        return "tickets come again"
    with_it = " and what fired with it are" if alert.incident == alert.id else " is"
    return f"{alert.name}{with_it} back to normal"


def _headline(news: News) -> str:
    alert = news.alert
    if alert.kind == "silence":
        word = "No tickets"
    elif alert.event == "grew" and not news.first:
        word = "Growing" if alert.observed / max(alert.expected, 1e-9) >= alert.peak else "Still"
    else:
        word = "Spike"
    word += " again" if alert.event == "reopened" and not news.first else ""
    return f"{word} (critical)" if alert.severity == "critical" else word


def _names(alert: Alert) -> str:
    """Of an incident the first category, and how many more."""
    if alert.incident is None or not alert.also:
        return alert.name
    return f"{alert.name} and {len(alert.also)} more {'category' if len(alert.also) == 1 else 'categories'}"


def _usual(alert: Alert) -> str:
    return f"{_count(alert)} where {alert.expected:.1f} are usual"


def _count(alert: Alert) -> str:
    return f"{alert.observed:,} ticket{'s' * (alert.observed != 1)} in {span(alert.window_s)}"


def _lines(news: News, zone: str) -> Iterator[str]:
    alert = news.alert
    if news.again:
        yield AGAIN
    yield f"{_usual(alert)}{_ratio(alert)}."
    yield f"Since about {local_time(alert.started_at, zone)}. By chance {once_in(alert.once_in_weeks)}."
    if alert.resolved_at is not None and alert.state != "firing":
        lasted = span(alert.resolved_at - alert.started_at)
        yield f"Over at {local_time(alert.resolved_at, zone)}, after {lasted}."
    if 0 < alert.share < 1:
        whole = max(alert.observed, round(alert.observed / alert.share))
        yield f"{alert.share:.0%} of all tickets in that time ({alert.observed:,} of {whole:,})."
    if alert.acknowledged_by is not None:
        at = f", since {local_time(alert.acknowledged_at, zone)}" if alert.acknowledged_at is not None else ""
        yield f"{alert.acknowledged_by} looks after it{at}."
    if alert.also:
        yield f"Also firing: {', '.join(alert.also)}."
    if alert.words:
        yield "Words that stand out:"
        yield from (
            f"  {one.word}: in {one.here:,} of {one.of_here:,} tickets, usually {one.usually:,} of {one.of_usually:,}"
            for one in alert.words
        )
    if alert.samples:
        yield "Newest tickets:"
        for sample in alert.samples:
            yield f"  #{sample.ticket_id} {(sample.subject or '').translate(_PLAIN)}".rstrip()
            yield f"    {sample.url}"
    if alert.state == "firing":
        yield from _what_to_do(alert)


def _what_to_do(alert: Alert) -> Iterator[str]:
    if alert.kind == "silence":
        yield "To see whether Zendesk still reaches Presort: presort doctor"
    yield f"To silence it: {silencing(alert)}"


def _ratio(alert: Alert) -> str:
    """How many times the usual, with its interval; without one where there is none."""
    if alert.kind == "silence":
        return ""
    times = f": {_times(alert.observed / max(alert.expected, 0.1))} times as many"
    if not 0 < alert.ratio_low <= alert.ratio_high:
        return times
    return f"{times} (90 % interval {_times(alert.ratio_low)} to {_times(alert.ratio_high)})"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
