"""Under which labels a ticket of the past counts, by what stands on it: Presort's own fields, or people's value."""

from __future__ import annotations

from collections.abc import Sequence

from integration.settings import Classifier
from integration.zendesk.client import Ticket
from integration.zendesk.history import tags
from model_export.bundle.manifest import Label
from worker.planning import SEPARATOR

ROUNDED = 0.005
"""What a confidence of two decimals may have lost."""


def labels_of(ticket: Ticket, classifier: Classifier, labels: Sequence[Label]) -> tuple[str, ...]:
    """What Presort answered, if it was sure; where it answered nothing, what people say."""
    answer = answer_of(ticket, classifier, labels)
    return value_of(ticket, classifier, labels) if answer is None else answer


def answer_of(ticket: Ticket, classifier: Classifier, labels: Sequence[Label]) -> tuple[str, ...] | None:
    """What Presort answered and was sure of, as labels of the model that serves; None when the ticket does not tell.

    An unsure answer counts nowhere, whatever a person made of it: it did not when it came.
    """
    answer = str(ticket.fields.get(classifier.prediction_field_id or 0) or "")
    confidence = _number(ticket.fields.get(classifier.confidence_field_id or 0))
    if not answer or confidence is None:
        return None
    found = _stand_for(answer.split(SEPARATOR), classifier, labels)
    sure = found and found[0].threshold - ROUNDED <= confidence and found[0].threshold <= 1  # best first
    return tuple(one.value for one in found) if sure else ()


def value_of(ticket: Ticket, classifier: Classifier, labels: Sequence[Label]) -> tuple[str, ...]:
    """What stands in the category field, as labels of the model that serves."""
    found = _stand_for(tags(ticket.fields.get(classifier.field_id)), classifier, labels)
    return tuple(one.value for one in found)


def _stand_for(options: Sequence[str], classifier: Classifier, labels: Sequence[Label]) -> list[Label]:
    """The labels of options; of several that became one option, the first."""
    known = {classifier.option(one.value): one for one in reversed(labels)}
    return [known[one] for one in options if one in known]


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
