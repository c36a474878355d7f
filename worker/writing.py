"""Decisions in, updates of Zendesk out; what may be written is decided on the ticket as it stands now."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from integration import messages
from integration.messages import Decision, Job, Writes
from integration.settings import Classifier
from integration.store import Outcome
from integration.zendesk.client import BULK, Ticket, Update
from integration.zendesk.errors import Conflict, NotFound, PermanentError, RateLimited, TemporaryError
from worker.parts import Parts

log = logging.getLogger("presort.writing")

Result = tuple[Decision, Outcome, str]

CONFLICTS_AT_ONCE = 2
"""Collisions after which a write waits longer: something edits the ticket all the time."""

TRIES = 10
"""Failures of one ticket's update, over about 20 minutes, after which a person must look. Outages do not count."""

JOB_POLL_S = 1.0
JOB_POLLS = 60
"""A job that is not done after so many polls is taken for lost; comparing first makes writing again harmless."""

_GONE = {"RecordNotFound": "ticket_deleted", "TicketClosed": "ticket_closed"}


class Plan(NamedTuple):
    """What to send, and what needs no sending.

    Attributes:
        updates: one per ticket, with the decisions it carries out.
        results: decisions that end without a write.
    """

    updates: list[tuple[Update, tuple[Decision, ...]]]
    results: list[Result]


def plan(
    decisions: Sequence[Decision],
    tickets: Mapping[int, Ticket],
    classifiers: Mapping[str, Classifier],
    options: Mapping[str, frozenset[str]],
) -> Plan:
    """Compare decisions with their tickets; pure.

    Never over a person's value; never a value the field does not offer; never what is there already.

    Args:
        decisions: any number, several classifiers may speak of one ticket.
        tickets: by id, as they stand; absent when deleted.
        classifiers: by name.
        options: by classifier name, the tags its field offers.
    """
    results: list[Result] = []
    fields: dict[int, dict[int, str]] = defaultdict(dict)
    carried: dict[int, list[Decision]] = defaultdict(list)
    for one in decisions:
        ticket = tickets.get(one.ticket_id)
        wanted = _wanted(one, classifiers[one.classifier], options[one.classifier])
        refusal = _reason_not_to_write(one, ticket, classifiers[one.classifier], wanted)
        if refusal is not None:
            results.append((one, *refusal))
            continue
        fields[one.ticket_id].update(wanted)
        carried[one.ticket_id].append(one)
    updates = [
        (
            Update(
                ticket_id=ticket_id,
                updated_stamp=tickets[ticket_id].updated_stamp,
                fields=values,
                metadata={"presort": {one.classifier: _audit(one) for one in carried[ticket_id]}},
            ),
            tuple(carried[ticket_id]),
        )
        for ticket_id, values in fields.items()
    ]
    return Plan(updates, results)


def write(parts: Parts, decisions: Sequence[Decision], *, has_slot: bool) -> None:
    """Write decisions back, at most ``BULK`` tickets a request; raises nothing but errors of Redis.

    Without a slot of the account's update budget the decisions join those that wait for one, behind them; ``resume``
    merges them, so that a spent budget carries 100 tickets a request.
    """
    by_ticket: dict[tuple[int, str], Decision] = {(one.ticket_id, one.classifier): one for one in decisions}
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
    _guarded(parts, job.decisions, partial(_confirm, parts, job))


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
        parts.store.finish([_verdict(one, after, classifiers) for one in carried])
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
    results += [_verdict(one, tickets.get(one.ticket_id), classifiers) for one in updated]
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


def _wanted(decision: Decision, classifier: Classifier, options: frozenset[str]) -> dict[int, str]:
    """Field id to the value this decision would give it."""
    values = {
        classifier.prediction_field_id: decision.category or "",
        classifier.confidence_field_id: f"{decision.confidence or 0:.2f}",
        classifier.model_field_id: decision.model,
    }
    wanted = {field: value for field, value in values.items() if field is not None}
    if decision.action == "fill" and decision.category in options:
        wanted[classifier.field_id] = str(decision.category)
    return wanted


def _reason_not_to_write(
    decision: Decision, ticket: Ticket | None, classifier: Classifier, wanted: Mapping[int, str]
) -> tuple[Outcome, str] | None:
    if decision.action == "leave":
        return "left_alone", decision.reason
    if ticket is None or ticket.status == "deleted":
        return "left_alone", "ticket_deleted"
    if ticket.status == "closed":
        return "left_alone", "ticket_closed"
    if all(_same(ticket.fields.get(field), value) for field, value in wanted.items()):
        return _done(decision, wanted, classifier)
    if ticket.fields.get(classifier.field_id):
        return "left_alone", "person_set_it"
    return None


def _verdict(decision: Decision, after: Ticket | None, classifiers: Mapping[str, Classifier]) -> Result:
    """Zendesk answers 200 to values it drops, so what it kept is compared with what was sent."""
    classifier = classifiers[decision.classifier]
    if after is None:
        return decision, "left_alone", "ticket_deleted"
    kept = after.fields
    ours = {classifier.prediction_field_id: decision.category, classifier.model_field_id: decision.model}
    dropped = [field for field, value in ours.items() if field is not None and not _same(kept.get(field), value)]
    if dropped:
        log.error("ticket %d: Zendesk dropped our value of field %s; does it exist?", decision.ticket_id, dropped)
        return decision, "parked", f"Zendesk dropped our value of field {dropped[0]}: it must be an active text field"
    if decision.action == "suggest":
        return decision, "suggested", decision.reason
    category = kept.get(classifier.field_id)
    if _same(category, decision.category):
        return decision, "filled", decision.reason
    return decision, "suggested", "person_set_it" if category else "option_missing"


def _done(decision: Decision, wanted: Mapping[int, str], classifier: Classifier) -> tuple[Outcome, str]:
    return ("filled", decision.reason) if classifier.field_id in wanted else ("suggested", decision.reason)


def _same(stands: object, wanted: object) -> bool:
    """Zendesk answers numbers in decimal fields and text in the others."""
    if isinstance(stands, int | float) and not isinstance(stands, bool):
        try:
            return float(str(wanted)) == float(stands)
        except ValueError:
            return False
    return (stands or "") == (wanted or "")


def _audit(decision: Decision) -> dict[str, object]:
    return {
        "decision": decision.id,
        "model": decision.model,
        "reason": decision.reason,
        "threshold": decision.threshold,
        "top": [[value, probability] for value, probability in decision.top],
    }
