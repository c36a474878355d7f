"""What may be written: decisions compared with the tickets as they stand. Pure: no Zendesk, no Redis.

Never over a person's value; never a value the field does not offer; never what is there already.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from integration.messages import Decision
from integration.records import Outcome
from integration.settings import Classifier
from integration.zendesk.client import ChoiceField, Ticket, Update, Value

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
    choices: Mapping[str, ChoiceField],
) -> Plan:
    """Compare decisions with their tickets.

    Args:
        decisions: any number, several classifiers may speak of one ticket.
        tickets: by id, as they stand; absent when deleted.
        classifiers: by name.
        choices: by classifier name, the field it fills.
    """
    results: list[Result] = []
    fields: dict[int, dict[int, Value]] = defaultdict(dict)
    carried: dict[int, list[Decision]] = defaultdict(list)
    for one in decisions:
        ticket = tickets.get(one.ticket_id)
        wanted = _wanted(one, classifiers[one.classifier], choices[one.classifier])
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
    ours = {classifier.prediction_field_id: _prediction(decision), classifier.model_field_id: decision.model}
    dropped = [field for field, value in ours.items() if field is not None and not _same(kept.get(field), value)]
    if dropped:
        log.error("ticket %d: Zendesk dropped our value of field %s; does it exist?", decision.ticket_id, dropped)
        return decision, "parked", f"Zendesk dropped our value of field {dropped[0]}: it must be an active text field"
    return decision, *_outcome(decision, kept.get(classifier.field_id))


def _outcome(decision: Decision, stands: object) -> tuple[Outcome, str]:
    """What a decision came to, by what stands in its field; Zendesk drops what is not among the options."""
    if decision.action == "suggest":
        return "suggested", decision.reason
    kept, ours = _tags(stands), set(decision.answers)
    if kept == ours:
        return "filled", decision.reason
    if not kept:
        return "suggested", "option_missing"
    if kept < ours:
        log.warning(
            "ticket %d: the field does not offer %d of %d tags", decision.ticket_id, len(ours - kept), len(ours)
        )
        return "filled", "option_missing"
    return "suggested", "person_set_it"


def _wanted(decision: Decision, classifier: Classifier, choices: ChoiceField) -> dict[int, Value]:
    """Field id to the value this decision would give it."""
    values = {
        classifier.prediction_field_id: _prediction(decision),
        classifier.confidence_field_id: f"{decision.confidence or 0:.2f}",
        classifier.model_field_id: decision.model,
    }
    wanted: dict[int, Value] = {field: value for field, value in values.items() if field is not None}
    offered = [tag for tag in decision.answers if tag in choices.options]
    if decision.action == "fill" and offered:
        wanted[classifier.field_id] = offered if choices.multi else offered[0]
    return wanted


def _prediction(decision: Decision) -> str:
    """For people: tags hold no spaces, so a comma and a space keep them apart."""
    return ", ".join(decision.answers)


def _reason_not_to_write(
    decision: Decision, ticket: Ticket | None, classifier: Classifier, wanted: Mapping[int, Value]
) -> tuple[Outcome, str] | None:
    if decision.action == "leave":
        return "left_alone", decision.reason
    if ticket is None or ticket.status in {"deleted", "closed"}:
        return "left_alone", f"ticket_{ticket.status if ticket else 'deleted'}"
    if not wanted:
        return "left_alone", "option_missing" if decision.action == "fill" else "nothing_to_write"
    if all(_same(ticket.fields.get(field), value) for field, value in wanted.items()):
        return _outcome(decision, wanted.get(classifier.field_id))
    if ticket.fields.get(classifier.field_id):
        return "left_alone", "person_set_it"
    return None


def _same(stands: object, wanted: object) -> bool:
    """Zendesk answers lists in multi-selects, numbers in decimal fields and text in the others."""
    if isinstance(stands, list) or isinstance(wanted, list):
        return _tags(stands) == _tags(wanted)
    if isinstance(stands, int | float) and not isinstance(stands, bool):
        try:
            return float(str(wanted)) == float(stands)
        except ValueError:
            return False
    return (stands or "") == (wanted or "")


def _tags(value: object) -> set[str]:
    """The tags of a drop-down or a multi-select; an empty one is None, "" or an empty list."""
    return {str(tag) for tag in (value if isinstance(value, list) else [value] if value else [])}


def _audit(decision: Decision) -> dict[str, object]:
    return {
        "decision": decision.id,
        "model": decision.model,
        "reason": decision.reason,
        "threshold": decision.threshold,
        "answers": list(decision.answers),
        "top": [[value, probability] for value, probability in decision.top],
    }
