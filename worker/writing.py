"""Carries decisions to Zendesk: reads the tickets, sends what ``planning`` allows, deals with every answer."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import msgspec
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from integration import messages, taxonomy
from integration.messages import Decision, Job, Writes
from integration.settings import Classifier
from integration.store import BURST
from integration.zendesk.client import BULK, ChoiceField, Ticket, Update
from integration.zendesk.errors import (
    Conflict,
    NoAccess,
    NotFound,
    PermanentError,
    RateLimited,
    TemporaryError,
    UnreadableError,
)
from worker.parts import Parts
from worker.planning import Planned, Result, missing_options, plan, verdict

log = logging.getLogger("presort.writing")

CONFLICTS_AT_ONCE = 2
"""Collisions after which a write waits longer: something edits the ticket all the time."""

TRIES = 10
"""Failures of one ticket's update, over about 25 minutes, after which a person must look. Outages do not count."""

CLAIMED_S = 10.0
"""After which a decision that another worker is writing is looked at again."""

HOLD_S = 30.0
"""At most, for everybody, when Zendesk does not say how long."""

MERGED = BURST - 2
"""Of the updates that may be saved up, those kept for merged requests: a burst must not spend all on its first ones."""

SETTLE_S = 2.0
"""A ticket edited more recently than this is left to settle."""

JOB_POLL_S = 1.0
"""Before the first look at a job; then twice as long each time, up to ``JOB_POLL_MAX_S``."""
JOB_POLL_MAX_S = 8.0
JOB_POLLS = 12
"""A job that is not done after so many, 80 s, is taken for lost; comparing first makes writing again harmless."""

_GONE = {"RecordNotFound": "ticket_deleted", "TicketClosed": "ticket_closed"}


def write(parts: Parts, decisions: Sequence[Decision], *, has_slot: bool) -> None:
    """Write decisions back, at most ``BULK`` tickets a request; raises nothing but errors of Redis.

    While writes are paused, or the day has had its share, they all join those that wait, and no try of them is counted.
    What was written already, or is being written by another worker, is not written again. Without a slot of the
    account's update budget the decisions join those that wait for one, behind them; ``resume`` merges them, so that a
    spent budget carries 100 tickets a request.
    """
    by_ticket = {(one.ticket_id, one.classifier): one for one in _of_known_classifiers(parts, decisions)}
    waiting = parts.store.unfinished(list(by_ticket.values()))
    if refusal := parts.controls.refusal(parts.config.zendesk, parts.clock()):
        _defer(parts, waiting, 0, refusal)
        return
    for batch in _chunks(waiting):
        chunk = parts.store.claim(batch)
        taken = {one.id for one in chunk}
        others = [one for one in batch if one.id not in taken]
        _defer(parts, others, CLAIMED_S, "being written by another worker")
        if not chunk:
            continue
        if (held := parts.store.updates_held()) > 0:
            _give_up(parts, chunk, held, "Zendesk asked to wait, or does not answer")
        elif not has_slot and (crowded(parts) or take_slot(parts, reserve=MERGED) > 0):
            _give_up(parts, chunk, 0, "update budget")
        else:
            _guarded(parts, chunk, partial(_write_chunk, parts, chunk))


def crowded(parts: Parts) -> bool:
    """Whether decisions come faster than requests may go: then each waits to be merged, and full requests save most."""
    return parts.store.waiting(messages.WRITE) > 0 or parts.store.merging()


def _chunks(decisions: Sequence[Decision]) -> Iterator[list[Decision]]:
    """Full requests; but what failed more than twice goes alone, so that it takes nobody along."""
    well = [one for one in decisions if one.collisions <= CONFLICTS_AT_ONCE]
    yield from ([one] for one in decisions if one.collisions > CONFLICTS_AT_ONCE)
    yield from (well[start : start + BULK] for start in range(0, len(well), BULK))


def take_slot(parts: Parts, *, reserve: int = 0) -> float:
    """Charge the account's update budget for one request; the seconds to wait when it is spent, else 0.

    Args:
        parts: of this worker.
        reserve: updates that must be left for others.
    """
    per_minute = parts.config.zendesk.updates_per_minute * parts.config.zendesk.share
    return parts.store.take_update(per_minute, burst=BURST - reserve)


def confirm(parts: Parts, job: Job) -> None:
    """Follow a bulk update to its per-ticket results, and read back what Zendesk kept."""
    job = msgspec.structs.replace(job, decisions=tuple(_of_known_classifiers(parts, job.decisions)))
    if (held := parts.store.updates_held()) > 0:
        parts.store.defer(messages.CONFIRM, [job.to_json()], delay_s=held, reason="Zendesk asked to wait")
        return
    _guarded(parts, job.decisions, partial(_confirm, parts, job))


