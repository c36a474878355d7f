"""Messages put aside for a while, back into their queues."""

from __future__ import annotations

import logging

import msgspec

from integration import messages
from integration.messages import Decision, NewTicket, Writes
from integration.publisher import VISIBILITY_TIMEOUT_S, publish
from integration.zendesk.client import BULK
from worker.parts import Parts
from worker.writing import take_slot

log = logging.getLogger("presort.worker")

MISSED_AFTER_S = VISIBILITY_TIMEOUT_S + 15
"""A message is never on its way longer than this while its queue is empty."""

HELD_S = 30
"""Until the next look at a decided ticket that may be waiting for its write: that message may be the one lost."""

MANY = 25
"""As many decisions at once promise more: their request waits to be full, since each costs four requests in all."""

FILL_S = BULK / MANY
"""But no longer than this: if they come at that rate, a second's worth every second, it is full by then."""

AT_ONCE = 500
"""Messages a second at most, so that a great backlog does not hold this worker."""


def resume(parts: Parts) -> None:
    """Publish what is due. Published first and dropped after: a crash between repeats, it never loses."""
    with parts.store.lock("resume", life_s=30) as prolong:
        if prolong is None:
            return
        for task in (messages.CLASSIFY, messages.CONFIRM, messages.RECONCILE):
            for handle, payload in parts.store.due(task, AT_ONCE):
                publish(parts.celery, task, payload)
                parts.store.drop_deferred(task, [handle])
        while _resume_writes(parts):
            prolong()
        _publish_missed(parts, parts.clock())


def _publish_missed(parts: Parts, now: float) -> None:
    """Tickets whose message was lost, by id alone, for the classifiers that still owe an answer: the worker reads them.

    Celery's Redis transport takes a message from its list and notes it as unacknowledged in two steps. A worker that is
    killed, or a connection that breaks, between them loses it.
    """
    depths = parts.store.depths()
    if depths["tickets"]:
        return
    names = {one.name for one in parts.config.classifiers}
    missed = parts.store.unanswered(now - MISSED_AFTER_S, AT_ONCE)
    parts.store.answered([(ticket_id, name) for ticket_id, name, _ in missed if name not in names])
    known = [one for one in missed if one[1] in names]
    # A decided ticket may wait for its write for as long as Zendesk is away or a person pauses.
    held = parts.store.waiting(messages.WRITE) + parts.store.waiting(messages.CONFIRM) + depths["writes"]
    waiting = [one for one in known if held and parts.store.ticket(one[0], one[1])]
    lost: dict[int, tuple[float, list[str]]] = {}
    for ticket_id, name, at in known:
        if (ticket_id, name, at) not in waiting:
            lost.setdefault(ticket_id, (at, []))[1].append(name)
    for ticket_id, (at, owing) in lost.items():
        log.warning("its message was lost, published again", extra={"ticket": ticket_id})
        again = NewTicket(ticket_id=ticket_id, received_at=at, classifiers=tuple(owing))
        publish(parts.celery, messages.CLASSIFY, again)
    parts.store.asked_again([(ticket_id, name) for ticket_id, name, _ in known], now)
    parts.store.asked_again([(ticket_id, name) for ticket_id, name, _ in waiting], now - MISSED_AFTER_S + HELD_S)


def _resume_writes(parts: Parts) -> bool:
    """Merge waiting decisions into one full request, if the update budget has a slot; whether there may be more."""
    if parts.controls.refusal(parts.config.zendesk, parts.clock()):
        return False  # they stay where they are, in their order
    due = parts.store.due(messages.WRITE, BULK)
    filling = MANY <= len(due) < BULK and not parts.store.waiting(messages.WRITE, overdue_s=FILL_S)
    if not due or filling or take_slot(parts) > 0:
        return False
    decisions: list[Decision] = []
    for _, payload in due:
        try:
            decisions.extend(Writes.from_json(payload).decisions)
        except msgspec.ValidationError as error:
            log.error("%s: unreadable message parked: %s", messages.WRITE, error)  # noqa: TRY400 - the reason says it all
            parts.store.park(messages.WRITE, payload, f"unreadable message: {error}")
    if decisions:
        publish(parts.celery, messages.WRITE, Writes(decisions=tuple(decisions), has_slot=True))
    parts.store.drop_deferred(messages.WRITE, [handle for handle, _ in due])
    if len(due) >= MANY:
        parts.store.merge(FILL_S)
    return len(due) == BULK
