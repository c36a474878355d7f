"""Tells people of alerts. A channel is a module with ``send``; the one here speaks to all that Apprise knows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

import msgspec

from integration.records import Alert
from worker.notify import channel
from worker.notify.errors import SendError
from worker.parts import Parts

log = logging.getLogger("presort.notify")

PATIENCE_S = 600
"""An alert that is over is closed after so long, even when a channel never heard of its end."""


def tell(parts: Parts, now: float, prolong: Callable[[], object]) -> None:
    """Tell each channel every state it has not heard of; what fails is tried again with the next look.

    Sent first, marked after: a crash between the two repeats a message, it never swallows one. One channel's failure
    is no other channel's business.

    Args:
        parts: the channels are the settings' URLs.
        now: Unix seconds.
        prolong: called before each message, for a channel may be slow.
    """
    silent: set[str] = set()
    channels = {hashlib.sha256(url.encode()).hexdigest()[:12]: url for url in parts.config.alert_urls}
    for alert in parts.store.alerts().values():
        told = dict(alert.told)
        for name, url in channels.items():
            if told.get(name) != alert.state and name not in silent:
                prolong()
                if _sent(url, alert, name):
                    told[name] = alert.state
                    parts.store.save_alert(msgspec.structs.replace(alert, told=told))
                else:
                    silent.add(name)  # its time-out once a look is enough
        if alert.state == "resolved":
            heard = all(told.get(name) == alert.state for name in channels)
            if heard or now - (alert.resolved_at or now) > PATIENCE_S:
                parts.store.close_alert(msgspec.structs.replace(alert, told=told))


def _sent(url: str, alert: Alert, name: str) -> bool:
    try:
        channel.send(url, alert)
    except SendError as error:
        log.error("alert for %s not sent to channel %s: %s", alert.category, name, error)  # noqa: TRY400 - the reason says it all
        return error.permanent  # as good as told: saying it again cannot help
    return True
