"""Tickets and a model in, decisions out: a plain function, no Celery, no Redis, no Zendesk."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from integration.messages import Decision, NewTicket
from integration.settings import Classifier
from integration.zendesk.channels import STUB_CHANNELS
from model_export.bundle.manifest import Manifest
from model_export.bundle.text import prepare_text
from worker.languages import language_of
from worker.modes import mode_of, restrained

TOP = 3


class Model(Protocol):
    """What triage needs of a ``Predictor``."""

    manifest: Manifest

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, labels) probabilities."""


def triage(
    tickets: Sequence[NewTicket],
    classifier: Classifier,
    model: Model,
    *,
    own_user_id: int | None,
    now: float,
    demoted: Collection[str] = (),
) -> list[Decision]:
    """Decide about tickets whose text is known, for one classifier.

    Args:
        tickets: in any order; one model run for all that have a text.
        classifier: the field and its mode.
        model: answers with (texts, labels) probabilities.
        own_user_id: tickets of this user are not sorted, or our own alerts would be.
        now: Unix seconds.
        demoted: the classifier's categories that are suggested at most.

    Returns:
        One decision a ticket, in the order given.
    """
    texts = [prepare_text(ticket.subject, ticket.description) for ticket in tickets]
    skipped = [_reason_to_skip(ticket, text, own_user_id) for ticket, text in zip(tickets, texts, strict=True)]
    spoken = [language_of(text) if text and model.manifest.languages else None for text in texts]
    if classifier.other_languages == "skip":
        foreign = ["other_language" if _is_foreign(one, model.manifest) else None for one in spoken]
        skipped = [reason or other for reason, other in zip(skipped, foreign, strict=True)]
    asked = [row for row, reason in enumerate(skipped) if reason is None]
    answers = dict(zip(asked, model.predict([texts[row] for row in asked]), strict=True)) if asked else {}
    decided = [
        leave(ticket, classifier, model.manifest, reason=reason, language=spoken[row], now=now)
        if reason is not None
        else _decide(ticket, classifier, model.manifest, answers[row], language=spoken[row], now=now)
        for row, (ticket, reason) in enumerate(zip(tickets, skipped, strict=True))
    ]
    return [
        restrained(one, *mode_of(classifier, one.answers, ticket.brand_id, demoted))
        for ticket, one in zip(tickets, decided, strict=True)
    ]


def leave(
    ticket: NewTicket,
    classifier: Classifier,
    manifest: Manifest,
    *,
    reason: str,
    now: float,
    language: str | None = None,
) -> Decision:
    """The decision not to touch a ticket, and why."""
    return Decision(action="leave", reason=reason, language=language, **_common(ticket, classifier, manifest, now))


def _reason_to_skip(ticket: NewTicket, text: str, own_user_id: int | None) -> str | None:
    if own_user_id is not None and ticket.actor_id == own_user_id:
        return "own_ticket"
    if ticket.channel in STUB_CHANNELS and not ticket.messages_read:
        return "stub_text"
    return None if text else "no_text"


def _is_foreign(language: str | None, manifest: Manifest) -> bool:
    return language is not None and language not in manifest.languages


def _decide(
    ticket: NewTicket,
    classifier: Classifier,
    manifest: Manifest,
    probabilities: NDArray[np.float32],
    *,
    language: str | None,
    now: float,
) -> Decision:
    order = np.argsort(-probabilities, kind="stable")
    ranked = [(manifest.labels[i], round(float(probabilities[i]), 4)) for i in order]
    several = manifest.task == "multi"
    # Thresholds were solved on tickets in the model's own languages; in another they promise nothing.
    foreign = _is_foreign(language, manifest)
    candidates = [] if foreign else ranked if several else ranked[:1]
    sure = [one for one in candidates if one[1] >= one[0].threshold]
    best, confidence = (sure or ranked)[0]
    top = [one for rank, one in enumerate(ranked) if rank < TOP or one in sure]
    return Decision(
        action="fill" if sure else "suggest",
        reason="confident" if sure else "other_language" if foreign else "below_threshold",
        category=best.value,
        values=tuple(label.value for label, _ in sure) if several else None,
        confidence=confidence,
        top=tuple((label.value, probability) for label, probability in top),
        threshold=None if foreign else best.threshold,
        language=language,
        **_common(ticket, classifier, manifest, now),
    )


def _common(ticket: NewTicket, classifier: Classifier, manifest: Manifest, now: float) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "ticket_id": ticket.ticket_id,
        "classifier": classifier.name,
        "model": f"{manifest.name}@{manifest.version}",
        "created_at": ticket.created_at or ticket.received_at,
        "received_at": ticket.received_at,
        "decided_at": now,
        "backfill": ticket.backfill,
        "trace": ticket.trace,
    }