def _of_known_classifiers(parts: Parts, decisions: Sequence[Decision]) -> list[Decision]:
    """Without those of a classifier that was taken out of ``presort.toml`` while they waited; they are parked."""
    names = {one.name for one in parts.config.classifiers}
    if unknown := [one for one in decisions if one.classifier not in names]:
        _park(parts, unknown, f"classifier {unknown[0].classifier!r} is no longer in presort.toml")
    return [one for one in decisions if one.classifier in names]


def _write_chunk(parts: Parts, decisions: Sequence[Decision]) -> None:
    tickets = parts.zendesk.show_many(sorted({one.ticket_id for one in decisions}))
    settled = _settled(parts, decisions, tickets)
    classifiers = {one.name: one for one in parts.config.classifiers}
    writable, choices = _writable(parts, settled, classifiers)
    _tell_of_missing(parts, missing_options(writable, classifiers, choices))
    updates, results = plan(writable, tickets, classifiers, choices, parts.controls.demotions())
    parts.store.finish(results)
    updates = _admitted(parts, updates, decisions)
    # What fails from here on is the fault of nothing that was settled above, or put aside.
    sent = {one.id for _, carried in updates for one in carried}
    own = [one for one in decisions if one.id in sent]
    _guarded(parts, own, partial(_send, parts, updates, classifiers))


def _send(parts: Parts, updates: Sequence[Planned], classifiers: Mapping[str, Classifier]) -> None:
    if len(updates) == 1:
        update, carried = updates[0]
        after = _update_one(parts, update)
        _finish(parts, [verdict(one, after, classifiers) for one in carried])
    elif updates:
        job_id = parts.zendesk.update_many([update for update, _ in updates])
        job = Job(id=job_id, decisions=tuple(one for _, carried in updates for one in carried))
        _poll(parts, job)


def _admitted(parts: Parts, updates: Sequence[Planned], decisions: Sequence[Decision]) -> list[Planned]:
    """Those that may still go out, looked at last of all; what the others carry is put aside as it was decided."""
    limits = parts.config.zendesk
    admission = parts.controls.admit([update.ticket_id for update, _ in updates], limits, parts.clock())
    if admission.filled_up:
        log.warning("the cap of %d tickets a day is reached: decisions wait until 00:00 UTC", limits.writes_per_day)
    if admission.refusal is not None:
        refused = {
            one.id for update, carried in updates if update.ticket_id not in admission.tickets for one in carried
        }
        _give_up(parts, [one for one in decisions if one.id in refused], 0, admission.refusal)
    return [one for one in updates if one[0].ticket_id in admission.tickets]


def _tell_of_missing(parts: Parts, missing: Mapping[str, Counter[str]]) -> None:
    """Labels whose option is gone are not written: say so in the log, and to doctor and metrics."""
    for name, counts in missing.items():
        labels = ", ".join(f"{label} ({count})" for label, count in counts.items())
        log.error("%s: its field no longer offers %s: add the option, or an alias in presort.toml", name, labels)
        taxonomy.count_gone(parts.store.redis, name, counts)


def _settled(parts: Parts, decisions: Sequence[Decision], tickets: Mapping[int, Ticket]) -> list[Decision]:
    """Without those whose ticket somebody edited this second.

    ``updated_at`` counts whole seconds, so a safe update would not notice a second edit within the same one. A ticket
    that was only just created has had no editor yet.
    """
    now = time.time()
    moving = [
        one
        for one in decisions
        if (ticket := tickets.get(one.ticket_id)) is not None
        and ticket.updated_at is not None
        and ticket.updated_at != ticket.created_at
        and abs(now - ticket.updated_at) < SETTLE_S
    ]
    _give_up(parts, moving, SETTLE_S, "edited this second")
    ids = {one.id for one in moving}
    return [one for one in decisions if one.id not in ids]


def _writable(
    parts: Parts, decisions: Sequence[Decision], classifiers: Mapping[str, Classifier]
) -> tuple[list[Decision], dict[str, ChoiceField]]:
    """Decisions whose field is there and can hold what their model may answer, and these fields by classifier.

    The others are parked, whatever their mode: that a drop-down will not do must show before the day on which it is
    to be filled. One classifier's wrong field does not stop another.
    """
    writable: list[Decision] = []
    choices: dict[str, ChoiceField] = {}
    for name in {one.classifier for one in decisions}:
        field_id, own = classifiers[name].field_id, [one for one in decisions if one.classifier == name]
        try:
            choices[name] = parts.zendesk.choice_field(field_id)
        except PermanentError as error:
            _park(parts, own, str(error))
            continue
        fitting = [one for one in own if one.values is None or choices[name].multi]
        writable += fitting
        if misfits := [one for one in own if one not in fitting]:
            _park(
                parts,
                misfits,
                f"field {field_id} is a drop-down and {misfits[0].model} may answer with several labels: use a "
                "multi-select field or a single-label bundle",
            )
    return writable, choices


