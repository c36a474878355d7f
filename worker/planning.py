"""What may be written: decisions compared with the tickets as they stand. Pure: no Zendesk, no Redis.

Never over a person's value; never a value the field does not offer; never what is there already.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from integration.messages import Decision
from integration.settings import Classifier
from integration.store import Outcome
from integration.zendesk.client import Ticket, Update

log = logging.getLogger("presort.writing")

Result = tuple[Decision, Outcome, str]
"""A decision, what became of it, and why."""


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
    """Compare decisions with their tickets.

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


def verdict(decision: Decision, after: Ticket | None, classifiers: Mapping[str, Classifier]) -> Result:
    """What became of a write, by the ticket as Zendesk has it now: it answers 200 to values it drops.

    Args:
        decision: what was sent.
        after: the ticket as read back, None when it was deleted.
        classifiers: by name.
    """
    classifier = classifiers[decision.classifier]
    if after is None:
        return decision, "left_alone", "ticket_deleted"
    if after.status == "closed":
        return decision, "left_alone", "ticket_closed"
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
    if ticket is None or ticket.status in {"deleted", "closed"}:
        return "left_alone", f"ticket_{ticket.status if ticket else 'deleted'}"
    if not wanted:
        return "left_alone", "option_missing" if decision.action == "fill" else "nothing_to_write"
    if all(_same(ticket.fields.get(field), value) for field, value in wanted.items()):
        return _done(decision, wanted, classifier)
    if ticket.fields.get(classifier.field_id):
        return "left_alone", "person_set_it"
    return None


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
