"""Apprise: Slack, Teams, e-mail, webhooks and a hundred more, each a URL in ``PRESORT_ALERT_URLS``."""

from __future__ import annotations

import logging

from integration.records import Alert
from integration.times import local_time
from worker.notify.errors import SendError

# Apprise logs a URL it does not understand whole, token and all, and at DEBUG what it sends, subjects and all.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
logging.getLogger("urllib3").setLevel(logging.INFO)  # at DEBUG it logs paths, and a channel's path is its secret


def send(url: str, alert: Alert) -> None:
    """Send one alert's present state to one channel; raises what ``post`` does."""
    post(url, title(alert), body(alert), good=alert.state == "resolved")


def post(url: str, headline: str, text: str, *, good: bool = False) -> None:
    """Send news to one channel, marked as good or as a warning.

    Raises:
        SendError: permanent when Apprise does not understand the URL, else temporary: it says only that it failed.
    """
    import apprise  # noqa: PLC0415 - takes half a second to import, and most processes never send

    sender = apprise.Apprise()
    if not sender.add(url):
        raise SendError("PRESORT_ALERT_URLS holds a URL that Apprise does not understand", permanent=True)
    kind = apprise.NotifyType.SUCCESS if good else apprise.NotifyType.WARNING
    if not sender.notify(title=headline, body=text, notify_type=kind):
        raise SendError("it was refused, or nobody answered", permanent=False)


def title(alert: Alert) -> str:
    """One line, the news first."""
    if alert.state == "resolved":
        return f"Resolved: {alert.name} is back to normal"
    return f"Spike: {alert.name}, {alert.observed} tickets where {alert.expected:.1f} are usual"


def body(alert: Alert) -> str:
    """What happened, since when, how unusual, and where to look."""
    times = alert.observed / max(alert.expected, 0.1)
    lines = [
        f"{alert.observed} tickets in {_duration(alert.window_s)}, {alert.expected:.1f} expected ({times:.0f}x).",
        f"Since about {local_time(alert.started_at)}. By chance {_rarity(alert.once_in_weeks)}.",
    ]
    if alert.resolved_at is not None:
        lines.append(
            f"Over at {local_time(alert.resolved_at)}, after {_duration(alert.resolved_at - alert.started_at)}."
        )
    if alert.samples:
        lines.append("Newest tickets:")
        lines += [f"  #{one.ticket_id} {one.subject or ''}\n    {one.url}" for one in alert.samples]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _rarity(weeks: float) -> str:
    return f"once in {weeks:.0f} weeks" if weeks < 520 else "less than once in 10 years"
