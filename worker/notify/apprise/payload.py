"""An alert as text, and whether it is good news."""

from __future__ import annotations

from typing import Literal, NamedTuple

from integration.notices import Notice
from worker.notify import words
from worker.notify.news import News


class Text(NamedTuple):
    """What Apprise is given; ``kind`` chooses colour and symbol."""

    title: str
    body: str
    kind: Literal["success", "info", "warning", "failure"]


def document(news: News, zone: str) -> Text:
    """What last happened to an alert."""
    return Text(words.title(news), words.body(news, zone), _kind(news))


def notice(one: Notice, *, again: bool) -> Text:
    """News without an end."""
    return Text(one.title, f"{words.AGAIN}\n{one.body}" if again else one.body, "warning")


def _kind(news: News) -> Literal["success", "info", "warning", "failure"]:
    alert = news.alert
    if alert.state == "resolved":
        return "success"
    if alert.state == "settled" or (alert.event == "acknowledged" and not news.first):
        return "info"
    return "failure" if alert.severity == "critical" else "warning"
