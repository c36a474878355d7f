"""Tickets from Zendesk into a part file, then the histories of those whose label may be Presort's.

Nobody waits for the answer but the person who typed the command, so whatever is temporary is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import msgspec

from integration.export.part import Part, Row
from integration.export.rules import Wanted, label_of, predicted_of, reason_to_leave_out
from integration.settings import Settings
from integration.store import Store
from integration.zendesk.client import Audit, Ticket, Zendesk
from integration.zendesk.errors import NotFound
from integration.zendesk.history import carries_ours, set_by
from integration.zendesk.patience import Patience

TIMEOUT_S = 60.0
"""A page of a thousand tickets takes Zendesk longer than what workers ask for."""


class Progress(NamedTuple):
    """A page was kept.

    Attributes:
        tickets: on this page.
        changed_from, changed_to: when the first and the last of them changed, Unix seconds; None on an empty page.
    """

    tickets: int
    changed_from: float | None
    changed_to: float | None


def patient_client(config: Settings, store: Store) -> Zendesk:
    """A client that waits for a whole page."""
    limits = msgspec.structs.replace(config.zendesk, timeout_s=max(TIMEOUT_S, config.zendesk.timeout_s))
    return Zendesk(limits, config.zendesk_client_secret, store)


def read_tickets(zendesk: Zendesk, part: Part, wanted: Wanted, patience: Patience) -> Iterator[Progress]:
    """Read all pages that are not in the part file yet; yields after each.

    A ticket that was filed in the period cannot have changed before it, so the export may begin there.

    Raises:
        ZendeskError: see ``Patience.ask``; what was read is kept.
    """
    place: str | int = part.cursor or int(wanted.since)
    while True:
        page = patience.ask(partial(zendesk.export, place))
        part.add((_row(ticket, wanted) for ticket in page.tickets), page.cursor)
        times = [ticket.updated_at for ticket in page.tickets]
        yield Progress(len(times), times[0] if times else None, times[-1] if times else None)
        if page.last:
            return
        place = page.cursor


def decide_labels(zendesk: Zendesk, part: Part, wanted: Wanted, patience: Patience) -> Iterator[None]:
    """Read the history of each undecided ticket; yields after each.

    Raises:
        ZendeskError: see ``Patience.ask``; what was decided is kept.
    """
    while (ticket_id := part.next_undecided()) is not None:
        audits = patience.ask(partial(_audits, zendesk, ticket_id))
        # Whatever stays unclear counts as Presort's: a person's label that is believed a little less costs little, a
        # model that learns from its own mistakes costs more.
        part.decide(ticket_id, label_by=set_by(audits, wanted.classifier, wanted.own_user_id) or "presort")
        yield


def _audits(zendesk: Zendesk, ticket_id: int) -> list[Audit]:
    try:
        return zendesk.audits(ticket_id)
    except NotFound:  # deleted within the last minutes
        return []


def _row(ticket: Ticket, wanted: Wanted) -> Row:
    if reason := reason_to_leave_out(ticket, wanted):
        return Row(id=ticket.id, left_out=reason)
    return Row(
        id=ticket.id,
        created_at=ticket.created_at,
        subject=ticket.subject or "",
        description=ticket.description or "",
        label=label_of(ticket, wanted.classifier),
        predicted=predicted_of(ticket, wanted.classifier),
        label_by=None if carries_ours(ticket, wanted.classifier) else "",
    )
