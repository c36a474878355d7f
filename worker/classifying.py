"""New tickets in, decisions recorded, writes asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from integration import logs, messages, tracing
from integration.measures import BATCH_TICKETS, DECIDED, DECIDED_SECONDS, INFERENCE_SECONDS
from integration.messages import Decision, NewTicket, Writes
from integration.publisher import publish
from integration.settings import Classifier
from integration.zendesk.errors import ZendeskError
from worker import shadow
from worker.parts import Parts
from worker.reading import park, read
from worker.setbacks import end
from worker.triage import leave, triage

log = logging.getLogger("presort.classifying")


def classify(parts: Parts, tickets: Sequence[NewTicket], *, has_slot: bool = False) -> None:
    """Decide about a batch; raises nothing but errors of Redis and the broker.

    Args:
        parts: of this worker.
        tickets: at most as many as one request may read.
        has_slot: the account's update budget was already charged for their writes.
    """
    began = time.time()
    parts.tally.observe(BATCH_TICKETS, len(tickets))
    known, deleted = read(parts, list({ticket.ticket_id: ticket for ticket in tickets}.values()))
    own = _own_user_id(parts)
    decisions = [
        one
        for classifier in parts.config.classifiers
        for one in _decide(parts, classifier, [each for each in known if _wants(each, classifier)], own)
    ]
    decisions += [
        leave(ticket, classifier, parts.predictors[classifier.name].manifest, reason="ticket_deleted", now=time.time())
        for classifier in parts.config.classifiers
        for ticket in deleted
        if _wants(ticket, classifier)
    ]
    if not decisions:
        return
    ignored = {*parts.config.spikes.ignored_tags}
    no_news = {ticket.ticket_id for ticket in known if not ignored.isdisjoint(ticket.tags)}
    decisions = [msgspec.structs.replace(one, news=one.ticket_id not in no_news) for one in decisions]
    before = parts.store.record(decisions, tick_s=parts.config.spikes.tick_s)
    ended = [one.decision for one in before if one is not None and one.outcome is not None]
    parts.store.answered([(one.ticket_id, one.classifier) for one in ended])
    # A record without an outcome means that a worker died between recording and asking for the write.
    unfinished = [
        decision if record is None else record.decision
        for decision, record in zip(decisions, before, strict=True)
        if record is None or record.outcome is None
    ]
    new = [decision for decision, record in zip(decisions, before, strict=True) if record is None]
    _tell(parts, new, began)
    end(parts, [(one, "left_alone", one.reason) for one in unfinished if one.action == "leave"])
    wanted = tuple(one for one in unfinished if one.action != "leave")
    if wanted:
        publish(parts.celery, messages.WRITE, Writes(decisions=wanted, has_slot=has_slot))
    shadow.score(parts, known, new)


def _tell(parts: Parts, decisions: Sequence[Decision], began: float) -> None:
    """New decisions, in log, figures and traces; ``began`` is when work on their batch did, Unix seconds."""
    for one in decisions:
        told = {"action": one.action, "reason": one.reason, "model": one.model}
        log.info("decided", extra=logs.of(one) | told)
        parts.tally.count(DECIDED, one.classifier, one.category or "", one.action)
        if not one.backfill:
            parts.tally.observe(DECIDED_SECONDS, one.decided_at - one.received_at, one.classifier)
        tracing.note("queue", one.trace, one.received_at, began, ticket=one.ticket_id)
        tracing.note(
            "classify",
            one.trace,
            began,
            time.time(),
            ticket=one.ticket_id,
            classifier=one.classifier,
            decision=one.id,
            reason=one.reason,
            model=one.model,
            batch=len(decisions),
        )


def _wants(ticket: NewTicket, classifier: Classifier) -> bool:
    return not ticket.classifiers or classifier.name in ticket.classifiers


def _decide(
    parts: Parts, classifier: Classifier, tickets: Sequence[NewTicket], own_user_id: int | None
) -> list[Decision]:
    """Triage together; when that fails, one by one, so that a poisonous ticket is parked alone."""
    if not tickets:
        return []
    demoted = parts.demoted(classifier)
    try:
        model = parts.predictors[classifier.name]
        started = time.perf_counter()
        decisions = triage(tickets, classifier, model, own_user_id=own_user_id, now=time.time(), demoted=demoted)
    except Exception as error:  # noqa: BLE001 - whatever a hostile text may break, the other tickets go on
        if len(tickets) == 1:
            # The type only: a message may quote the text.
            park(parts, tickets[0], [classifier.name], f"{type(error).__name__} while classifying")
            return []
        return [one for ticket in tickets for one in _decide(parts, classifier, [ticket], own_user_id)]
    parts.tally.observe(INFERENCE_SECONDS, time.perf_counter() - started, classifier.name)
    return decisions


def _own_user_id(parts: Parts) -> int | None:
    """Asked of Zendesk until it is known, once a minute at most: an outage must not stop the sorting."""
    unknown = "own_user_id" not in parts.__dict__
    if unknown and (time.monotonic() < parts.ask_again_at or parts.store.updates_held() > 0):
        return None
    try:
        return parts.own_user_id
    except ZendeskError as error:
        log.warning("cannot tell our own tickets from others yet: %s", error)
        parts.ask_again_at = time.monotonic() + 60
        return None
