"""Carries decisions to Zendesk: reads the tickets, sends what ``planning`` allows, and looks at what came of it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from integration import logs, messages, taxonomy, tracing
from integration.measures import ZENDESK_SECONDS
from integration.messages import Decision, Job
from integration.settings import Classifier
from integration.store import BURST
from integration.zendesk.client import BULK, ChoiceField, Ticket, Update
from integration.zendesk.errors import NoAccess, NotFound, PermanentError, RateLimited, TemporaryError, UnreadableError
from worker.jobs import poll
from worker.parts import Parts
from worker.planning import Planned, missing_options, plan, verdict
from worker.setbacks import CONFLICTS_AT_ONCE, defer, end, finish, give_up, guarded, of_known_classifiers, park

log = logging.getLogger("presort.writing")

CLAIMED_S = 10.0
"""After which a decision that another worker is writing is looked at again."""

MERGED = BURST - 2
"""Of the updates that may be saved up, those kept for merged requests: a burst must not spend all on its first ones."""

SETTLE_S = 2.0
"""A ticket edited more recently than this is left to settle."""


def write(parts: Parts, decisions: Sequence[Decision], *, has_slot: bool) -> None:
    """Write decisions back, at most ``BULK`` tickets a request; raises nothing but errors of Redis.

    While writes are paused, or the day has had its share, they all join those that wait, and no try of them is counted.
    What was written already, or is being written by another worker, is not written again. Without a slot of the
    account's update budget the decisions join those that wait for one, behind them; ``resume`` merges them, so that a
    spent budget carries 100 tickets a request.
    """
    by_ticket = {(one.ticket_id, one.classifier): one for one in of_known_classifiers(parts, decisions)}
    waiting = parts.store.unfinished(list(by_ticket.values()))
    if refusal := parts.controls.refusal(parts.config.zendesk, parts.clock()):
        defer(parts, waiting, 0, refusal)
        return
    for batch in _chunks(waiting):
        chunk = parts.store.claim(batch)
        taken = {one.id for one in chunk}
        others = [one for one in batch if one.id not in taken]
        defer(parts, others, CLAIMED_S, "being written by another worker")
        if not chunk:
            continue
        if (held := parts.store.updates_held()) > 0:
            give_up(parts, chunk, held, "Zendesk asked to wait, or does not answer")
        elif not has_slot and (crowded(parts) or take_slot(parts, reserve=MERGED) > 0):
            give_up(parts, chunk, 0, "update budget")
        else:
            guarded(parts, chunk, partial(_write_chunk, parts, chunk))


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


def _write_chunk(parts: Parts, decisions: Sequence[Decision]) -> None:
    tickets = parts.zendesk.show_many(sorted({one.ticket_id for one in decisions}))
    settled = _settled(parts, decisions, tickets)
    classifiers = {one.name: one for one in parts.config.classifiers}
    writable, choices = _writable(parts, settled, classifiers)
    _tell_of_missing(parts, missing_options(writable, classifiers, choices))
    updates, results = plan(writable, tickets, classifiers, choices, parts.controls.demotions())
    end(parts, results)
    updates = _admitted(parts, updates, decisions)
    # What fails from here on is the fault of nothing that was settled above, or put aside.
    sent = {one.id for _, carried in updates for one in carried}
    own = [one for one in decisions if one.id in sent]
    guarded(parts, own, partial(_send, parts, updates, classifiers))


def _send(parts: Parts, updates: Sequence[Planned], classifiers: Mapping[str, Classifier]) -> None:
    carried = tuple(one for _, own in updates for one in own)
    began = time.time()
    if len(updates) == 1:
        after = _update_one(parts, updates[0][0])
        _sent(parts, carried, began, "single")
        finish(parts, [verdict(one, after, classifiers) for one in carried])
    elif updates:
        job_id = parts.zendesk.update_many([update for update, _ in updates])
        _sent(parts, carried, began, "bulk", {"job": job_id})
        poll(parts, Job(id=job_id, decisions=carried))


def _sent(
    parts: Parts, carried: Sequence[Decision], began: float, kind: str, told: Mapping[str, str] | None = None
) -> None:
    """Zendesk has taken them, in one request."""
    now = time.time()
    parts.tally.observe(ZENDESK_SECONDS, now - began, kind)
    for one in carried:
        log.info("sent", extra={**logs.of(one), **(told or {})})
        tracing.note(f"{kind} update", one.trace, began, now, ticket=one.ticket_id, updates=len(carried))


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
        give_up(parts, [one for one in decisions if one.id in refused], 0, admission.refusal)
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
    now = parts.clock()
    moving = [
        one
        for one in decisions
        if (ticket := tickets.get(one.ticket_id)) is not None
        and ticket.updated_at is not None
        and ticket.updated_at != ticket.created_at
        and abs(now - ticket.updated_at) < SETTLE_S
    ]
    give_up(parts, moving, SETTLE_S, "edited this second")
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
            park(parts, own, str(error))
            continue
        fitting = [one for one in own if one.values is None or choices[name].multi]
        writable += fitting
        if misfits := [one for one in own if one not in fitting]:
            park(
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
