"""The contract of alerts: which there are, who has heard what of them, what people said; silences; the log.

Functions take the Redis connection; the keys are in the table of ``integration.store``. ``worker.lifecycle`` decides
what becomes of an alert, ``worker.notify`` tells it, people speak through ``presort alerts``: each changes it only over
the revision that it has seen (``save``), and looks again when somebody was faster. So of several watchers one opens an
alert, and whoever is killed between two steps leaves the one or the other state behind, never half of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from redis import Redis

from integration.records import Alert

# Not ``alerts`` and ``alert_log``: an earlier release left alerts there that say in another way who was told.
_ACTIVE, _CLOSED = "presort:alerts_active", "presort:alerts_closed"

LOG = 2000
"""Closed alerts that are remembered: for people, for what baselines must not learn, for the budget of false alerts."""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which alerts are not told: a silence, or a maintenance window that was planned. Times in Unix seconds.

    Attributes:
        classifier: None for all.
        category: as in ``Alert``; ``A::*`` is for all labels named ``A::...`` too, None for all.
    """

    id: str
    since: float
    until: float
    by: str
    classifier: str | None = None
    category: str | None = None
    reason: str = ""

    def covers(self, alert: Alert, now: float) -> bool:
        """Whether an alert is not to be told at ``now``."""
        below = (
            self.category is not None and self.category.endswith("::*") and alert.name.startswith(self.category[:-1])
        )
        return (
            self.since <= now < self.until
            and self.classifier in {None, alert.classifier}
            and (below or self.category in {None, alert.category})
        )


# The raw value of an alert is written by us alone, so its revision is all that must be looked at.
_SAVE = """
local before = redis.call('HGET', KEYS[1], ARGV[1])
if (before and cjson.decode(before).revision or 0) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

_CLOSE = """
local before = redis.call('HGET', KEYS[1], ARGV[1])
if (before and cjson.decode(before).revision or 0) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('LPUSH', KEYS[2], ARGV[3])
redis.call('LTRIM', KEYS[2], 0, ARGV[4])
return 1
"""

_REPLACE = """
local place = redis.call('LPOS', KEYS[1], ARGV[1])
if not place then return 0 end
redis.call('LSET', KEYS[1], place, ARGV[2])
return 1
"""


# Alerts


def active(redis: Redis) -> list[Alert]:
    """Alerts that fire, and those that ended and may still re-open or be told; the oldest first."""
    rows: Any = redis.hvals(_ACTIVE)
    return sorted((msgspec.json.decode(row, type=Alert) for row in rows), key=lambda one: (one.opened_at, one.id))


def log(redis: Redis, limit: int = LOG) -> list[Alert]:
    """Closed alerts, the one closed last first."""
    rows: Any = redis.lrange(_CLOSED, 0, limit - 1)
    return [msgspec.json.decode(row, type=Alert) for row in rows]


def known(redis: Redis, classifier: str) -> list[Alert]:
    """All alerts of a classifier that are remembered, active or closed.

    What a baseline needs of them: a category must not learn from ``started_at`` to ``resolved_at`` (None: until now) of
    an alert; one that is ``settled`` is at its new level from ``level_since`` on.
    """
    return [one for one in [*log(redis), *active(redis)] if one.classifier == classifier]


def level_since(alert: Alert, tick_s: float) -> float | None:
    """Since when a settled alert's category is at its new level, Unix seconds: a day of ticks of a minute before."""
    if alert.state != "settled" or alert.resolved_at is None:
        return None
    return max(alert.started_at, alert.resolved_at - 1440 * tick_s)


def save(redis: Redis, alert: Alert, *, over: int) -> bool:
    """Write an alert's next state, whose revision is greater than ``over``.

    Args:
        redis: the connection.
        alert: its next state.
        over: the revision that it was made from; 0 to open it, where its category must have none.

    Returns:
        False when somebody else changed it meanwhile; nothing is written then.
    """
    return bool(redis.eval(_SAVE, 1, _ACTIVE, _key(alert), over, _json(alert)))


