"""What a webhook of your own gets.

``schema`` grows when a member changes its meaning or goes; new members may come at any time. Times are ISO 8601, UTC.
"""

from __future__ import annotations

from typing import Any

from integration.notices import Notice
from worker.notify import words
from worker.notify.news import News

SCHEMA = 1


def document(news: News, *, account: str, zone: str) -> dict[str, Any]:
    """What last happened to an alert.

    Args:
        news: the alert; ``event`` is ``alert.fired`` for a receiver that has not heard of it before, whatever it is
            that happened last.
        account: whose tickets these are.
        zone: of the times within ``text``.
    """
    alert = news.alert
    event = "fired" if news.first and alert.state == "firing" else alert.event
    return {
        "schema": SCHEMA,
        "id": news.id,
        "event": f"alert.{event}",
        "account": account,
        "title": words.title(news),
        "text": words.body(news, zone),
        "alert": {
            "id": alert.id,
            "classifier": alert.classifier,
            "category": alert.category,
            "name": alert.name,
            "kind": alert.kind,
            "severity": alert.severity,
            "state": alert.state,
            "opened_at": words.utc(alert.opened_at),
            "started_at": words.utc(alert.started_at),
            "resolved_at": None if alert.resolved_at is None else words.utc(alert.resolved_at),
            "observed": alert.observed,
            "expected": alert.expected,
            "window_s": alert.window_s,
            "ratio_low": alert.ratio_low,
            "ratio_high": alert.ratio_high,
            "once_in_weeks": alert.once_in_weeks,
            "share": alert.share,
            "samples": [{"ticket_id": one.ticket_id, "url": one.url, "subject": one.subject} for one in alert.samples],
            "words": [one._asdict() for one in alert.words],
            "also": list(alert.also),
            "acknowledged_by": alert.acknowledged_by,
        },
    }


def notice(one: Notice, *, account: str) -> dict[str, Any]:
    """News without an end."""
    return {
        "schema": SCHEMA,
        "id": one.id,
        "event": "notice",
        "account": account,
        "title": one.title,
        "text": one.body,
        "at": words.utc(one.at),
    }
