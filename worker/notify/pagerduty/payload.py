"""An alert as events of PagerDuty's Events API v2.

Source: developer.pagerduty.com, "Events API v2 Overview" and "Send an Alert Event": up to 255 characters of
``dedup_key``, 1,024 of ``summary``.
"""

from __future__ import annotations

from typing import Any

from integration.records import Alert
from integration.times import span
from worker.notify import words
from worker.notify.news import News

SUMMARY = 1024


def documents(news: News, key: str, *, account: str, zone: str) -> list[dict[str, Any]]:
    """The events in their order: two, where the first that it hears is that somebody looks after it already.

    Args:
        news: what last happened to the alert.
        key: the integration's.
        account: whose tickets these are.
        zone: in which people read times.
    """
    alert = news.alert
    common = {"routing_key": key, "dedup_key": f"presort-{alert.id}", "client": "Presort"}
    if alert.state != "firing":
        return [{**common, "event_action": "resolve"}]
    acknowledge = {**common, "event_action": "acknowledge"}
    if alert.event == "acknowledged" and not news.first:
        return [acknowledge]
    trigger = {
        **common,
        "event_action": "trigger",
        "payload": {
            "summary": words.title(news)[:SUMMARY],
            "source": f"{account}.zendesk.com",
            "severity": alert.severity,
            "timestamp": words.utc(alert.started_at),
            "component": alert.classifier,
            "group": alert.category,
            "class": alert.kind,
            "custom_details": _details(news, zone),
        },
        "links": [{"href": one.url, "text": f"#{one.ticket_id} {one.subject or ''}".strip()} for one in alert.samples],
    }
    return [trigger, acknowledge] if alert.acknowledged_by is not None and news.first else [trigger]


def _details(news: News, zone: str) -> dict[str, Any]:
    """PagerDuty shows them as a table: figures by themselves, then the words."""
    alert: Alert = news.alert
    return {
        "tickets": alert.observed,
        "usual": round(alert.expected, 1),
        "window": span(alert.window_s),
        "also": list(alert.also),
        "text": words.body(news, zone),
    }
