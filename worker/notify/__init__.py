"""Tells people of alerts. A channel is a module with ``send``; the one here speaks to all that Apprise knows."""

from __future__ import annotations

import logging

import msgspec

from worker.notify import channel
from worker.notify.errors import SendError
from worker.parts import Parts

log = logging.getLogger("presort.notify")


def tell(parts: Parts) -> None:
    """Send every alert whose state the channel has not heard of; what fails is tried again with the next look.

    Sent first, marked after: a crash between the two repeats a message, it never swallows one.
    """
    for alert in parts.store.alerts().values():
        if alert.told != alert.state:
            try:
                channel.send(parts.config.alert_urls, alert)
            except SendError as error:
                log.error("alert for %s not sent: %s", alert.category, error)  # noqa: TRY400 - the reason says it all
                if not error.permanent:
                    continue
            told = msgspec.structs.replace(alert, told=alert.state)
            if alert.state == "resolved":
                parts.store.close_alert(told)
            else:
                parts.store.save_alert(told)
