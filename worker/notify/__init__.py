"""Tells people of alerts. A channel is a module with ``send``; the one here speaks to all that Apprise knows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from integration import notices
from worker.notify import channel
from worker.notify.errors import SendError
from worker.parts import Parts

log = logging.getLogger("presort.notify")

NOTICE_PATIENCE_S = 86400
"""So long is a notice tried on a channel that does not take it."""

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
    channels = {hashlib.sha256(url.encode()).hexdigest()[:12]: url for url in parts.config.alert_urls}
    round_ = _Round(channels, prolong, silent=set())
    for alert in parts.store.alerts().values():
        told = dict(alert.told)
        heard = {name for name, state in told.items() if state == alert.state}
        for name in round_.say(partial(channel.send, alert=alert), alert.category, heard):
            told[name] = alert.state
            parts.store.save_alert(msgspec.structs.replace(alert, told=told))
        if alert.state == "resolved":
            everybody = all(told.get(name) == alert.state for name in channels)
            if everybody or now - (alert.resolved_at or now) > PATIENCE_S:
                parts.store.close_alert(msgspec.structs.replace(alert, told=told))
    for notice in notices.waiting(parts.store.redis):
        heard = set(notice.told)
        for name in round_.say(partial(channel.post, headline=notice.title, text=notice.body), notice.title, heard):
            heard.add(name)
            notices.save(parts.store.redis, msgspec.structs.replace(notice, told=frozenset(heard)))
        if channels.keys() <= heard or now - notice.at > NOTICE_PATIENCE_S:
            notices.drop(parts.store.redis, notice)


class _Round(NamedTuple):
    """One look at all channels, URLs by name; a silent one's time-out once a look is enough."""

    channels: Mapping[str, str]
    prolong: Callable[[], object]
    silent: set[str]

    def say(self, send: Callable[[str], None], what: str, heard: Collection[str]) -> Iterator[str]:
        """Send to those that have not heard it, and yield those that have now."""
        for name in sorted(self.channels.keys() - heard - self.silent):
            self.prolong()
            try:
                send(self.channels[name])
            except SendError as error:
                log.error("%s not sent to channel %s: %s", what, name, error)  # noqa: TRY400 - the reason says it all
                if not error.permanent:
                    self.silent.add(name)
                    continue  # else as good as told: saying it again cannot help
            yield name
