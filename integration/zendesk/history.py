"""Who set a field, and what Presort had said: read from a ticket and its audits. Pure: no requests.

Nothing in a ticket says who set a field; its audits do, at one request a ticket. Most tickets need none: whatever
Presort writes, it writes together with its own text fields, so where those are empty it never was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from integration.settings import Classifier
from integration.zendesk.client import Audit, Decided, Ticket

Setter = Literal["presort", "person", "rule", "other"]
"""Presort; an agent, or a customer in a form; a trigger or an automation; another integration, or Zendesk itself."""


def carries_ours(ticket: Ticket, classifier: Classifier) -> bool:
    """Whether one of Presort's text fields is filled; where it was given none, whether the field itself is.

    Then nobody can tell from the ticket whose value that is, and it may be Presort's.
    """
    fields = (classifier.prediction_field_id, classifier.confidence_field_id, classifier.model_field_id)
    ours = [field for field in fields if field is not None] or [classifier.field_id]
    return any(ticket.fields.get(field) not in (None, "", []) for field in ours)


def tags(value: object) -> tuple[str, ...]:
    """The tags of a drop-down or a multi-select; an empty one is None, "" or an empty list."""
    return tuple(str(tag) for tag in (value if isinstance(value, list) else [value] if value else []))


def set_by(audits: Sequence[Audit], classifier: Classifier, own_user_id: int) -> Setter | None:
    """Who changed the field last; None when no audit tells of it.

    Args:
        audits: the ticket's, oldest first.
        classifier: whose field is asked about.
        own_user_id: the user Presort acts as.

    Returns:
        "presort" also for a trigger that copies what Presort suggests into the field: nobody else has judged it.
    """
    last = next((audit for audit in reversed(audits) if classifier.field_id in audit.fields), None)
    if last is None:
        return None
    change, ours = last.fields[classifier.field_id], last.decisions.get(classifier.name)
    if change.by_rule:  # a trigger's change stands in the audit of whoever set it off
        return "presort" if ours and set(tags(change.value)) == _options(ours, classifier) else "rule"
    # An admin whose OAuth client Presort uses also works in the browser.
    if ours or (last.author_id == own_user_id and last.channel in {"api", None}):
        return "presort"
    if last.channel == "rule":
        return "rule"
    return "other" if last.channel == "api" or (last.author_id or 0) <= 0 else "person"


def decided(audits: Sequence[Audit], classifier: Classifier) -> tuple[Decided, tuple[str, ...]] | None:
    """Presort's last decision, and the tags that it then put into the field; None when there was none."""
    ours = [audit for audit in audits if classifier.name in audit.decisions]
    if not ours:
        return None
    last = ours[-1].decisions[classifier.name]
    # Not the value in the audit: a trigger that our write set off may have changed it, in the same audit.
    filled = last.action == "fill" and any(classifier.field_id in audit.fields for audit in ours)
    return last, tuple(sorted(_options(last, classifier))) if filled else ()


def _options(decision: Decided, classifier: Classifier) -> set[str]:
    return {classifier.option(answer) for answer in decision.answers}
