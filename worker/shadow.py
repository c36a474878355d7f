"""A staged model answers beside the active one: what it would have said is counted, and nothing is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from integration.messages import Decision, NewTicket
from integration.records import Shadow
from worker.parts import Parts
from worker.triage import triage

log = logging.getLogger("presort.shadow")


def score(parts: Parts, tickets: Sequence[NewTicket], decisions: Sequence[Decision]) -> None:
    """Ask the staged models about tickets that the active ones just decided; raises nothing.

    Args:
        parts: of this worker.
        tickets: with their text; those without a decision are not asked about.
        decisions: new ones, so that a ticket that comes twice counts once.
    """
    if not parts.config.worker.shadow_staged:
        return
    for classifier in parts.config.classifiers:
        staged = parts.models.shadowing.get(classifier.name)
        if staged is None:
            continue
        name = f"{staged.manifest.name}@{staged.manifest.version}"
        active = {one.ticket_id: one for one in decisions if one.classifier == classifier.name and one.model != name}
        asked = [ticket for ticket in tickets if ticket.ticket_id in active]
        try:
            answers = triage(asked, classifier, staged, own_user_id=None, now=time.time())
            pairs = [(active[one.ticket_id], one) for one in answers]
            parts.store.count_shadow([(before, after) for before, after in pairs if before.answers and after.answers])
        except Exception as error:  # noqa: BLE001 - a trial must not cost a ticket, whatever breaks in it
            log.warning("%s was not asked about %d tickets: %s", name, len(asked), type(error).__name__)


def table(shadow: Shadow) -> str:
    """``Shadow.agreement`` as text: a headline, then a line a category."""
    rows = shadow.agreement()
    tickets, agreed = sum(row.tickets for row in rows), sum(row.agreed for row in rows)
    width = max((len(row.category) for row in rows), default=8)
    lines = [f"{shadow.staged} beside {shadow.active}: agrees on {agreed} of {tickets} tickets"]
    lines += [f"{'category':{width}}  tickets  agreed  otherwise mostly"] if rows else []
    lines += [
        f"{row.category:{width}}  {row.tickets:7d}  {row.agreed / row.tickets:6.1%}  {row.instead or ''}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)
