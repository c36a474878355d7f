"""An alert as Alertmanager's API v2 takes it.

Labels are its identity: they never change while the alert lives, so severity, which may, is an annotation. Source:
prometheus.io, "Alerts API": clients re-send alerts that fire every 30 seconds to 3 minutes.
"""

from __future__ import annotations

from typing import Any

from worker.notify import words
from worker.notify.news import News

LIFE_S = 600.0
"""An alert that fires ends so long after it was last sent: some workers may restart meanwhile, but when Presort is gone
for longer nobody knows whether it still fires."""

NAMES = {"spike": "PresortSpike", "silence": "PresortNoTickets"}


def document(news: News, *, account: str, zone: str, life_s: float) -> dict[str, Any]:
    """An alert that fires until ``life_s`` from now, or one that has ended.

    Args:
        news: what last happened to it.
        account: whose tickets these are.
        zone: in which people read times.
        life_s: seconds after which it must have been sent again.
    """
    alert = news.alert
    fires = alert.state == "firing"
    ends_at = news.now + life_s if fires else (alert.resolved_at or news.now)
    return {
        "labels": {
            "alertname": NAMES[alert.kind],
            "account": account,
            "classifier": alert.classifier,
            "category": alert.category,
        },
        "annotations": {
            "summary": words.title(news),
            "description": words.body(news, zone),
            "severity": alert.severity,
        },
        "startsAt": words.utc(min(alert.started_at, ends_at)),
        "endsAt": words.utc(ends_at),
    }
