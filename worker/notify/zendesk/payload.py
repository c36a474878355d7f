"""An alert as a ticket. All comments are internal notes: nobody but agents reads them."""

from __future__ import annotations

from typing import Any

from integration.notices import Notice
from integration.records import Alert
from integration.zendesk.alert_tickets import ABOUT
from worker.notify import words
from worker.notify.news import News

PRIORITY = {"warning": "high", "critical": "urgent"}


def external_id(alert: Alert) -> str:
    """By which an alert's ticket is found."""
    return f"presort-alert-{alert.id}"


def opening(news: News, *, group_id: int | None, zone: str) -> dict[str, Any]:
    """The attributes of a new ticket."""
    return {
        "subject": words.title(news),
        "external_id": external_id(news.alert),
        "group_id": group_id,
        "type": "incident",
        "priority": PRIORITY[news.alert.severity],
        "tags": [ABOUT],
        **_comment(words.body(news, zone), news.id),
    }


def change(news: News, *, status: str, zone: str) -> dict[str, Any]:
    """The attributes of an update of a ticket that has ``status``: a note, and what follows from it."""
    attributes = _comment(f"{words.title(news)}\n\n{words.body(news, zone)}", news.id)
    attributes["priority"] = PRIORITY[news.alert.severity]
    if news.alert.state != "firing":
        attributes["status"] = "solved"
    elif status == "solved" and news.alert.event == "reopened":
        attributes["status"] = "open"
    return attributes


def notice(one: Notice, *, group_id: int | None) -> dict[str, Any]:
    """A new ticket for news without an end; people solve it."""
    return {
        "subject": one.title,
        "external_id": f"presort-notice-{one.id}",
        "group_id": group_id,
        "type": "task",
        "tags": ["presort_notice"],
        **_comment(one.body, one.id),
    }


def _comment(text: str, news: str) -> dict[str, Any]:
    return {"comment": {"body": text, "public": False}, "metadata": {ABOUT: {"news": news}}}