def change(redis: Redis, alert: Alert, make: Callable[[Alert], Alert]) -> Alert | None:
    """Change an alert whatever its present revision is, for what must not be lost: a person's word, a channel's ear.

    Args:
        redis: the connection.
        alert: any state of it.
        make: from its present state to the next, without a new revision; called again when somebody was faster.

    Returns:
        What was written; None when the alert is closed.
    """
    while True:
        raw: Any = redis.hget(_ACTIVE, _key(alert))
        before = None if raw is None else msgspec.json.decode(raw, type=Alert)
        if before is None or before.id != alert.id:
            return None
        after = msgspec.structs.replace(make(before), revision=before.revision + 1)
        if save(redis, after, over=before.revision):
            return after


def close(redis: Redis, alert: Alert) -> bool:
    """Move an alert to the log, without what was read in tickets; False when somebody else changed it meanwhile."""
    closed = _json(without_text(alert))
    keys = (_ACTIVE, _CLOSED)
    return bool(redis.eval(_CLOSE, 2, *keys, _key(alert), alert.revision, closed, LOG - 1))


def without_text(alert: Alert) -> Alert:
    """The same without what was read in tickets; the same object when there is nothing of it."""
    if not alert.words and all(one.subject is None for one in alert.samples):
        return alert
    samples = tuple(msgspec.structs.replace(one, subject=None) for one in alert.samples)
    return msgspec.structs.replace(alert, samples=samples, words=())


def acknowledge(redis: Redis, alert: Alert, *, by: str, now: float) -> Alert | None:
    """Say who looks after an alert that fires; the first one stays. None when it is closed.

    Channels hear so, and then nothing more until it ends. ``now`` in Unix seconds.
    """

    def acknowledged(one: Alert) -> Alert:
        if one.state != "firing" or one.acknowledged_by is not None:
            return one
        news = one.revision + 1
        return msgspec.structs.replace(one, event="acknowledged", news=news, acknowledged_by=by, acknowledged_at=now)

    return change(redis, alert, acknowledged)


def find(redis: Redis, name: str) -> Alert | None:
    """The alert of that id, active or closed; None when it is not remembered."""
    return next((one for one in [*active(redis), *log(redis)] if one.id == name), None)


def rate(redis: Redis, alert: Alert, *, useful: bool) -> bool:
    """Say whether an alert was worth it, active or closed; False when it is not remembered any longer."""
    if change(redis, alert, lambda one: msgspec.structs.replace(one, useful=useful)) is not None:
        return True
    rows: Any = redis.lrange(_CLOSED, 0, LOG - 1)
    for row in rows:
        closed = msgspec.json.decode(row, type=Alert)
        if closed.id == alert.id:
            after = _json(msgspec.structs.replace(closed, useful=useful))
            return bool(redis.eval(_REPLACE, 1, _CLOSED, row, after))
    return False


def due(alert: Alert, channel: str, now: float) -> bool:
    """Whether a channel has yet to hear an alert's news.

    A member of an incident is told by the incident, a silenced alert when the silence ends if it fires still. Whoever
    has heard that an alert fires, or may have, hears its end, and nobody else does.
    """
    if alert.told.get(channel) == alert.news:
        return False
    if alert.state != "firing":
        return channel in alert.told or channel in alert.telling
    return not silenced(alert, now) and (channel in alert.told or alert.incident in {None, alert.id})


def all_heard(alert: Alert) -> bool:
    """Whether everybody who has heard of it, or may have, has heard its newest news."""
    return all(alert.told.get(channel) == alert.news for channel in {*alert.told, *alert.telling})


def silenced(alert: Alert, now: float) -> bool:
    """Whether nobody is told of it now."""
    return alert.silenced_until is not None and now < alert.silenced_until


# Silences


def silence(redis: Redis, one: Silence) -> None:
    """Begin or plan a silence."""
    redis.hset("presort:silences", one.id, msgspec.json.encode(one).decode())


def unsilence(redis: Redis, name: str) -> bool:
    """End a silence by its id; False when there is none."""
    return bool(redis.hdel("presort:silences", name))


def silences(redis: Redis) -> list[Silence]:
    """Silences that hold, that are planned, and that are over but not yet forgotten; by their begin."""
    rows: Any = redis.hvals("presort:silences")
    return sorted((msgspec.json.decode(row, type=Silence) for row in rows), key=lambda one: (one.since, one.id))


def _key(alert: Alert) -> str:
    """A category may spike and then fall silent before the spike counts as over."""
    return f"{alert.classifier}/{alert.category}" + ("/silence" if alert.kind == "silence" else "")


def _json(alert: Alert) -> str:
    return msgspec.json.encode(alert).decode()
