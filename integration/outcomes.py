"""The contract of hindsight: where the export is read, which tickets wait for a look back, and what became of answers.

Zendesk is the ledger; this is what was read in it. Functions take the Redis connection; the keys are in the table of
``integration.store``. A ticket is counted once, when it is first seen solved or closed, under the UTC month in which
it was filed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from redis import Redis

from integration.store import DAY, FUNNEL_TTL, SCANNED, funnel_key

OUTCOME_TTL = 400 * DAY
JUDGED_TTL = 90 * DAY
"""Longer than Zendesk lets a ticket stay solved before it closes it, which is a change that the export tells of."""

CHUNK = 8192
"""Tickets a key of marks covers: 1 KB."""

MOST_WAITING = 50_000
"""More solved tickets than this never wait; which are left out is drawn by lot, so that no outcome is preferred."""

MOST_CELLS = 20_000
"""Figures kept for a classifier and month; then new pairs of (answer, what it became) are counted together."""

OTHER = "(others)"
EXAMPLES = 20

STEPS = ("predicted", "agreed", "sure", "right", "written", "kept")
"""The counters of ``Counts``."""

By = Literal["presort", "person", "rule", "other", "unknown"]
"""Who set a field: Presort, an agent or a form, a trigger or automation, another integration; or it was not read."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One answer about one ticket, in hindsight.

    Attributes:
        model: ``name@version``.
        category: the model's tag that it answered.
        month: in which the ticket was filed, such as ``2026-11``, UTC.
        sure: whether the answer had reached its threshold.
        written: whether Presort put it into the field.
        right: whether it stands there in the end, whoever set it.
        into: the options that stand there instead; empty when it is right, or when the field is empty.
        by: who set them, when it is not right.
    """

    ticket_id: int
    classifier: str
    model: str
    category: str
    month: str
    sure: bool
    written: bool
    right: bool
    into: tuple[str, ...] = ()
    by: By = "unknown"


@dataclass
class Counts:
    """What became of one model's answers of one category in one month. Each counts tickets.

    Attributes:
        predicted: all answers; ``agreed``: those of them that stand in the end, whoever set them.
        sure: answers that reached their threshold; ``right``: those that stand. Right over sure is live precision.
        written: what Presort put into the field; ``kept``: what nobody changed.
        changed: (who, into what) of the written ones that were changed; "" where the field was emptied.
        instead: (who, what) of the others that turned out otherwise.
    """

    predicted: int = 0
    agreed: int = 0
    sure: int = 0
    right: int = 0
    written: int = 0
    kept: int = 0
    changed: dict[tuple[str, str], int] = field(default_factory=dict)
    instead: dict[tuple[str, str], int] = field(default_factory=dict)


# The export


def cursor(redis: Redis) -> str | None:
    """Where the export goes on; None before the first page, and after Redis was lost."""
    found = redis.get("presort:export_cursor")
    return None if found is None else str(found)


def save_cursor(redis: Redis, place: str | None) -> None:
    """Remember where to go on; None forgets it."""
    if place is None:
        redis.delete("presort:export_cursor")
    else:
        redis.set("presort:export_cursor", place)


def caught_up(redis: Redis, now: float) -> None:
    """The export was read to its end."""
    redis.set("presort:export_read", int(now))


def caught_up_at(redis: Redis) -> float | None:
    """When the export was last read to its end, Unix seconds."""
    found: Any = redis.get("presort:export_read")
    return None if found is None else float(found)


# Solved tickets that wait for a look back


def await_judgement(redis: Redis, ticket_ids: Sequence[int]) -> None:
    """Solved tickets to look back at, but for those that were counted already."""
    pipe = redis.pipeline(transaction=False)
    for one in ticket_ids:
        pipe.getbit(_judged_key(one), one % CHUNK)
    new = [one for one, judged in zip(ticket_ids, pipe.execute(), strict=True) if not judged]
    if new:
        redis.sadd("presort:unjudged", *new)
        if (excess := unjudged(redis) - MOST_WAITING) > 0:
            redis.spop("presort:unjudged", excess)


def unjudged(redis: Redis) -> int:
    """How many wait."""
    found: Any = redis.scard("presort:unjudged")
    return int(found)


def looked_back(redis: Redis, ticket_id: int) -> Literal["done", "waits"] | None:
    """Whether a ticket was looked back at; None for one that nobody saw solved yet, or 90 days ago."""
    pipe = redis.pipeline(transaction=False)
    pipe.getbit(_judged_key(ticket_id), ticket_id % CHUNK)
    pipe.sismember("presort:unjudged", str(ticket_id))
    done, waits = pipe.execute()
    return "done" if done else "waits" if waits else None


def take_unjudged(redis: Redis, limit: int) -> list[int]:
    """Some of them, drawn by lot; they wait no longer."""
    found: Any = redis.spop("presort:unjudged", limit)
    return [int(one) for one in found or []]


# Counts


def count(redis: Redis, judgements: Sequence[Judgement]) -> None:
    """Count answers; those about a ticket that was counted before are left out."""
    ticket_ids = sorted({one.ticket_id for one in judgements})
    pipe = redis.pipeline(transaction=False)
    for ticket_id in ticket_ids:
        pipe.setbit(_judged_key(ticket_id), ticket_id % CHUNK, 1)
        pipe.expire(_judged_key(ticket_id), JUDGED_TTL)
    before = dict(zip(ticket_ids, pipe.execute()[::2], strict=True))
    new = [one for one in judgements if not before[one.ticket_id]]
    keys = {_outcomes_key(one.classifier, one.month) for one in new}
    full = {key for key in keys if _size(redis, key) >= MOST_CELLS}
    pipe = redis.pipeline()
    for one in new:
        key = _outcomes_key(one.classifier, one.month)
        for step in _steps(one):
            pipe.hincrby(key, f"{one.model}\t{one.category}\t{step}", 1)
        if not one.right:
            kind = "changed" if one.written else "instead"
            for into in (OTHER,) if key in full else one.into or ("",):
                pipe.hincrby(key, f"{one.model}\t{one.category}\t{kind}\t{one.by}\t{into}", 1)
            examples = f"presort:wrong:{one.classifier}:{one.category}"
            pipe.lpush(examples, one.ticket_id)
            pipe.ltrim(examples, 0, EXAMPLES - 1)
            pipe.expire(examples, FUNNEL_TTL)
    for key in keys:
        pipe.expire(key, OUTCOME_TTL)
    written = [one for one in new if one.written]
    pipe.execute()
    kept = sum(one.right for one in written)
    count_steps(redis, {"kept": kept, "overridden": len(written) - kept})


def count_steps(redis: Redis, steps: Mapping[str, int]) -> None:
    """Add to steps of today's funnel."""
    pipe = redis.pipeline(transaction=False)
    for step, tickets in steps.items():
        if tickets:
            pipe.hincrby(funnel_key(), step, tickets)
            pipe.expire(funnel_key(), FUNNEL_TTL)
    pipe.execute()


