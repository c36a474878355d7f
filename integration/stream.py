"""The stream of decisions that ended, as it is read; ``integration.store`` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import msgspec
from redis import Redis

from integration.records import Record

PAGE = 1000
"""Entries in one answer of Redis."""


class Ended(NamedTuple):
    """A decision that ended; ``at`` in Unix seconds, to a millisecond, by Redis's clock."""

    at: float
    record: Record


def read(redis: Redis, since: float, until: float | None = None) -> Iterator[Ended]:
    """Decisions that ended from ``since`` on and before ``until`` (Unix seconds), in the order in which they ended.

    One that was parked and sent again ends twice.
    """
    first, last = str(round(since * 1000)), "+" if until is None else f"({round(until * 1000)}"
    while rows := _entries(redis, first, last, PAGE):
        for key, record in rows:
            yield Ended(_time(key), msgspec.json.decode(record, type=Record))
        first = f"({rows[-1][0]}"


def of_ticket(redis: Redis, ticket_id: int) -> list[Ended]:
    """All ends of one ticket's decisions, oldest first; reads the whole stream, about a second at its longest."""
    mark, first, found = f'"ticket_id":{ticket_id},', "-", []
    while rows := _entries(redis, first, "+", PAGE):
        found += [Ended(_time(key), msgspec.json.decode(row, type=Record)) for key, row in rows if mark in row]
        first = f"({rows[-1][0]}"
    return [one for one in found if one.record.decision.ticket_id == ticket_id]


def begins(redis: Redis) -> float | None:
    """When the oldest decision of the stream ended, Unix seconds; None when it is empty."""
    rows = _entries(redis, "-", "+", 1)
    return _time(rows[0][0]) if rows else None


def _entries(redis: Redis, first: str, last: str, limit: int) -> list[tuple[str, str]]:
    """(entry id, JSON record) pairs of the stream."""
    rows = cast("list[tuple[str, dict[str, str]]]", redis.xrange("presort:decisions", first, last, count=limit))
    return [(key, entry["record"]) for key, entry in rows]


def _time(key: str) -> float:
    """Unix seconds of a stream's entry id, which is "milliseconds-number"."""
    return int(key.partition("-")[0]) / 1000
