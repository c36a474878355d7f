"""Sends events to PagerDuty: it knows an incident by its ``dedup_key``, so that a repeated event changes nothing."""

from __future__ import annotations

import msgspec

from worker.notify.http import post
from worker.notify.news import News, Target
from worker.notify.pagerduty import payload

HOST = "https://events.pagerduty.com"
"""Accounts of the EU service region set ``url`` to https://events.eu.pagerduty.com."""


def send(to: Target, news: News) -> str:
    """Trigger, acknowledge or resolve an incident; raises ``SendError``."""
    documents = payload.documents(news, to.secret, account=to.account, zone=to.zone)
    url = f"{(to.channel.url or HOST).rstrip('/')}/v2/enqueue"
    cures = {400: f"{to.channel.variable} must be the key of an Events API v2 integration, url that of its region"}
    return "; ".join(post(url, msgspec.json.encode(one), {}, cures) for one in documents)