def _update_one(parts: Parts, update: Update) -> Ticket | None:
    """The ticket after its update, None when it was deleted; one that was closed meanwhile comes back as it is."""
    try:
        return parts.zendesk.update(update)
    except NotFound:
        return None
    except (RateLimited, NoAccess):
        raise
    except TemporaryError as error:
        # It was read a moment ago, so Zendesk is there: the trouble is this ticket's own.
        raise UnreadableError(f"{error}, for this ticket") from error
    except PermanentError:
        ticket = parts.zendesk.show_many([update.ticket_id]).get(update.ticket_id)
        if ticket is not None and ticket.status != "closed":
            raise
        return ticket


def _confirm(parts: Parts, job: Job) -> None:
    try:
        rows = parts.zendesk.job(job.id)
    except NotFound:
        rows = []  # forgotten after a day, or by a restart: compare and write again
    if rows is None:
        if job.attempts >= JOB_POLLS:
            _give_up(parts, job.decisions, 0, "bulk update never ended")
            return
        _poll(parts, msgspec.structs.replace(job, attempts=job.attempts + 1))
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
    _finish(parts, results)
    for one in again:
        _again(parts, one, errors.get(one.ticket_id) or "no result")


def _poll(parts: Parts, job: Job) -> None:
    delay_s = min(JOB_POLL_MAX_S, JOB_POLL_S * 2**job.attempts)
    parts.store.defer(messages.CONFIRM, [job.to_json()], delay_s=delay_s, reason="bulk update under way")


def _guarded(parts: Parts, decisions: Sequence[Decision], work: Callable[[], None]) -> None:
    """Every way a call to Zendesk can fail, and what becomes of the decisions then."""
    try:
        work()
    except (RedisError, OperationalError):
        with suppress(RedisError):
            parts.store.release(decisions)
        raise
    except TemporaryError as error:
        log.warning("%d writes wait: %s", len(decisions), error)
        counted = not isinstance(error, RateLimited)
        delay = error.retry_after or (growing_delay(max(one.attempts for one in decisions)) if counted else 10.0)
        # For everybody: whoever asks a silent Zendesk waits for its time-out, and sorts no tickets meanwhile.
        parts.store.hold_updates(error.retry_after or min(delay, HOLD_S))
        again = [msgspec.structs.replace(one, attempts=one.attempts + counted) for one in decisions]
        _give_up(parts, again, delay, str(error))
    except (Conflict, UnreadableError) as error:
        for one in parts.store.unfinished(decisions):
            _again(parts, one, str(error))
    except Exception as error:  # noqa: BLE001 - refused, or broken by something nobody thought of
        reason = str(error) if isinstance(error, PermanentError) else type(error).__name__
        if len(decisions) == 1:
            _park(parts, decisions, reason)
            return
        for one in parts.store.unfinished(decisions):  # one of them is to blame: each alone, next time
            _again(parts, msgspec.structs.replace(one, collisions=max(one.collisions, CONFLICTS_AT_ONCE)), reason)


def _again(parts: Parts, decision: Decision, reason: str) -> None:
    """A ticket's update failed: read again, decide again; soon at first, then later, and not for ever."""
    tries = decision.collisions + 1
    if tries >= TRIES:
        _park(parts, [decision], f"{reason}, {tries} times")
        return
    again = msgspec.structs.replace(decision, collisions=tries)
    _give_up(parts, [again], 1.0 if tries <= CONFLICTS_AT_ONCE + 1 else growing_delay(tries), reason)


def _finish(parts: Parts, results: Sequence[Result]) -> None:
    """Note what became of decisions; what is parked keeps its message, so that it can be sent again."""
    parts.store.finish([one for one in results if one[1] != "parked"])
    for reason in {reason for _, outcome, reason in results if outcome == "parked"}:
        _park(parts, [one for one, outcome, its in results if (outcome, its) == ("parked", reason)], reason)


def _park(parts: Parts, decisions: Sequence[Decision], reason: str) -> None:
    log.error("%d writes parked: %s", len(decisions), reason)
    parts.store.park(messages.WRITE, Writes(decisions=tuple(decisions)).to_json(), reason)
    parts.store.finish([(one, "parked", reason) for one in decisions])


def _give_up(parts: Parts, decisions: Sequence[Decision], delay_s: float, reason: str) -> None:
    """Put claimed decisions aside and let others have them."""
    _defer(parts, decisions, delay_s, reason)
    parts.store.release(decisions)


def _defer(parts: Parts, decisions: Sequence[Decision], delay_s: float, reason: str) -> None:
    """One message a decision, so that ``resume`` fills its requests whole."""
    payloads = [Writes(decisions=(one,)).to_json() for one in decisions]
    parts.store.defer(messages.WRITE, payloads, delay_s=delay_s, reason=reason)


def growing_delay(attempts: int) -> float:
    """Seconds before the next try: 5, 10, 20 ... 300."""
    return min(300.0, 5.0 * 2.0 ** min(10, attempts))
