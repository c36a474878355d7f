"""The contract of a rebuild: the hours before counting began, as far as they were read from Zendesk's export.

``integration.counting`` counts the tickets of every whole hour since it began; these are those of the hours before,
each ticket once: its bit is set in the same step as it is counted, and cleared in the one that takes it back. Functions
take the Redis connection; the keys are in the table of ``integration.store``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import msgspec
from redis import Redis
from redis.client import Pipeline

from integration import counting
from integration.outcomes import CHUNK
from integration.store import DAY, HOUR
from integration.times import local_time

_RUN, _OPEN = "presort:recount", "presort:recount_open"

COUNTED_TTL = 90 * DAY
"""Much longer than a rebuild takes: for so long what is deleted can be taken back."""


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the export, from all that changed since some time to its end; times in Unix seconds.

    Attributes:
        until: by classifier, when its own counting begins: the begin of its first whole hour.
        since: tickets filed before are not counted.
        began_at: when its first page was read.
        cursor: where it goes on; None before that.
        changed_to: how far it is: the latest change of the last ticket read.
        pages, tickets: read, and counted.
        by_people: of these tickets, those of which only a person had said what they are.
        not_before: others use up Zendesk's limit for the export until then, or there is nothing to read yet.
    """

    until: dict[str, float]
    since: float
    began_at: float
    cursor: str | None = None
    changed_to: float = 0.0
    pages: int = 0
    tickets: int = 0
    by_people: int = 0
    not_before: float = 0.0

    def share(self, now: float) -> float:
        """How much of it is read, 0 to 1. The export goes by the time of the latest change, so that is the measure."""
        return min(1.0, max(0.0, self.changed_to - self.since) / max(1.0, now - self.since))

    def describe(self, now: float, zone: str) -> str:
        """One line for people, with the account's time zone."""
        share = self.share(now)
        left_s = (now - self.began_at) * (1 / share - 1) if share else None
        end = "" if left_s is None else f", until about {local_time(max(now + left_s, self.not_before), zone)}"
        return (
            f"{', '.join(self.until)} since {local_time(self.since, zone)} from Zendesk's export: {share:.0%}, "
            f"{self.pages:,} pages, {self.tickets:,} tickets{end}"
        )


class Filed(NamedTuple):
    """A ticket to count: when it was filed, in Unix seconds, and its categories, at least one."""

    ticket_id: int
    at: float
    categories: tuple[str, ...]


def current(redis: Redis) -> Recount | None:
    """The pass under way, None when there is none."""
    raw = cast("str | None", redis.get(_RUN))
    return None if raw is None else msgspec.json.decode(raw, type=Recount)


def save(redis: Redis, run: Recount) -> None:
    """Remember how far it is."""
    redis.set(_RUN, msgspec.json.encode(run))


def drop(redis: Redis) -> None:
    """It is done."""
    redis.delete(_RUN, _OPEN)


def count(redis: Redis, classifier: str, tickets: Sequence[Filed]) -> set[int]:
    """Count those of the tickets that were not counted before, in one step; returns their ids."""
    return _turn(redis, classifier, tickets, by=1)


def take_back(redis: Redis, classifier: str, tickets: Sequence[Filed]) -> set[int]:
    """Uncount those that ``count`` counted and nobody took back yet, in one step; returns their ids.

    What has no category now stays counted. Nor do any wait for a decision any longer, see ``leave_open``.
    """
    if tickets:
        redis.srem(_OPEN, *(one.ticket_id for one in tickets))
    return _turn(redis, classifier, [one for one in tickets if one.categories], by=-1)


def _turn(redis: Redis, classifier: str, tickets: Sequence[Filed], *, by: Literal[1, -1]) -> set[int]:
    """Count tickets whose bit is not set, or uncount those whose bit is, and turn their bits."""
    by_key: defaultdict[str, dict[int, Filed]] = defaultdict(dict)
    for one in tickets:
        by_key[_counted_key(classifier, one.ticket_id)][one.ticket_id % CHUNK] = one
    after = int(by > 0)
    turned: list[Filed] = []

    def step(pipe: Pipeline) -> None:
        turned.clear()
        for key, chunk in by_key.items():
            asked = [part for bit in chunk for part in ("GET", "u1", bit)]
            bits = pipe.execute_command("BITFIELD", key, *asked)  # type: ignore[no-untyped-call]  # by redis-py
            turned.extend(one for one, bit in zip(chunk.values(), bits, strict=True) if bit != after)
        hours: Counter[tuple[int, str]] = Counter()
        pipe.multi()
        for one in turned:
            key = _counted_key(classifier, one.ticket_id)
            pipe.setbit(key, one.ticket_id % CHUNK, after)
            pipe.expire(key, COUNTED_TTL)
            for category in one.categories:
                hours[int(one.at // HOUR), category] += by
            hours[int(one.at // HOUR), ""] -= by * (len(one.categories) - 1)
        counting.add(pipe, "hours", classifier, hours)

    if tickets:
        redis.transaction(step, *by_key)
    return {one.ticket_id for one in turned}


def leave_open(redis: Redis, ticket_ids: Sequence[int]) -> None:
    """Remember tickets that had no category when they were read, and may get one yet."""
    if ticket_ids:
        redis.sadd(_OPEN, *ticket_ids)


def left_open(redis: Redis) -> list[int]:
    """Those tickets."""
    return [int(one) for one in redis.smembers(_OPEN)]


def _counted_key(classifier: str, ticket_id: int) -> str:
    return f"presort:recounted:{classifier}:{ticket_id // CHUNK}"
