"""Which tickets a model may learn from, and what label each one has. Pure: no Zendesk, no files."""

from __future__ import annotations

import msgspec

from integration.settings import Classifier
from integration.zendesk.channels import STUB_CHANNELS
from integration.zendesk.client import Ticket, Value

CLOSED = frozenset({"closed"})
SOLVED = CLOSED | {"solved"}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        classifier: the field whose values are the labels.
        own_user_id: the user Presort acts as; it files alerts, and its tickets are no customer's.
        since, until: when tickets were filed, Unix seconds, from and up to.
        statuses: a ticket must have one of them: what is solved may still be reopened and sorted anew.
    """

    classifier: Classifier
    own_user_id: int
    since: float = 0.0
    until: float = float("inf")
    statuses: frozenset[str] = SOLVED


def label_of(ticket: Ticket, classifier: Classifier) -> Value | None:
    """The field's value, None when it is empty."""
    value = ticket.fields.get(classifier.field_id)
    if isinstance(value, list):
        return [str(one) for one in value] or None
    return str(value) if value else None


def reason_to_leave_out(ticket: Ticket, wanted: Wanted) -> str | None:
    """Why no model should learn from this ticket, in the words of the final table; None when one may."""
    if ticket.status == "deleted":
        return "deleted, spam among them"  # what is marked as spam is deleted; suspended mail never becomes a ticket
    if not wanted.since <= (ticket.created_at or 0.0) < wanted.until:
        return "filed outside --since and --until"
    if ticket.submitter_id == wanted.own_user_id:
        return "filed by Presort's own user"
    if ticket.channel in STUB_CHANNELS:
        return "messaging, not the customer's words"
    if ticket.status not in wanted.statuses:
        return "not solved yet" if "solved" in wanted.statuses else "not closed yet"
    return None if label_of(ticket, wanted.classifier) else "no value in the field"


def predicted_of(ticket: Ticket, classifier: Classifier) -> Value | None:
    """What Presort had predicted, as it stands in its text field: several labels as a list; None for nothing."""
    text = str(ticket.fields.get(classifier.prediction_field_id or 0) or "")
    several = text.split(", ")
    return several if len(several) > 1 else text or None
