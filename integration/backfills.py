"""A backfill in Redis: old tickets to sort while nobody else wants anything; at most one at a time.

The ids that are left are a list in Redis, some ten bytes each. A batch leaves its head only when it is settled, so that
a worker that dies costs nothing: whoever comes next does the batch again, and what was written is not written twice.
Whoever changes anything holds the store's lock ``LOCK``. The keys are in the table of ``integration.store``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from redis import Redis

LOCK = "backfill"
AT_ONCE = 10_000
"""Ids in one command."""

_RUN, _LEFT = "presort:backfill", "presort:backfill_left"


State = Literal["running", "stopped", "done"]


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is; times in Unix seconds.

    Attributes:
        asked: which tickets, in words.
        state: ``stopped`` by a person, who may let it go on; ``done`` when none is left.
        tickets: how many there were to do.
        left: of them, not settled yet.
        batch: of these, under way: the first ones.
        asks, asked_at: how often they were classified, and when last.
        results: decisions by what became of them.
    """

    asked: str
    state: State
    started_at: float
    tickets: int
    left: int = 0
    batch: int = 0
    asks: int = 0
    asked_at: float = 0.0
    results: dict[str, int] = {}


def start(redis: Redis, asked: str, ticket_ids: Sequence[int], now: float) -> None:
    """Begin one, in place of whatever was left of the last."""
    redis.delete(_RUN, _LEFT)
    for first in range(0, len(ticket_ids), AT_ONCE):
        redis.rpush(_LEFT, *ticket_ids[first : first + AT_ONCE])
    # Last, so that none begins before its list is whole.
    redis.hset(_RUN, mapping={"asked": asked, "state": "running", "started_at": now, "tickets": len(ticket_ids)})


def current(redis: Redis) -> Backfill | None:
    """The backfill under way, or the last one; None when there never was one."""
    pipe = redis.pipeline()
    pipe.hgetall(_RUN)
    pipe.llen(_LEFT)
    raw, left = pipe.execute()
    if not raw:
        return None
    results = {key.removeprefix("result:"): int(value) for key, value in raw.items() if key.startswith("result:")}
    return msgspec.convert({**raw, "left": left, "results": results}, Backfill, strict=False)


def turn(redis: Redis, state: State) -> None:
    """Stop it, let it go on, or say that it is done."""
    redis.hset(_RUN, "state", state)


def head(redis: Redis, count: int) -> list[int]:
    """The ids that are next, at most so many."""
    return [int(one) for one in redis.lrange(_LEFT, 0, count - 1)] if count else []


def ask(redis: Redis, batch: int, now: float) -> None:
    """Note that so many tickets at the head are being classified."""
    pipe = redis.pipeline()
    pipe.hincrby(_RUN, "asks", 1)
    pipe.hset(_RUN, mapping={"batch": batch, "asked_at": now})
    pipe.execute()


def settle(redis: Redis, count: int, results: Mapping[str, int]) -> None:
    """Take the batch off the head, and count what became of its decisions."""
    pipe = redis.pipeline()
    pipe.ltrim(_LEFT, count, -1)
    pipe.hset(_RUN, mapping={"batch": 0, "asks": 0})
    for result, number in results.items():
        pipe.hincrby(_RUN, f"result:{result}", number)
    pipe.execute()
