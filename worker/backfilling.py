"""Old tickets, a batch at a time, while nobody else wants anything."""

from __future__ import annotations

import logging
from collections import Counter

from integration import backfills, messages, tracing
from integration.messages import NewTicket
from integration.records import Record
from integration.store import BURST
from integration.zendesk.client import BULK
from worker.classifying import classify
from worker.deferred import MISSED_AFTER_S
from worker.parts import Parts
from worker.writing import take_slot

log = logging.getLogger("presort.backfill")

RESERVE = BURST - 1
"""Updates that must be left after a batch took its own: so it takes one from a full budget only, and a new ticket that
comes right after it finds enough to be written at once."""

ASKS = 3
"""After which tickets without an outcome are given up: parked, with their reason, before they were decided about."""


def go_on(parts: Parts, now: float) -> None:
    """One step of the backfill, if there is one; ``now`` in Unix seconds.

    At most one batch is under way. It begins only when no new ticket waits for anything, takes an update from the
    shared budget only when that is full, and is one request's worth: nobody who comes later waits longer for it.
    """
    redis = parts.store.redis
    with parts.store.lock(backfills.LOCK, life_s=60) as prolong:
        run = backfills.current(redis) if prolong else None
        if run is None or run.state != "running":
            return
        batch = backfills.head(redis, run.batch)
        records = {one: _records(parts, one) for one in batch}
        waiting = [one for one in batch if any(record is None or record.outcome is None for record in records[one])]
        if waiting and now - run.asked_at <= MISSED_AFTER_S:
            return
        if not waiting or run.asks >= ASKS:
            backfills.settle(redis, len(batch), Counter(_result(one) for ticket in batch for one in records[ticket]))
            if len(batch) == run.left:
                backfills.turn(redis, "done")
                log.info("the backfill is done: %s", run.asked)
                return
            waiting = batch = backfills.head(redis, _room(parts))
        if not batch or _others_want_something(parts) or take_slot(parts, reserve=RESERVE) > 0:
            return
        backfills.ask(redis, len(batch), now)
        classify(parts, [_old(one, now) for one in waiting], has_slot=True)


def _old(ticket_id: int, now: float) -> NewTicket:
    with tracing.root("backfill", ticket=ticket_id) as trace:
        return NewTicket(ticket_id=ticket_id, received_at=now, backfill=True, trace=trace)


def _room(parts: Parts) -> int:
    """Tickets in the next batch: one request's worth, but of a day's cap half is left to new tickets."""
    cap = parts.config.zendesk.writes_per_day
    left = BULK if cap is None else max(0, cap // 2 - parts.controls.written_on(parts.clock()))
    return min(left, max(1, BULK // len(parts.config.classifiers)))


def _others_want_something(parts: Parts) -> bool:
    depths = parts.store.depths()
    # One of each periodic message may be in a worker's hands, this step's among them.
    held = depths["unacknowledged"] > [*messages.QUEUES.values()].count(messages.UPKEEP_QUEUE)
    return (
        bool(depths["tickets"] or depths["writes"] or held or parts.store.waiting(messages.WRITE))
        or parts.controls.refusal(parts.config.zendesk, parts.clock()) is not None
        or parts.store.updates_held() > 0
    )


def _records(parts: Parts, ticket_id: int) -> list[Record | None]:
    return [parts.store.ticket(ticket_id, one.name) for one in parts.config.classifiers]


def _result(record: Record | None) -> str:
    if record is None or record.outcome is None:
        return "undecided"
    return record.outcome if record.decision.backfill else "decided_before"
