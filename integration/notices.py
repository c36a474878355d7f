"""The contract of news that people must hear once: put down by whoever has some, told by ``worker.notify``.

Functions take the Redis connection; the key is in the table of ``integration.store``.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from redis import Redis


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """News without an end, unlike an alert's; ``at`` in Unix seconds.

    Attributes:
        told: channels that have heard it, by a hash, since their URLs hold secrets.
    """

    id: str
    title: str
    body: str
    at: float
    told: frozenset[str] = frozenset()


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
