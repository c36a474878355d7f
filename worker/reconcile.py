"""Reads Zendesk's export: tickets that have no decision are sorted after all, solved ones wait for a look back.

What was deleted, or was given a tag of ``spikes.ignored_tags``, is taken back from the counts (``unwanted``).

Webhooks are lost, receivers are down, Redis may be; the export tells of every ticket. What counts as decided is what
Redis remembers, or what the ticket itself carries of ours. The export leaves out the last minute, in which webhooks
arrive; a ticket whose webhook came is left to ``deferred`` for as long as it has no outcome. And should both come, then
a decision is recorded once a ticket, and compared with the ticket before it is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from integration import inbox, messages, outcomes, tracing
from integration.messages import NewTicket
from integration.zendesk.client import Ticket
from integration.zendesk.errors import Refused, ZendeskError
from integration.zendesk.history import carries_ours
from worker.parts import Parts
from worker.reading import with_text
from worker.unwanted import take_back

log = logging.getLogger("presort.ledger")

PAGE = 1000
"""Tickets a request, as many as Zendesk gives."""

PAGE_S = 12.0
"""Between two pages of one look: half of the ten requests a minute are left to ``presort tickets``."""

SOLVED = frozenset({"solved", "closed"})


def reconcile(parts: Parts) -> None:
    """Read one page, and ask for the next one in a while; by one process at a time.

    A page's tickets are in the queue before its cursor is kept: a crash between repeats the page, it never skips one.
    """
    redis, now = parts.store.redis, parts.clock()
    with parts.store.lock("reconcile", life_s=120) as prolong:
        if prolong is None or parts.store.updates_held() > 0:
            return
        begin = int(now - parts.config.ledger.horizon_h * 3600)
        place = outcomes.cursor(redis)
        try:
            page = parts.exporting.export(place or begin, per_page=PAGE)
            missed = _missed(parts, page.tickets, begin)
        except ZendeskError as error:
            log.warning("the export is read later: %s", error)
            if place and isinstance(error, Refused):  # a cursor that Zendesk does not know any more
                outcomes.save_cursor(redis, None)
            return
        _enqueue(parts, page.tickets, missed, now)
        take_back(parts, page.tickets)
        outcomes.await_judgement(redis, _to_judge(parts, page.tickets))
        outcomes.save_cursor(redis, page.cursor)
        if page.last:
            outcomes.caught_up(redis, now)
        else:
            parts.store.defer(messages.RECONCILE, [{}], delay_s=PAGE_S, reason="more pages of the export")


def _missed(parts: Parts, tickets: Sequence[Ticket], begin: float) -> dict[int, list[str]]:
    """Customers' tickets of the horizon, by id, with the classifiers of which they have no decision.

    A ticket is found missing once: when it has no decision even after it was sorted, then it was parked for a person,
    or that person dropped it.
    """
    own = parts.own_user_id
    young = [
        one
        for one in tickets
        if (one.created_at or 0.0) >= begin and one.status not in {"closed", "deleted"} and one.submitter_id != own
    ]
    classifiers = parts.config.classifiers
    bare = [(one.id, each.name) for one in young for each in classifiers if not carries_ours(one, each)]
    missed: dict[int, list[str]] = {}
    for ticket_id, name in parts.store.undecided(bare):
        missed.setdefault(ticket_id, []).append(name)
    return {one: names for one, names in missed.items() if not parts.store.delivered(_delivery(one))}


def _enqueue(parts: Parts, tickets: Sequence[Ticket], missed: Mapping[int, list[str]], now: float) -> None:
    for one in tickets:
        if one.id in missed:
            names = missed[one.id]
            with tracing.root("export", ticket=one.id) as trace:
                told = NewTicket(ticket_id=one.id, received_at=now, classifiers=tuple(names), trace=trace)
                inbox.put(parts.store.redis, messages.CLASSIFY, with_text(told, one), _delivery(one.id), names)
            log.info("queued: only the export told of it", extra={"ticket": one.id})
    if missed:
        log.warning("%d tickets had no decision, and are sorted now: were webhooks lost, or Redis?", len(missed))
        outcomes.count_steps(parts.store.redis, {"reconciled": len(missed)})


def _delivery(ticket_id: int) -> str:
    return f"export:{ticket_id}"


def _to_judge(parts: Parts, tickets: Sequence[Ticket]) -> list[int]:
    """Solved tickets that Presort has answered about, as far as can be told without another request."""
    solved = [one for one in tickets if one.status in SOLVED]
    pairs = [(one.id, each.name) for one in solved for each in parts.config.classifiers]
    unknown = set(parts.store.undecided(pairs))
    return [
        one.id
        for one in solved
        if any(carries_ours(one, each) or (one.id, each.name) not in unknown for each in parts.config.classifiers)
    ]