def counts(redis: Redis, classifier: str, month: str) -> dict[tuple[str, str], Counts]:
    """What became of a month's tickets, by (model, category)."""
    found: defaultdict[tuple[str, str], Counts] = defaultdict(Counts)
    rows: Any = redis.hgetall(_outcomes_key(classifier, month))
    for cell, number in rows.items():
        model, category, step, *more = cell.split("\t")
        counted = found[model, category]
        if more:
            by, into = more
            getattr(counted, step)[by, into] = int(number)
        else:
            setattr(counted, step, int(number))
    return dict(found)


def totals(redis: Redis, classifier: str, month: str) -> dict[str, Counts]:
    """The same by category, all models' answers together."""
    found: defaultdict[str, list[Counts]] = defaultdict(list)
    for (_, category), counted in counts(redis, classifier, month).items():
        found[category].append(counted)
    return {category: together(several) for category, several in found.items()}


def together(found: Iterable[Counts]) -> Counts:
    """Several added up."""
    total = Counts()
    for one in found:
        for step in STEPS:
            setattr(total, step, getattr(total, step) + getattr(one, step))
        for into, more in ((total.changed, one.changed), (total.instead, one.instead)):
            for cell, tickets in more.items():
                into[cell] = into.get(cell, 0) + tickets
    return total


def months(redis: Redis, classifier: str) -> list[str]:
    """Months with counts, oldest first."""
    return sorted(key.rpartition(":")[2] for key in redis.scan_iter(_outcomes_key(classifier, "*"), count=SCANNED))


def wrong_examples(redis: Redis, classifier: str, category: str, limit: int) -> list[int]:
    """The newest tickets for which an answer did not stand, newest first."""
    found: Any = redis.lrange(f"presort:wrong:{classifier}:{category}", 0, limit - 1)
    return [int(one) for one in found]


# Evidence against a class that was used up


def spent(redis: Redis, classifier: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(sure, right) by (model, category, month): what must not speak again, because a person answered it."""
    rows: Any = redis.hgetall(f"presort:evidence_spent:{classifier}")
    found = {}
    for cell, numbers in rows.items():
        model, category, month = cell.split("\t")
        sure, right = numbers.split()
        found[model, category, month] = (int(sure), int(right))
    return found


def spend(redis: Redis, classifier: str, cell: tuple[str, str, str], evidence: tuple[int, int]) -> None:
    """Use up the evidence (sure, right) of a (model, category, month)."""
    key = f"presort:evidence_spent:{classifier}"
    redis.hset(key, "\t".join(cell), f"{evidence[0]} {evidence[1]}")
    redis.expire(key, OUTCOME_TTL)


def month_of(at: float) -> str:
    """The UTC month of a Unix time, such as ``2026-11``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"


def _steps(one: Judgement) -> list[str]:
    holds = (True, one.right, one.sure, one.sure and one.right, one.written, one.written and one.right)
    return [step for step, held in zip(STEPS, holds, strict=True) if held]


def _size(redis: Redis, key: str) -> int:
    found: Any = redis.hlen(key)
    return int(found)


def _outcomes_key(classifier: str, month: str) -> str:
    return f"presort:outcomes:{classifier}:{month}"


def _judged_key(ticket_id: int) -> str:
    return f"presort:judged:{ticket_id // CHUNK}"
