"""What a ticket says, where its webhook did not: ids are looked up, and a messaging stub gives way to real messages.

No worker waits for any of it. What cannot be read now, or is not written yet, is put aside and comes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from integration import messages
from integration.messages import NewTicket
from integration.zendesk.channels import STUB_CHANNELS
from integration.zendesk.client import Ticket
from integration.zendesk.errors import NotFound, PermanentError, TemporaryError, UnreadableError, ZendeskError
from worker.parts import Parts
from worker.setbacks import TRIES, growing_delay, hold

log = logging.getLogger("presort.classifying")

LOOKS = 5
"""For a customer's first message, after 15, 30, 60 and 120 s; who has then said nothing, opened the window and left."""

FIRST_LOOK_S = 15.0

STUBS_AT_ONCE = 20
"""Each costs a request of its own, and a batch must end well within the visibility timeout."""


def read(parts: Parts, tickets: Sequence[NewTicket]) -> tuple[list[NewTicket], list[NewTicket]]:
    """Tickets with their text, and those that are gone; the others were put aside or parked."""
    known, deleted = _read_tickets(parts, tickets)
    ready, also_deleted = _read_stubs(parts, known)
    return ready, deleted + also_deleted


def park(parts: Parts, ticket: NewTicket, classifiers: Sequence[str], reason: str) -> None:
    """Keep a ticket that no retry will mend."""
    about = {"ticket": ticket.ticket_id, "classifier": ", ".join(classifiers), "reason": reason}
    log.error("parked", extra=about)
    parts.store.park(messages.CLASSIFY, ticket.to_json(), reason)
    parts.store.answered([(ticket.ticket_id, name) for name in classifiers])


def _read_tickets(parts: Parts, tickets: Sequence[NewTicket]) -> tuple[list[NewTicket], list[NewTicket]]:
    known = [ticket for ticket in tickets if ticket.text_known]
    unread = [ticket for ticket in tickets if not ticket.text_known]
    if not unread:
        return known, []
    try:
        _knock(parts)
        found = parts.zendesk.show_many([ticket.ticket_id for ticket in unread])
    except ZendeskError as error:
        for ticket in unread:
            _put_aside(parts, ticket, error)
        return known, []
    known += [with_text(one, found[one.ticket_id]) for one in unread if one.ticket_id in found]
    return known, [one for one in unread if one.ticket_id not in found]


def _read_stubs(parts: Parts, tickets: Sequence[NewTicket]) -> tuple[list[NewTicket], list[NewTicket]]:
    ready = [ticket for ticket in tickets if not _is_stub(ticket)]
    stubs = [ticket for ticket in tickets if _is_stub(ticket)]
    deleted: list[NewTicket] = []
    for place, ticket in enumerate(stubs[:STUBS_AT_ONCE]):
        try:
            _knock(parts)
            text = parts.zendesk.messages(ticket.ticket_id, ticket.requester_id)
        except NotFound:
            deleted.append(ticket)
        except TemporaryError as error:  # the next ones would fail alike
            for one in stubs[place:STUBS_AT_ONCE]:
                _put_aside(parts, one, error)
            break
        except ZendeskError as error:
            _put_aside(parts, ticket, error)
        else:
            if text is not None:
                # The subject is Zendesk's too: "Conversation with ...".
                ready.append(msgspec.structs.replace(ticket, subject=None, description=text, messages_read=True))
            elif ticket.backfill or ticket.looks + 1 >= LOOKS:
                ready.append(ticket)  # triage says what it is
            else:
                again = msgspec.structs.replace(ticket, looks=ticket.looks + 1)
                _defer(parts, again, FIRST_LOOK_S * 2**ticket.looks, "no message of the customer's yet")
    for ticket in stubs[STUBS_AT_ONCE:]:
        _defer(parts, ticket, 1.0, "other conversations are read first")
    return ready, deleted


def _is_stub(ticket: NewTicket) -> bool:
    return ticket.channel in STUB_CHANNELS and not ticket.messages_read


def _knock(parts: Parts) -> None:
    """Do not ask a Zendesk that is known not to answer: that costs its time-out."""
    if (held := parts.store.updates_held()) > 0:
        raise TemporaryError("Zendesk asked to wait, or does not answer", held)


def _put_aside(parts: Parts, ticket: NewTicket, error: ZendeskError) -> None:
    if isinstance(error, PermanentError) or (isinstance(error, UnreadableError) and ticket.attempts >= TRIES):
        park(parts, ticket, [one.name for one in parts.config.classifiers], str(error))
        return
    delay = growing_delay(ticket.attempts)
    if isinstance(error, TemporaryError):
        hold(parts, error, delay)
        delay = error.retry_after or delay
    _defer(parts, msgspec.structs.replace(ticket, attempts=ticket.attempts + 1), delay, str(error))


def _defer(parts: Parts, ticket: NewTicket, delay_s: float, reason: str) -> None:
    """Until then nobody misses it."""
    log.info("waits for %.0f s", delay_s, extra={"ticket": ticket.ticket_id, "reason": reason})
    due = time.time() + delay_s
    parts.store.asked_again([(ticket.ticket_id, one.name) for one in parts.config.classifiers], due)
    parts.store.defer(messages.CLASSIFY, [ticket.to_json()], delay_s=delay_s, reason=reason)


def with_text(told: NewTicket, read: Ticket) -> NewTicket:
    """A ticket as it was read."""
    return msgspec.structs.replace(
        told,
        text_known=True,
        subject=read.subject,
        description=read.description,
        created_at=read.created_at,
        channel=read.channel,
        actor_id=read.submitter_id,
        requester_id=read.requester_id,
        brand_id=read.brand_id,
        tags=read.tags,
    )
