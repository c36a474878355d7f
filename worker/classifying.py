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
from integration.zendesk.errors import PermanentError, TemporaryError, ZendeskError
from worker.parts import Parts
from worker.triage import leave, triage

log = logging.getLogger("presort.classifying")


def classify(parts: Parts, tickets: Sequence[NewTicket]) -> None:
    """Decide about a batch; raises nothing but errors of Redis and the broker."""
    tickets = list({ticket.ticket_id: ticket for ticket in tickets}.values())
    known, deleted = _read_missing_text(parts, tickets)
    decisions = [one for classifier in parts.config.classifiers for one in _decide(parts, classifier, known)]
    decisions += [
        leave(ticket, classifier, parts.predictors[classifier.name].manifest, reason="ticket_deleted", now=time.time())
        for classifier in parts.config.classifiers
        for ticket in deleted
    ]
    if not decisions:
        return
    before = parts.store.record(decisions, tick_s=parts.config.spikes.tick_s)
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


def _read_missing_text(parts: Parts, tickets: Sequence[NewTicket]) -> tuple[list[NewTicket], list[NewTicket]]:
    """Tickets with their text, and those that are gone. What cannot be read now is deferred, for good is parked."""
    known = [ticket for ticket in tickets if ticket.text_known]
    unread = [ticket for ticket in tickets if not ticket.text_known]
    if not unread:
        return known, []
    try:
        found = parts.zendesk.show_many([ticket.ticket_id for ticket in unread])
    except ZendeskError as error:
        for ticket in unread:
            _put_aside(parts, ticket, error)
        return known, []
    known += [_with_text(one, found[one.ticket_id]) for one in unread if one.ticket_id in found]
    return known, [one for one in unread if one.ticket_id not in found]


def _put_aside(parts: Parts, ticket: NewTicket, error: ZendeskError) -> None:
    if isinstance(error, PermanentError):
        parts.store.park(messages.CLASSIFY, ticket.to_json(), str(error))
        return
    delay = min(300.0, 5.0 * 2.0 ** min(10, ticket.attempts))
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        delay = error.retry_after
    again = msgspec.structs.replace(ticket, attempts=ticket.attempts + 1)
    parts.store.defer(messages.CLASSIFY, again.to_json(), delay_s=delay, reason=str(error))


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


def _decide(parts: Parts, classifier: Classifier, tickets: Sequence[NewTicket]) -> list[Decision]:
    """Triage together; when that fails, one by one, so that a poisonous ticket is parked alone."""
    if not tickets:
        return []
    try:
        return _triage(parts, classifier, tickets)
    except Exception as error:  # noqa: BLE001 - whatever a hostile text may break, the other tickets go on
        if len(tickets) == 1:
            # The type only: a message may quote the text.
            log.error("ticket %d parked: %s", tickets[0].ticket_id, type(error).__name__)  # noqa: TRY400 - see above
            parts.store.park(messages.CLASSIFY, tickets[0].to_json(), f"{type(error).__name__} while classifying")
            return []
        return [one for ticket in tickets for one in _decide(parts, classifier, [ticket])]


def _triage(parts: Parts, classifier: Classifier, tickets: Sequence[NewTicket]) -> list[Decision]:
    model = parts.predictors[classifier.name]
    return triage(tickets, classifier, model, own_user_id=_own_user_id(parts), now=time.time())


def _own_user_id(parts: Parts) -> int | None:
    try:
        return parts.own_user_id
    except ZendeskError as error:  # asked again with the next batch; an outage must not stop the sorting
        log.warning("cannot tell our own tickets from others yet: %s", error)
        return None
