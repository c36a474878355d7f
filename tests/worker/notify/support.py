"""An alert, and a channel to tell it to."""

from __future__ import annotations

from typing import Any

import msgspec

from integration import alerting
from integration.records import Alert, Sample, Word
from integration.settings import Channel
from worker.notify.news import News
from worker.parts import Parts

TICKET = "https://acme.zendesk.com/agent/tickets/7"
AT = 1_764_000_000.0
"""2025-11-24 16:00 UTC."""
SECRET = "channel-secret-do-not-log"


def alert(**changes: Any) -> Alert:
    """One that has just fired."""
    return msgspec.structs.replace(
        Alert(
            id="a1",
            classifier="category",
            category="refund_request",
            name="Orders::Refund",
            opened_at=AT,
            started_at=AT - 1800,
            observed=47,
            expected=4.2,
            window_s=1800,
            ratio_low=8.7,
            ratio_high=14.1,
            once_in_weeks=38,
            share=0.31,
            samples=(Sample(ticket_id=7, url=TICKET, subject="Where is my money?"),),
            words=(Word("voucher", 12, 20, 3, 200),),
            also=("Orders::Invoice",),
        ),
        **changes,
    )


def over(one: Alert, **changes: Any) -> Alert:
    """The same, ended 40 minutes after it began."""
    ended = {"state": "resolved", "event": "resolved", "resolved_at": AT + 600} | changes
    return msgspec.structs.replace(one, revision=one.revision + 1, news=one.revision + 1, **ended)


def news(one: Alert, *, first: bool = True, again: bool = False) -> News:
    """What is told of it."""
    return News(one, first=first, again=again, now=AT)


def listening(parts: Parts, *channels: Channel) -> Parts:
    """The parts with these channels, each with the same secret unless its name says where it is."""
    secrets = {one.name: SECRET for one in channels if one.kind != "zendesk"}
    parts.config = msgspec.structs.replace(parts.config, channels=channels, channel_secrets=secrets)
    return parts


def happens(parts: Parts, one: Alert) -> Alert:
    """The alert's state is this from now on, as the watch would write it; who has heard what stays."""
    redis = parts.store.redis
    before = next((each for each in alerting.active(redis) if each.id == one.id), None)
    if before is None:
        assert alerting.save(redis, one, over=0)
        return one
    revision = before.revision + 1
    after = msgspec.structs.replace(one, revision=revision, news=revision, told=before.told, telling=before.telling)
    assert alerting.save(redis, after, over=before.revision)
    return after


def present(parts: Parts, name: str = "a1") -> Alert:
    """The alert as Redis has it."""
    return next(one for one in alerting.active(parts.store.redis) if one.id == name)
