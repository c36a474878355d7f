"""The contract of counts: sure answers by category, a tick and an hour at a time, and what one must know to read them.

A ticket counts once, in the tick and in the hour in which it was created, under each of its sure categories and under
``ALL``. A series is a string of big-endian 32-bit counters, ``BLOCK`` of them a key: half a year of 500 categories is
read as it stands, where hashes would have two million fields. Functions take the Redis connection; the keys are in the
table of ``integration.store``, which counts in the same step as it records.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec
from redis import Redis
from redis.client import NEVER_DECODE, Pipeline

from integration.messages import Decision
from integration.records import Tick

ALL = "*"
"""Stands for all tickets with a sure answer, each once; no tag of Zendesk's has a star."""

HOUR, DAY = 3600, 86400
WEEKS = 27
"""How far back hours are kept."""

TICKS_TTL, HOURS_TTL, NEWEST_TTL, MARK_TTL = 3 * DAY, (WEEKS + 1) * 7 * DAY, 8 * DAY, 40 * DAY
LATE_S = 2 * DAY
"""A ticket that is decided so long after its creation, for Zendesk was down, is an hour's history, no tick's news."""

BLOCK = 168
"""Counters a key."""

NEWEST = 200
EVENTS = 200
MGET = 1000
"""Keys in one command: Redis answers nobody else meanwhile."""

Unit = Literal["ticks", "hours"]
Argument = str | int | float

COUNT = f"""
local function count(by, key, arg)
  local id, created, decided, tick, hour, begin = unpack(ARGV, arg, arg + 5)
  if by > 0 then redis.call('SET', KEYS[key], decided, 'NX') end
  local whole = tonumber(begin) >= tonumber(redis.call('GET', KEYS[key]) or decided)
  for i = arg + 6, #ARGV do
    local ticks, hours, newest = unpack(KEYS, key + 2 + 3 * (i - arg - 6), key + 4 + 3 * (i - arg - 6))
    if tick ~= '' then
      redis.call('BITFIELD', ticks, 'INCRBY', 'i32', '#' .. tick, by)
      redis.call('EXPIRE', ticks, {TICKS_TTL})
    end
    if whole then
      redis.call('BITFIELD', hours, 'INCRBY', 'i32', '#' .. hour, by)
      redis.call('EXPIRE', hours, {HOURS_TTL})
    end
    if by > 0 then
      redis.call('SADD', KEYS[key + 1], ARGV[i])
      redis.call('ZADD', newest, created, id)
      redis.call('ZREMRANGEBYRANK', newest, 0, {-NEWEST - 1})
      redis.call('EXPIRE', newest, {NEWEST_TTL})
    else
      redis.call('ZREM', newest, id)
    end
  end
end
"""
"""Lua: ``count(by, key, arg)`` counts what ``arguments`` gave, whose keys and arguments come last and begin there."""

