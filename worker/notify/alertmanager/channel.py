"""Sends alerts to Alertmanager, again and again while they fire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from worker.notify.alertmanager import payload
from worker.notify.http import post
from worker.notify.news import News, Target


def send(to: Target, news: News) -> str:
    """An alert that begins, changes or ends; raises ``SendError``."""
    return refresh(to, [news])


def refresh(to: Target, all_news: Sequence[News]) -> str:
    """Alerts that fire, so that they go on to; with the next look again. Raises ``SendError``."""
    life_s = max(payload.LIFE_S, 4 * to.parts.config.spikes.tick_s)
    documents = [payload.document(one, account=to.account, zone=to.zone, life_s=life_s) for one in all_news]
    headers = {"Authorization": f"Bearer {to.optional_secret}"} if to.optional_secret else {}
    url = str(to.channel.url).rstrip("/")  # the settings have seen to it that there is one
    return post(f"{url}/api/v2/alerts", msgspec.json.encode(documents), headers)
