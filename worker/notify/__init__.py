"""Tells people of alerts and notices, each channel for itself.

A channel is a folder: ``payload.py`` makes of an alert what it takes, and is pure; ``channel.py`` sends it. The wording
is in ``words``, the registry in ``kinds``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from redis.exceptions import RedisError

from integration import alerting, notices
from integration.notices import Notice, Trouble
from integration.records import Alert
from integration.settings import Channel
from worker.notify.errors import SendError
from worker.notify.kinds import KINDS
from worker.notify.news import News, Target
from worker.parts import Parts

log = logging.getLogger("presort.notify")

NOTICE_PATIENCE_S = 86400
"""So long is a notice tried on a channel that does not take it; an alert for as long as it is active."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 300.0
"""Pauses between tries of a channel that takes nothing; each is twice the one before."""

SEVERITIES = ("warning", "critical")


def tell(parts: Parts, now: float, prolong: Callable[[], object]) -> None:
    """Tell each channel the newest news that it has not heard; what fails is tried again later.

    ``telling`` is saved first, then it is sent, then ``told`` is saved: a crash between the two repeats a message,
    which most channels recognise and the others hear marked as such; it never swallows one. One channel's failure is
    no other channel's business.

    Args:
        parts: with the channels of the settings.
        now: Unix seconds.
        prolong: called before each message, for a channel may be slow.
    """
    redis = parts.store.redis
    alerts, troubles = alerting.active(redis), notices.troubles(redis)
    for channel in parts.config.channels:
        trouble = troubles.get(channel.name)
        if trouble is not None and now < trouble.again_at:
            continue
        tries = 0 if trouble is None else trouble.tries
        # Each time another one: an alert that breaks the receiver must not keep the others from it.
        first = tries % max(1, len(alerts))
        try:
            heard = _tell_one(Target(channel, parts), alerts[first:] + alerts[:first], now, prolong)
        except RedisError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever breaks in one channel, the others are told
            # The type only of what nobody thought of: a message may quote a secret or a text.
            reason = str(error) if isinstance(error, SendError) else type(error).__name__
            wanted = getattr(error, "retry_after", None) or 0.0
            pause = max(min(FIRST_PAUSE_S * 2 ** min(tries, 10), LONGEST_PAUSE_S), wanted)
            log.warning("channel %s takes nothing, tried again in %.0f s: %s", channel.name, pause, reason)
            since = now if trouble is None else trouble.since
            trouble = Trouble(since=since, tries=tries + 1, again_at=now + pause, reason=reason)
            notices.note_trouble(redis, channel.name, trouble)
        else:
            if trouble is not None and heard:
                notices.well(redis, channel.name)
    _drop_told(parts, now)


def _tell_one(to: Target, alerts: Sequence[Alert], now: float, prolong: Callable[[], object]) -> bool:
    """All that a channel has to hear, in that order; whether there was anything.

    Raises:
        SendError: it takes nothing at present.
    """
    channel, kind = to.channel, KINDS[to.channel.kind]
    due = [one for one in alerts if _hears(channel, one) and alerting.due(one, channel.name, now)]
    for alert in due:
        prolong()
        _tell_alert(to, alert, now)
    firing = [one for one in alerts if one.state == "firing" and channel.name in one.told] if kind.refresh else []
    if kind.refresh and firing:
        prolong()
        kind.refresh(to, [News(one, first=False, again=False, now=now) for one in firing])
    waiting = notices.waiting(to.parts.store.redis) if _hears_notices(channel) else []
    unheard = [one for one in waiting if channel.name not in one.told]
    for notice in unheard:
        prolong()
        _tell_notice(to, notice)
    return bool(due or firing or unheard)


def _hears(channel: Channel, alert: Alert) -> bool:
    """Whether an alert is a channel's business: what it has heard of it hears to the end."""
    if channel.name in alert.told or channel.name in alert.telling:
        return True
    severe = SEVERITIES.index(alert.severity) >= SEVERITIES.index(channel.least)
    return severe and (not channel.classifiers or alert.classifier in channel.classifiers)


def _hears_notices(channel: Channel) -> bool:
    """A notice is as severe as a warning."""
    return KINDS[channel.kind].post is not None and channel.least == "warning"


def _tell_alert(to: Target, alert: Alert, now: float) -> None:
    redis, name = to.parts.store.redis, to.channel.name
    marked = alerting.change(redis, alert, lambda one: _noted(one, "telling", name, one.news))
    if marked is None:
        return
    before = alert.telling.get(name)
    again = before == marked.news
    try:
        KINDS[to.channel.kind].send(to, News(marked, first=name not in marked.told, again=again, now=now))
    except SendError as error:
        if not error.permanent:
            if not error.perhaps_heard:
                alerting.change(redis, marked, lambda one: _noted(one, "telling", name, before))
            raise
        _give_up(to, f"alert {alert.id} ({alert.classifier}/{alert.category})", error)
    alerting.change(redis, marked, lambda one: _noted(one, "told", name, marked.news))


def _noted(alert: Alert, where: Literal["told", "telling"], channel: str, news: int | None) -> Alert:
    heard: dict[str, int] = {name: one for name, one in getattr(alert, where).items() if name != channel}
    return msgspec.structs.replace(alert, **{where: heard if news is None else {**heard, channel: news}})


def _tell_notice(to: Target, notice: Notice) -> None:
    post, redis, name = KINDS[to.channel.kind].post, to.parts.store.redis, to.channel.name
    if post is None:
        return
    marked = msgspec.structs.replace(notice, telling=notice.telling | {name})
    notices.save(redis, marked)
    try:
        post(to, notice, again=name in notice.telling)
    except SendError as error:
        if not error.permanent:
            if not error.perhaps_heard:
                notices.save(redis, notice)
            raise
        _give_up(to, f"notice {notice.title!r}", error)
    notices.save(redis, msgspec.structs.replace(marked, told=marked.told | {name}))


def _give_up(to: Target, what: str, error: SendError) -> None:
    """As good as told: to say it again cannot help."""
    log.error("%s is not told to channel %s: %s", what, to.channel.name, error)


def _drop_told(parts: Parts, now: float) -> None:
    """Notices that all have heard, or that are too old to be news."""
    hearing = {one.name for one in parts.config.channels if _hears_notices(one)}
    for notice in notices.waiting(parts.store.redis):
        if hearing <= notice.told or now - notice.at > NOTICE_PATIENCE_S:
            notices.drop(parts.store.redis, notice)