_UNCOUNT = f"""
{COUNT}
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', {MARK_TTL}) then return 0 end
count(-1, 2, 1)
return 1
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something after which counts mean something else, or are there again.

    Attributes:
        at: Unix seconds.
        kind: another model, other thresholds or other labels answer; or the hours were rebuilt from Zendesk's export.
        detail: from what to what, in words.
    """

    at: float
    kind: Literal["model", "thresholds", "taxonomy", "rebuilt"]
    detail: str = ""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What answers: kept to notice a change.

    Attributes:
        seen: "name@version thresholds" to when a watcher last served it, Unix seconds, in the order in which they took
            over; several while models are swapped.
        labels: tag to since when it may be answered; 0 for those that were there when looking began.
    """

    seen: dict[str, float]
    labels: dict[str, float]


# Counting


def arguments(decision: Decision, tick_s: float) -> tuple[list[str], list[Argument]]:
    """Keys and arguments of the Lua function ``count`` for a decision; nothing for what is no news."""
    if decision.backfill or not decision.news:
        return [], []
    categories = (*decision.sure, ALL) if decision.sure else ()
    tick, hour = int(decision.created_at // tick_s), int(decision.created_at // HOUR)
    late = decision.decided_at - decision.created_at > LATE_S
    name = decision.classifier
    keys = [_since_key(name), _categories_key(name)]
    for one in categories:
        keys += [_key("ticks", name, one, tick), _key("hours", name, one, hour), _newest_key(name, one)]
    places: list[Argument] = ["" if late else tick % BLOCK, hour % BLOCK, hour * HOUR]
    return keys, [decision.ticket_id, decision.created_at, decision.decided_at, *places, *categories]


def uncount(redis: Redis, decisions: Sequence[Decision], *, tick_s: float) -> int:
    """Take back what recorded decisions counted: their tickets were spam or imports after all. Once a ticket.

    Returns:
        How many had not been taken back before.
    """
    pipe = redis.pipeline(transaction=False)
    for one in decisions:
        keys, args = arguments(one, tick_s)
        if keys:
            mark = f"presort:uncounted:{one.ticket_id}:{one.classifier}"
            pipe.eval(_UNCOUNT, 1 + len(keys), mark, *keys, *map(str, args))
    return sum(pipe.execute())


def taken_back(redis: Redis, ticket_id: int, classifier: str) -> bool:
    """Whether ``uncount`` took a ticket out of the counts."""
    return bool(redis.exists(f"presort:uncounted:{ticket_id}:{classifier}"))


def add(redis: Redis, unit: Unit, classifier: str, counts: Mapping[tuple[int, str], int]) -> None:
    """Add tickets by (tick or Unix hour, category); a value under "" tells what a ticket has beyond one category.

    All values of an hour add up to its tickets, so one with three categories has -2 under "". What is taken away is
    negative, and none falls below zero. Hours before counting began are nobody else's to count. Given a pipeline, they
    are added in one step with what else it holds.
    """
    sums: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for (at, category), tickets in counts.items():
        for one in {category, ALL} - {""}:
            sums[_key(unit, classifier, one, at)][at % BLOCK] += tickets
    for key, added in sums.items():
        steps = [part for place, by in added.items() for part in ("INCRBY", "u32", f"#{place}", by)]
        redis.execute_command("BITFIELD", key, "OVERFLOW", "SAT", *steps)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        redis.expire(key, HOURS_TTL if unit == "hours" else TICKS_TTL)
    if named := {category for _, category in counts} - {""}:
        redis.sadd(_categories_key(classifier), *named, ALL)


def reach_back(redis: Redis, classifier: str, since: int, change: Change) -> None:
    """The hours from ``since`` (Unix hour) to the begin of counting were added, every one of them: they are whole."""
    redis.zadd("presort:rebuilt_since", {classifier: since}, lt=True)
    mark(redis, classifier, change)


# Reading


def series(
    redis: Redis, unit: Unit, classifier: str, categories: Sequence[str], *, first: int, last: int
) -> list[array[int]]:
    """For each category, tickets in each tick or Unix hour from ``first`` up to and without ``last``.

    An array is (last - first,) of 32-bit integers.
    """
    blocks = range(first // BLOCK, -(-last // BLOCK))
    keys = [_key(unit, classifier, one, block * BLOCK) for one in categories for block in blocks]
    pipe = redis.pipeline(transaction=False)
    for start in range(0, len(keys), MGET):
        _raw(pipe, "MGET", *keys[start : start + MGET])
    found = [raw or b"" for answer in pipe.execute() for raw in answer]
    rows = []
    for place in range(len(categories)):
        row = array("i")
        row.frombytes(b"".join(raw.ljust(4 * BLOCK, b"\0") for raw in found[place * len(blocks) :][: len(blocks)]))
        if sys.byteorder == "little":
            row.byteswap()
        rows.append(row[first % BLOCK :][: last - first])
    return rows


def ticks(redis: Redis, classifier: str, first: int, last: int) -> list[Tick]:
    """What was counted in each tick from ``first`` up to and without ``last``, whatever the categories are."""
    return _by_time(redis, "ticks", classifier, first, last)


def hours(redis: Redis, classifier: str, first: int, last: int) -> list[dict[str, int]]:
    """Tickets by category in each Unix hour; as in ``add``, all values add up to tickets."""
    found = _by_time(redis, "hours", classifier, first, last)
    beyond = [one.tickets - sum(one.categories.values()) for one in found]
    return [one.categories | ({"": rest} if rest else {}) for one, rest in zip(found, beyond, strict=True)]


def began(redis: Redis, classifier: str) -> float | None:
    """When counting began, or began again after Redis was lost: Unix seconds; None before the first decision."""
    found = cast("str | None", redis.get(_since_key(classifier)))
    return None if found is None else float(found)


def counting_since(redis: Redis, classifier: str) -> int | None:
    """The first Unix hour from which on hours are whole, rebuilt ones included; None when there is none."""
    at = began(redis, classifier)
    firsts = [] if at is None else [int(-(-at // HOUR))]
    rebuilt: Any = redis.zscore("presort:rebuilt_since", classifier)
    if rebuilt is not None:
        firsts.append(int(rebuilt))
    return min(firsts, default=None)


def newest(
    redis: Redis,
    classifier: str,
    category: str,
    *,
    since: float = 0,
    until: float = float("inf"),
    limit: int,
) -> list[int]:
    """Ids of the newest tickets of a category, or of ``ALL``, that were created in a time (Unix seconds), newest first.

    Up to ``NEWEST`` are remembered, for 8 days after the last one.
    """
    found: Any = redis.zrange(
        _newest_key(classifier, category), until, since, desc=True, byscore=True, offset=0, num=limit
    )
    return [int(one) for one in found]


# What one must know to read them


def mark(redis: Redis, classifier: str, change: Change) -> None:
    """Remember that something changed."""
    pipe = redis.pipeline()
    pipe.lpush(f"presort:events:{classifier}", msgspec.json.encode(change))
    pipe.ltrim(f"presort:events:{classifier}", 0, EVENTS - 1)
    pipe.execute()


def changes(redis: Redis, classifier: str) -> list[Change]:
    """What changed, newest first."""
    rows: Any = redis.lrange(f"presort:events:{classifier}", 0, -1)
    return [msgspec.json.decode(row, type=Change) for row in rows]


def served(redis: Redis, classifier: str) -> Served | None:
    """What answered when a watcher last looked; None before that."""
    raw: Any = redis.get(f"presort:served:{classifier}")
    return None if raw is None else msgspec.json.decode(raw, type=Served)


def save_served(redis: Redis, classifier: str, state: Served) -> None:
    """Remember what answers."""
    redis.set(f"presort:served:{classifier}", msgspec.json.encode(state))


def _by_time(redis: Redis, unit: Unit, classifier: str, first: int, last: int) -> list[Tick]:
    names: Any = redis.smembers(_categories_key(classifier))
    categories = sorted(set(names) - {ALL})
    every, *rows = series(redis, unit, classifier, [ALL, *categories], first=first, last=last)
    return [
        Tick(tickets, {name: row[place] for name, row in zip(categories, rows, strict=True) if row[place]})
        for place, tickets in enumerate(every)
    ]


def _raw(redis: Pipeline, *command: Argument) -> None:
    """Queue a command whose answer is bytes, which the connection would take for text."""
    options = {NEVER_DECODE: True}
    redis.execute_command(*command, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


def _key(unit: Unit, classifier: str, category: str, at: int) -> str:
    return f"presort:{unit}:{classifier}:{category}:{at // BLOCK}"


def _newest_key(classifier: str, category: str) -> str:
    return f"presort:newest:{classifier}:{category}"


def _since_key(classifier: str) -> str:
    # Not ``counting_since``: there an earlier release left the number of a tick, which would be a second of 1970.
    return f"presort:counting_began:{classifier}"


def _categories_key(classifier: str) -> str:
    return f"presort:counted:{classifier}"
