"""Tickets that count for no alert, whatever they say: deleted ones, which is what marking as spam does, and imports.

Often that is known only once they have counted. Then they are taken back: by whoever reads in the export that they
changed, ``reconcile`` always, and ``recounting`` too, which may have counted them from a page that was older.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from integration import counting, recounts
from integration.recounts import Filed
from integration.zendesk.client import Ticket
from worker.answers import labels_of
from worker.parts import Parts

log = logging.getLogger("presort.ledger")


def is_unwanted(parts: Parts, ticket: Ticket) -> bool:
    """Whether a ticket is deleted, or tagged as an import is."""
    return ticket.status == "deleted" or not {*ticket.tags}.isdisjoint(parts.config.spikes.ignored_tags)


def take_back(parts: Parts, tickets: Sequence[Ticket]) -> None:
    """Uncount those that are unwanted; each once, however often it is asked.

    What was sorted since counting began, as far as Redis remembers what it counted for: two days, longer than alerts
    look at. What a rebuild counted, for ``recounts.COUNTED_TTL``, under what the ticket tells now: if a person gave it
    another category since, it is that one which has a ticket less.
    """
    found = [one for one in tickets if is_unwanted(parts, one)]
    if not found:
        return
    redis, tick_s = parts.store.redis, parts.config.spikes.tick_s
    for classifier in parts.config.classifiers:
        decided = {
            one.decision.ticket_id: one.decision for one in parts.store.tickets([t.id for t in found], classifier.name)
        }
        labels = parts.predictors[classifier.name].manifest.labels
        past = [
            Filed(
                one.id,
                one.created_at or 0.0,
                decided[one.id].sure if one.id in decided else labels_of(one, classifier, labels),
            )
            for one in found
        ]
        live = counting.uncount(redis, list(decided.values()), tick_s=tick_s)
        if number := live + len(recounts.take_back(redis, classifier.name, past)):
            log.info("%d tickets count no longer for %s: they were deleted or tagged", number, classifier.name)
