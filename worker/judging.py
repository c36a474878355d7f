"""Looks back at solved tickets, a few at a time: what had been predicted, and what did agents make of it?

Which tickets are looked at is drawn by lot before anything is known of them. So when there are more of them than
Zendesk's budget for histories allows, what is counted is still a fair sample.
"""

from __future__ import annotations

import logging

from integration import outcomes
from integration.outcomes import Judgement
from integration.zendesk.client import BULK, Audit, Ticket
from integration.zendesk.errors import PermanentError, TemporaryError, UnreadableError, ZendeskError
from integration.zendesk.history import carries_ours
from worker import demotion, hindsight
from worker.hindsight import Said
from worker.parts import Parts
from worker.reconcile import SOLVED
from worker.setbacks import hold

log = logging.getLogger("presort.ledger")

EVERY_S = 15.0
"""Between two looks: a short one holds up this worker's tickets less than a long one."""


def judge(parts: Parts) -> None:
    """Count what became of some solved tickets; what cannot be read now waits on. Raises nothing but Redis errors."""
    redis = parts.store.redis
    with parts.store.lock("judge", life_s=60) as prolong:
        if prolong is None or parts.store.updates_held() > 0:
            return
        limit = min(BULK, round(parts.config.ledger.histories_per_minute * EVERY_S / 60))
        waiting = outcomes.take_unjudged(redis, limit)
        found: list[Judgement] = []
        try:
            tickets = parts.zendesk.show_many(waiting)
            while waiting:
                ticket = tickets.get(waiting[-1])
                if ticket is not None and ticket.status in SOLVED:  # else it was deleted or opened again
                    found += _judge(parts, ticket)
                    prolong()
                waiting.pop()
        except ZendeskError as error:
            log.warning("%d solved tickets are looked back at later: %s", len(waiting), error)
            outcomes.await_judgement(redis, waiting)
            if isinstance(error, TemporaryError):
                hold(parts, error)
        if found:
            outcomes.count(redis, found)
            demotion.look(parts)


def _judge(parts: Parts, ticket: Ticket) -> list[Judgement]:
    audits: list[Audit] | None = None
    found = []
    for classifier in parts.config.classifiers:
        record = parts.store.ticket(ticket.id, classifier.name)
        if record is not None and record.decision.backfill:
            continue  # nobody looked at most old tickets again, so that their value stands says nothing
        if record is not None and (record.outcome, record.reason) == ("left_alone", "option_missing"):
            continue  # what nobody can choose is neither right nor wrong, and it is reported elsewhere
        said: Said | None = None
        if record is not None and record.outcome is not None and record.decision.answers:
            said = hindsight.from_record(record, classifier)
        unclear = carries_ours(ticket, classifier) if said is None else not hindsight.stands(said, ticket, classifier)
        if unclear:
            audits = _audits(parts, ticket.id) if audits is None else audits
            said = said or hindsight.from_history(audits, classifier)
        if said is not None:
            found += hindsight.judge(said, ticket, audits, classifier, parts.own_user_id)
    return found


def _audits(parts: Parts, ticket_id: int) -> list[Audit]:
    try:
        return parts.zendesk.audits(ticket_id)
    except (PermanentError, UnreadableError) as error:  # it must not hold up the others
        log.warning("looked back at without its history: %s", error, extra={"ticket": ticket_id})
        return []
