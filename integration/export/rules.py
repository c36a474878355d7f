"""Which tickets a model may learn from, and whose label each one has. Pure: no Zendesk, no files.

Nothing in a ticket says who set a field; its audits do, at one request a ticket. Most tickets need none: whatever
Presort writes, it writes together with its own text fields, so where those are empty it never was. Only tickets that
carry one of them are asked about. Whatever stays unclear counts as Presort's: a person's label that is believed a
little less costs little, a model that learns from its own mistakes costs more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from integration.settings import Classifier
from integration.zendesk.channels import STUB_CHANNELS
from integration.zendesk.client import Audit, Ticket, Value


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        classifier: the field whose values are the labels.
        own_user_id: the user Presort acts as; it files alerts, and its tickets are no customer's.
        since, until: when tickets were filed, Unix seconds, from and up to.
    """

    classifier: Classifier
    own_user_id: int
    since: float = 0.0
    until: float = float("inf")


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
    if ticket.status not in {"solved", "closed"}:
        return "not solved yet"
    return None if label_of(ticket, wanted.classifier) else "no value in the field"


def may_be_presorts(ticket: Ticket, classifier: Classifier) -> bool:
    """Whether Presort may have written the label: one of its text fields is filled, or it was given none."""
    fields = (classifier.prediction_field_id, classifier.confidence_field_id, classifier.model_field_id)
    ours = [field for field in fields if field is not None]
    return not ours or any(ticket.fields.get(field) not in (None, "") for field in ours)


def is_presorts(audits: Iterable[Audit], wanted: Wanted) -> bool:
    """Whether Presort's own write is what stands: nobody changed the field after it.

    Args:
        audits: the ticket's, oldest first.
        wanted: the classifier and the user it acts as.
    """
    classifier = wanted.classifier
    last = None
    for audit in audits:
        if classifier.field_id in audit.fields:
            last = audit
    return last is None or last.author_id == wanted.own_user_id or classifier.name in last.classifiers
