"""The contract of what is told to people: news that they must hear once, and channels that do not take them.

News are put down by whoever has some and told by ``worker.notify``, as alerts are. Functions take the Redis
connection; the keys are in the table of ``integration.store``.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from redis import Redis


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """News without an end, unlike an alert's; ``at`` in Unix seconds.

    Attributes:
        told: names of the channels that have heard it.
        telling: those that it was being sent to; one that is not in ``told`` too was cut short, and may have heard it.
    """

    id: str
    title: str
    body: str
    at: float
    told: frozenset[str] = frozenset()
    telling: frozenset[str] = frozenset()


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that takes nothing at present. Times are Unix seconds.

    Attributes:
        since: its first failure.
        tries: failures since then.
        again_at: when it is tried again.
        reason: of the last failure.
    """

    since: float
    tries: int
    again_at: float
    reason: str


def put(redis: Redis, title: str, body: str, now: float) -> None:
    """Have something told."""
    save(redis, Notice(id=uuid.uuid4().hex, title=title, body=body, at=now))


def save(redis: Redis, notice: Notice) -> None:
    """Change it, or put it back."""
    redis.hset("presort:notices", notice.id, msgspec.json.encode(notice).decode())


def drop(redis: Redis, notice: Notice) -> None:
    """It was told."""
    redis.hdel("presort:notices", notice.id)


def waiting(redis: Redis) -> list[Notice]:
    """What was not told to everybody yet, oldest first."""
    rows: Any = redis.hvals("presort:notices")
    return sorted((msgspec.json.decode(row, type=Notice) for row in rows), key=lambda one: one.at)


def troubles(redis: Redis) -> dict[str, Trouble]:
    """By the channel's name."""
    rows: Any = redis.hgetall("presort:channel_troubles")
    return {name: msgspec.json.decode(row, type=Trouble) for name, row in rows.items()}


def note_trouble(redis: Redis, channel: str, trouble: Trouble) -> None:
    """It failed, perhaps again."""
    redis.hset("presort:channel_troubles", channel, msgspec.json.encode(trouble).decode())


def well(redis: Redis, channel: str) -> None:
    """It took something."""
    redis.hdel("presort:channel_troubles", channel)
