"""What may be written: decisions compared with the tickets as they stand. Pure: no Zendesk, no Redis.

Never over a person's value; never a value the field does not offer; never what is there already.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from integration import logs
from integration.messages import Decision
from integration.records import Outcome
from integration.settings import Classifier
from integration.zendesk.client import ChoiceField, Ticket, Update, Value
from integration.zendesk.history import tags
from worker.modes import mode_of, restrained

log = logging.getLogger("presort.writing")

SEPARATOR = ", "
"""Between the tags in our prediction field: tags hold no spaces."""

SHOWN_CHARS = 100
"""Of a text that a write replaced: a person may have put anything into our fields."""

Result = tuple[Decision, Outcome, str]
"""A decision, what became of it, and why."""


Planned = tuple[Update, tuple[Decision, ...]]
"""What one ticket is sent, with the decisions it carries out."""


class Plan(NamedTuple):
    """What to send, and what needs no sending.

    Attributes:
        updates: one per ticket.
        results: decisions that end without a write.
    """

    updates: list[Planned]
    results: list[Result]


def plan(
    decisions: Sequence[Decision],
    tickets: Mapping[int, Ticket],
    classifiers: Mapping[str, Classifier],
    choices: Mapping[str, ChoiceField],
    demoted: Collection[tuple[str, str]] = (),
) -> Plan:
    """Compare decisions with their tickets, and hold them to the modes of now: they may have waited for days.

    Args:
        decisions: any number, several classifiers may speak of one ticket.
        tickets: by id, as they stand; absent when deleted.
        classifiers: by name.
        choices: by classifier name, the field it fills.
        demoted: (classifier, category) pairs that are suggested at most.
    """
    results: list[Result] = []
    fields: dict[int, dict[int, Value]] = defaultdict(dict)
    carried: dict[int, list[Decision]] = defaultdict(list)
    for decision in decisions:
        ticket = tickets.get(decision.ticket_id)
        one = _of_now(decision, classifiers[decision.classifier], ticket, demoted)
        options = _offered(one, classifiers[one.classifier], choices[one.classifier])
        wanted = _wanted(one, classifiers[one.classifier], options, multi=choices[one.classifier].multi)
        refusal = _reason_not_to_write(one, ticket, classifiers[one.classifier], options, wanted)
        if refusal is not None:
            results.append((one, *refusal))
            continue
        fields[one.ticket_id].update(wanted)
        carried[one.ticket_id].append(_with_before(one, ticket, wanted))
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


def missing_options(
    decisions: Sequence[Decision], classifiers: Mapping[str, Classifier], choices: Mapping[str, ChoiceField]
) -> dict[str, Counter[str]]:
    """How many decisions name a label whose option is gone, by classifier and label."""
    missing: dict[str, Counter[str]] = defaultdict(Counter)
    for one in decisions:
        if one.action != "leave":
            classifier, options = classifiers[one.classifier], choices[one.classifier].options
            missing[one.classifier].update(tag for tag in one.answers if classifier.option(tag) not in options)
    return {name: counts for name, counts in missing.items() if counts}


def _of_now(
    decision: Decision, classifier: Classifier, ticket: Ticket | None, demoted: Collection[tuple[str, str]]
) -> Decision:
    own = {category for name, category in demoted if name == classifier.name}
    return restrained(decision, *mode_of(classifier, decision.answers, ticket.brand_id if ticket else None, own))


def _with_before(decision: Decision, ticket: Ticket | None, wanted: Mapping[int, Value]) -> Decision:
    """With what its write replaces: the audit and the exported decisions say how to undo it."""
    stands = {field: ticket.fields.get(field) for field in wanted} if ticket else {}
    before = {str(field): value[:SHOWN_CHARS] if isinstance(value, str) else value for field, value in stands.items()}
    return msgspec.structs.replace(decision, before=before | decision.before)


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
    dropped = [field for field, good in _ours(decision, classifier, kept).items() if field is not None and not good]
    if dropped:
        log.error("Zendesk dropped our value of field %s; does it exist?", dropped, extra=logs.of(decision))
        return decision, "parked", f"Zendesk dropped our value of field {dropped[0]}: it must be an active text field"
    return decision, *_outcome(decision, kept.get(classifier.field_id), classifier)


def _ours(decision: Decision, classifier: Classifier, kept: Mapping[int, object]) -> dict[int | None, bool]:
    """Our text fields, and whether Zendesk kept what we wrote into them."""
    listed = {tag for tag in str(kept.get(classifier.prediction_field_id or 0) or "").split(SEPARATOR) if tag}
    return {
        # Some of the answers: those whose option was there.
        classifier.prediction_field_id: bool(listed) and listed <= _aliased(decision, classifier),
        classifier.model_field_id: _same(kept.get(classifier.model_field_id or 0), decision.model),
    }


def _aliased(decision: Decision, classifier: Classifier) -> set[str]:
    return set(map(classifier.option, decision.answers))


def _outcome(decision: Decision, stands: object, classifier: Classifier) -> tuple[Outcome, str]:
    """What a decision came to, by what stands in its field; Zendesk drops what is not among the options."""
    if decision.action == "suggest":
        return "suggested", decision.reason
    kept, ours = set(tags(stands)), _aliased(decision, classifier)
    if kept == ours:
        return "filled", decision.reason
    if not kept:
        return "suggested", "option_missing"
    if kept < ours:
        log.warning("the field does not offer %d of %d tags", len(ours - kept), len(ours), extra=logs.of(decision))
        return "filled", "option_missing"
    return "suggested", "person_set_it"


def _offered(decision: Decision, classifier: Classifier, choices: ChoiceField) -> list[str]:
    """The options that the answers stand for, each once, best first, without those that are gone."""
    options = dict.fromkeys(map(classifier.option, decision.answers))
    return [one for one in options if one in choices.options]


def _wanted(decision: Decision, classifier: Classifier, options: list[str], *, multi: bool) -> dict[int, Value]:
    """Field id to the value this decision would give it; what nobody can choose is not even suggested."""
    if not options:
        return {}
    values = {
        classifier.prediction_field_id: SEPARATOR.join(options),
        classifier.confidence_field_id: f"{decision.confidence or 0:.2f}",
        classifier.model_field_id: decision.model,
    }
    wanted: dict[int, Value] = {field: value for field, value in values.items() if field is not None}
    if decision.action == "fill":
        wanted[classifier.field_id] = options if multi else options[0]
    return wanted


def _reason_not_to_write(
    decision: Decision,
    ticket: Ticket | None,
    classifier: Classifier,
    options: Sequence[str],
    wanted: Mapping[int, Value],
) -> tuple[Outcome, str] | None:
    if decision.action == "leave":
        return "left_alone", decision.reason
    if ticket is None or ticket.status in {"deleted", "closed"}:
        return "left_alone", f"ticket_{ticket.status if ticket else 'deleted'}"
    if not wanted:
        return "left_alone", "nothing_to_write" if options else "option_missing"
    # Without text fields of ours, that our value stands there does not say that we put it there.
    traceable = decision.before or set(wanted) != {classifier.field_id}
    if traceable and all(_same(ticket.fields.get(field), value) for field, value in wanted.items()):
        return _outcome(decision, wanted.get(classifier.field_id), classifier)
    stands = ticket.fields.get(classifier.field_id)
    # Of a decision that was sent before, and of which Zendesk dropped a part, its own value is no person's.
    ours = decision.before and _same(stands, wanted.get(classifier.field_id))
    return ("left_alone", "person_set_it") if stands and not ours else None


def _same(stands: object, wanted: object) -> bool:
    """Zendesk answers lists in multi-selects, numbers in decimal fields and text in the others."""
    if isinstance(stands, list) or isinstance(wanted, list):
        return set(tags(stands)) == set(tags(wanted))
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
        "action": decision.action,
        "reason": decision.reason,
        "threshold": decision.threshold,
        "answers": list(decision.answers),
        "top": [[value, probability] for value, probability in decision.top],
        "before": decision.before,
        "backfill": decision.backfill,
    }
