"""Bulk updates: Zendesk takes one as a job, which is followed to what became of each ticket."""

from __future__ import annotations

from functools import partial

import msgspec

from integration import messages
from integration.messages import Decision, Job
from integration.zendesk.errors import NotFound
from worker.parts import Parts
from worker.planning import Result, verdict
from worker.setbacks import finish, give_up, guarded, of_known_classifiers, try_again

POLL_S = 1.0
"""Before the first look at a job; then twice as long each time, up to ``POLL_MAX_S``."""
POLL_MAX_S = 8.0
POLLS = 12
"""A job that is not done after so many, 80 s, is taken for lost; comparing first makes writing again harmless."""

_GONE = {"RecordNotFound": "ticket_deleted", "TicketClosed": "ticket_closed"}


def poll(parts: Parts, job: Job) -> None:
    """Have a job looked at in a while."""
    delay_s = min(POLL_MAX_S, POLL_S * 2**job.attempts)
    parts.store.defer(messages.CONFIRM, [job.to_json()], delay_s=delay_s, reason="bulk update under way")


def confirm(parts: Parts, job: Job) -> None:
    """Follow a bulk update to its per-ticket results, and read back what Zendesk kept."""
    job = msgspec.structs.replace(job, decisions=tuple(of_known_classifiers(parts, job.decisions)))
    if (held := parts.store.updates_held()) > 0:
        parts.store.defer(messages.CONFIRM, [job.to_json()], delay_s=held, reason="Zendesk asked to wait")
        return
    guarded(parts, job.decisions, partial(_look, parts, job))


def _look(parts: Parts, job: Job) -> None:
    try:
        rows = parts.zendesk.job(job.id)
    except NotFound:
        rows = []  # forgotten after a day, or by a restart: compare and write again
    if rows is None:
        if job.attempts >= POLLS:
            give_up(parts, job.decisions, 0, "bulk update never ended")
            return
        poll(parts, msgspec.structs.replace(job, attempts=job.attempts + 1))
        return
    errors = {row.ticket_id: row.error for row in rows}
    updated: list[Decision] = []
    again: list[Decision] = []
    results: list[Result] = []
    for one in job.decisions:
        error = errors.get(one.ticket_id, "no result")
        if error is None:
            updated.append(one)
        elif error in _GONE:
            results.append((one, "left_alone", _GONE[error]))
        else:
            again.append(one)
    tickets = parts.zendesk.show_many(sorted({one.ticket_id for one in updated}))
    classifiers = {one.name: one for one in parts.config.classifiers}
    results += [verdict(one, tickets.get(one.ticket_id), classifiers) for one in updated]
    finish(parts, results)
    for one in again:
        try_again(parts, one, errors.get(one.ticket_id) or "no result")
