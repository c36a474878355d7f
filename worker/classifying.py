"""New tickets in, decisions recorded, writes asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from integration import messages
from integration.messages import Decision, NewTicket, Writes
from integration.publisher import publish
from integration.settings import Classifier
from integration.zendesk.client import Ticket
from integration.zendesk.errors import PermanentError, TemporaryError, UnreadableError, ZendeskError
from worker import shadow
from worker.parts import Parts
from worker.triage import leave, triage
from worker.writing import HOLD_S, TRIES, growing_delay

log = logging.getLogger("presort.classifying")


def classify(parts: Parts, tickets: Sequence[NewTicket]) -> None:
    """Decide about a batch; raises nothing but errors of Redis and the broker."""
    known, deleted = _read_missing_text(parts, list({ticket.ticket_id: ticket for ticket in tickets}.values()))
    own = _own_user_id(parts)
    decisions = [one for classifier in parts.config.classifiers for one in _decide(parts, classifier, known, own)]
    decisions += [
        leave(ticket, classifier, parts.predictors[classifier.name].manifest, reason="ticket_deleted", now=time.time())
        for classifier in parts.config.classifiers
        for ticket in deleted
    ]
    if not decisions:
        return
    before = parts.store.record(decisions, tick_s=parts.config.spikes.tick_s)
    ended = [one.decision for one in before if one is not None and one.outcome is not None]
    parts.store.answered([(one.ticket_id, one.classifier) for one in ended])
    # A record without an outcome means that a worker died between recording and asking for the write.
    unfinished = [
        decision if record is None else record.decision
        for decision, record in zip(decisions, before, strict=True)
        if record is None or record.outcome is None
    ]
    untouched = [one for one in unfinished if one.action == "leave"]
    parts.store.finish([(one, "left_alone", one.reason) for one in untouched])
    wanted = tuple(one for one in unfinished if one.action != "leave")
    if wanted:
        publish(parts.celery, messages.WRITE, Writes(decisions=wanted))
    shadow.score(parts, known, [one for one, record in zip(decisions, before, strict=True) if record is None])


def _read_missing_text(parts: Parts, tickets: Sequence[NewTicket]) -> tuple[list[NewTicket], list[NewTicket]]:
    """Tickets with their text, and those that are gone. What cannot be read now is deferred, for good is parked."""
    known = [ticket for ticket in tickets if ticket.text_known]
    unread = [ticket for ticket in tickets if not ticket.text_known]
    if not unread:
        return known, []
    try:
        if (held := parts.store.updates_held()) > 0:
            raise TemporaryError("Zendesk asked to wait, or does not answer", held)
        found = parts.zendesk.show_many([ticket.ticket_id for ticket in unread])
    except ZendeskError as error:
        for ticket in unread:
            _put_aside(parts, ticket, error)
        return known, []
    known += [_with_text(one, found[one.ticket_id]) for one in unread if one.ticket_id in found]
    return known, [one for one in unread if one.ticket_id not in found]


def _put_aside(parts: Parts, ticket: NewTicket, error: ZendeskError) -> None:
    if isinstance(error, PermanentError) or (isinstance(error, UnreadableError) and ticket.attempts >= TRIES):
        _park(parts, ticket, [one.name for one in parts.config.classifiers], str(error))
        return
    asked = error.retry_after if isinstance(error, TemporaryError) else None
    delay = growing_delay(ticket.attempts) if asked is None else asked
    if isinstance(error, TemporaryError):
        parts.store.hold_updates(min(delay, HOLD_S))
    again = msgspec.structs.replace(ticket, attempts=ticket.attempts + 1)
    parts.store.defer(messages.CLASSIFY, [again.to_json()], delay_s=delay, reason=str(error))


def _park(parts: Parts, ticket: NewTicket, classifiers: Sequence[str], reason: str) -> None:
    parts.store.park(messages.CLASSIFY, ticket.to_json(), reason)
    parts.store.answered([(ticket.ticket_id, name) for name in classifiers])


def _with_text(told: NewTicket, read: Ticket) -> NewTicket:
    return msgspec.structs.replace(
        told,
        text_known=True,
        subject=read.subject,
        description=read.description,
        created_at=read.created_at,
        channel=read.channel,
        actor_id=read.submitter_id,
    )


def _decide(
    parts: Parts, classifier: Classifier, tickets: Sequence[NewTicket], own_user_id: int | None
) -> list[Decision]:
    """Triage together; when that fails, one by one, so that a poisonous ticket is parked alone."""
    if not tickets:
        return []
    try:
        model = parts.predictors[classifier.name]
        return triage(tickets, classifier, model, own_user_id=own_user_id, now=time.time())
    except Exception as error:  # noqa: BLE001 - whatever a hostile text may break, the other tickets go on
        if len(tickets) == 1:
            # The type only: a message may quote the text.
            log.error("ticket %d parked: %s", tickets[0].ticket_id, type(error).__name__)  # noqa: TRY400 - see above
            _park(parts, tickets[0], [classifier.name], f"{type(error).__name__} while classifying")
            return []
        return [one for ticket in tickets for one in _decide(parts, classifier, [ticket], own_user_id)]


def _own_user_id(parts: Parts) -> int | None:
    """Asked of Zendesk until it is known, once a minute at most: an outage must not stop the sorting."""
    unknown = "own_user_id" not in parts.__dict__
    if unknown and (time.monotonic() < parts.ask_again_at or parts.store.updates_held() > 0):
        return None
    try:
        return parts.own_user_id
    except ZendeskError as error:
        log.warning("cannot tell our own tickets from others yet: %s", error)
        parts.ask_again_at = time.monotonic() + 60
        return None
