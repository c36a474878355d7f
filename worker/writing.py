"""Carries decisions to Zendesk: reads the tickets, sends what ``planning`` allows, deals with every answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from integration import messages
from integration.messages import Decision, Job, Writes
from integration.zendesk.client import BULK
from integration.zendesk.errors import Conflict, NotFound, PermanentError, RateLimited, TemporaryError
from worker.parts import Parts
from worker.planning import Result, plan, verdict

log = logging.getLogger("presort.writing")

CONFLICTS_AT_ONCE = 2
"""Collisions after which a write waits longer: something edits the ticket all the time."""

TRIES = 10
"""Failures of one ticket's update, over about 20 minutes, after which a person must look. Outages do not count."""

JOB_POLL_S = 1.0
JOB_POLLS = 60
"""A job that is not done after so many polls is taken for lost; comparing first makes writing again harmless."""

_GONE = {"RecordNotFound": "ticket_deleted", "TicketClosed": "ticket_closed"}


def write(parts: Parts, decisions: Sequence[Decision], *, has_slot: bool) -> None:
    """Write decisions back, at most ``BULK`` tickets a request; raises nothing but errors of Redis.

    Without a slot of the account's update budget the decisions join those that wait for one, behind them; ``resume``
    merges them, so that a spent budget carries 100 tickets a request.
    """
    by_ticket = {(one.ticket_id, one.classifier): one for one in _of_known_classifiers(parts, decisions)}
    waiting = list(by_ticket.values())
    for start in range(0, len(waiting), BULK):
        chunk = waiting[start : start + BULK]
        if not has_slot and (parts.store.waiting(messages.WRITE) or take_slot(parts) > 0):
            _defer(parts, chunk, 0, "update budget")
            continue
        _guarded(parts, chunk, partial(_write_chunk, parts, chunk))


def take_slot(parts: Parts) -> float:
    """Charge the account's update budget for one request; the seconds to wait when it is spent, else 0."""
    return parts.store.take_update(parts.config.zendesk.updates_per_minute * parts.config.zendesk.share)


def confirm(parts: Parts, job: Job) -> None:
    """Follow a bulk update to its per-ticket results, and read back what Zendesk kept."""
    job = msgspec.structs.replace(job, decisions=tuple(_of_known_classifiers(parts, job.decisions)))
    _guarded(parts, job.decisions, partial(_confirm, parts, job))


def _of_known_classifiers(parts: Parts, decisions: Sequence[Decision]) -> list[Decision]:
    """Without those of a classifier that was taken out of ``presort.toml`` while they waited; they are parked."""
    names = {one.name for one in parts.config.classifiers}
    if unknown := [one for one in decisions if one.classifier not in names]:
        _park(parts, unknown, f"classifier {unknown[0].classifier!r} is no longer in presort.toml")
    return [one for one in decisions if one.classifier in names]


def _write_chunk(parts: Parts, decisions: Sequence[Decision]) -> None:
    tickets = parts.zendesk.show_many(sorted({one.ticket_id for one in decisions}))
    classifiers = {one.name: one for one in parts.config.classifiers}
    options = {one.name: parts.zendesk.option_values(one.field_id) for one in parts.config.classifiers}
    updates, results = plan(decisions, tickets, classifiers, options)
    parts.store.finish(results)
    if len(updates) == 1:
        update, carried = updates[0]
        try:
            after = parts.zendesk.update(update)
        except NotFound:
            after = None
        parts.store.finish([verdict(one, after, classifiers) for one in carried])
    elif updates:
        job_id = parts.zendesk.update_many([update for update, _ in updates])
        job = Job(id=job_id, decisions=tuple(one for _, carried in updates for one in carried))
        parts.store.defer(messages.CONFIRM, job.to_json(), delay_s=JOB_POLL_S, reason="bulk update under way")


def _confirm(parts: Parts, job: Job) -> None:
    try:
        rows = parts.zendesk.job(job.id)
    except NotFound:
        rows = []  # forgotten after a day, or by a restart: compare and write again
    if rows is None:
        if job.attempts >= JOB_POLLS:
            _defer(parts, job.decisions, 0, "bulk update never ended")
            return
        asked = msgspec.structs.replace(job, attempts=job.attempts + 1)
        parts.store.defer(messages.CONFIRM, asked.to_json(), delay_s=JOB_POLL_S, reason="bulk update under way")
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
    parts.store.finish(results)
    for one in again:
        _again(parts, [one], errors.get(one.ticket_id) or "no result")


def _guarded(parts: Parts, decisions: Sequence[Decision], work: Callable[[], None]) -> None:
    """Every way a call to Zendesk can fail, and what becomes of the decisions then."""
    try:
        work()
    except RateLimited as error:
        wait = error.retry_after or 10.0
        parts.store.hold_updates(wait)
        _defer(parts, decisions, wait, str(error))
    except TemporaryError as error:
        log.warning("%d writes wait: %s", len(decisions), error)
        _defer(parts, _tried(decisions), error.retry_after or _growing_delay(decisions), str(error))
    except Conflict as error:
        _again(parts, decisions, str(error))
    except PermanentError as error:
        _park(parts, decisions, str(error))


def _again(parts: Parts, decisions: Sequence[Decision], reason: str) -> None:
    """A ticket's update failed: read again, decide again; soon at first, then later, and not for ever."""
    tries = max(one.attempts for one in decisions) + 1
    if tries >= TRIES:
        _park(parts, decisions, f"{reason}, {tries} times")
        return
    _defer(parts, _tried(decisions), 1.0 if tries <= CONFLICTS_AT_ONCE else _growing_delay(decisions), reason)


def _park(parts: Parts, decisions: Sequence[Decision], reason: str) -> None:
    log.error("%d writes parked: %s", len(decisions), reason)
    parts.store.park(messages.WRITE, Writes(decisions=tuple(decisions)).to_json(), reason)
    parts.store.finish([(one, "parked", reason) for one in decisions])


def _defer(parts: Parts, decisions: Sequence[Decision], delay_s: float, reason: str) -> None:
    payload = Writes(decisions=tuple(decisions)).to_json()
    parts.store.defer(messages.WRITE, payload, delay_s=delay_s, reason=reason)


def _tried(decisions: Sequence[Decision]) -> list[Decision]:
    return [msgspec.structs.replace(one, attempts=one.attempts + 1) for one in decisions]


def _growing_delay(decisions: Sequence[Decision]) -> float:
    """5 s, 10 s, 20 s ... 5 minutes."""
    return min(300.0, 5.0 * 2.0 ** min(10, max(one.attempts for one in decisions)))
