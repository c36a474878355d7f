"""What became of a prediction, once its ticket is solved. Pure: tickets and histories in, judgements out.

A ticket whose field is empty in the end says nothing about a suggestion, and is not judged; it says that Presort was
wrong where Presort had filled it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from integration.outcomes import Judgement, month_of
from integration.records import Record
from integration.settings import Classifier
from integration.zendesk.client import Audit, Ticket
from integration.zendesk.history import decided, set_by, tags


class Said(NamedTuple):
    """What Presort had answered.

    Attributes:
        model: ``name@version``.
        answers: the model's tags: one, or of a multi-label model several.
        sure: whether they had reached their thresholds.
        written: the options that Presort put into the field; empty when it only suggested.
    """

    model: str
    answers: tuple[str, ...]
    sure: bool
    written: tuple[str, ...]


def from_record(record: Record, classifier: Classifier) -> Said:
    """What Presort remembers of it: no request is needed."""
    one = record.decision
    written = map(classifier.option, one.answers) if record.outcome == "filled" else ()
    return Said(one.model, one.answers, bool(one.sure), tuple(written))


def from_history(audits: Sequence[Audit], classifier: Classifier) -> Said | None:
    """What the ticket's audits tell of it, None when Presort never wrote to it, or only in a backfill."""
    found = decided(audits, classifier)
    if found is None or not found[0].answers or found[0].backfill:
        return None
    one, written = found
    return Said(one.model, one.answers, one.sure, written)


def stands(said: Said, ticket: Ticket, classifier: Classifier) -> bool:
    """Whether the field holds in the end what was answered, and nothing else: then nobody needs to be asked who."""
    return set(map(classifier.option, said.answers)) == set(tags(ticket.fields.get(classifier.field_id)))


def judge(
    said: Said, ticket: Ticket, audits: Sequence[Audit] | None, classifier: Classifier, own_user_id: int
) -> list[Judgement]:
    """One judgement an answer.

    Args:
        said: about this ticket.
        ticket: solved or closed.
        audits: oldest first; None when they were not read, because it stands.
        classifier: whose answer it was.
        own_user_id: the user Presort acts as.
    """
    final = tags(ticket.fields.get(classifier.field_id))
    if not final and not said.written:
        return []
    by = set_by(audits, classifier, own_user_id) if audits else None
    options = {answer: classifier.option(answer) for answer in said.answers}
    instead = tuple(one for one in final if one not in options.values())
    return [
        Judgement(
            ticket_id=ticket.id,
            classifier=classifier.name,
            model=said.model,
            category=answer,
            month=month_of(ticket.created_at or 0.0),
            sure=said.sure,
            written=option in said.written,
            right=option in final,
            into=() if option in final else instead,
            by=by or "unknown",
        )
        for answer, option in options.items()
    ]
