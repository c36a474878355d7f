"""The hours before counting began, from Zendesk's export: at the first start, and after Redis was lost.

``integration.counting`` counts the tickets of each whole hour since it began, as they are decided; those of the hours
before are counted here, whoever decided about them, so that an hour has one owner. A pass reads all that changed since
some time, a page a look, while ``reconcile`` is through and nobody else uses up Zendesk's limit. A page's tickets are
counted, each once, before its cursor is kept: a crash repeats the page and counts nothing twice. A ticket that changes
meanwhile moves to the export's end, which is read too, so that none is lost; one that was deleted is taken back there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from integration import counting, outcomes, recounts
from integration.counting import Change
from integration.messages import Decision
from integration.recounts import Filed, Recount
from integration.settings import Classifier
from integration.store import DAY, HOUR
from integration.times import local_time
from integration.zendesk.client import Ticket
from integration.zendesk.errors import RateLimited, Refused, ZendeskError
from worker.answers import answer_of, value_of
from worker.parts import Parts
from worker.reconcile import PAGE
from worker.unwanted import is_unwanted, take_back

log = logging.getLogger("presort.recount")

EVERY_S = 12.0
"""Between two pages: half of the ten requests a minute, for as long as ``reconcile`` needs none."""

NEWEST = 14 * DAY
"""The first pass: each hour of the week twice, which alerts can begin with."""

REACH = 56 * DAY
"""The second one."""

MOST_PAGES = 14_400
"""Of the second pass, two days: an account with more tickets has learned enough from the first."""

LAG_S = 120.0
"""The export leaves out the last minute, and a ticket is decided some seconds after it was filed."""

PUT_OFF_S = 60.0

TOLD_EVERY = 50
"""Pages between two lines in the log: ten minutes."""

BY_PEOPLE = 0.1
"""Where a person's word told the category of a larger share, the past is as if another model had answered."""


def recount(parts: Parts) -> None:
    """Read a page, if the hours of a classifier do not reach back; by one process at a time."""
    redis, now = parts.store.redis, parts.clock()
    with parts.store.lock("recount", life_s=120) as prolong:
        if prolong is None or parts.store.updates_held() > 0:
            return
        run = recounts.current(redis) or _begin(parts, now)
        if run is None or now < run.not_before or not _others_are_through(parts, now):
            return
        try:
            page = parts.exporting.export(run.cursor or int(run.since), per_page=PAGE)
            own = parts.own_user_id
        except ZendeskError as error:
            log.warning("the export is read later for past hours: %s", error)
            # Who asks again at once takes from others what they wait for. A cursor may have become unknown.
            wait_s = error.retry_after if isinstance(error, RateLimited) and error.retry_after else PUT_OFF_S
            cursor = None if isinstance(error, Refused) else run.cursor
            recounts.save(redis, msgspec.structs.replace(run, cursor=cursor, not_before=now + wait_s))
            return
        take_back(parts, page.tickets)
        counted, by_people = _count(parts, run, [one for one in page.tickets if _is_past(parts, run, one, own)])
        changes = [one.updated_at for one in page.tickets if one.updated_at is not None]
        run = msgspec.structs.replace(
            run,
            cursor=page.cursor,
            changed_to=max([run.changed_to, *changes]),
            pages=run.pages + 1,
            tickets=run.tickets + counted,
            by_people=run.by_people + by_people,
        )
        recounts.save(redis, run)
        if run.pages % TOLD_EVERY == 0:
            log.info("past hours: %s", run.describe(now, parts.config.zendesk.time_zone))
        if page.last:
            _end(parts, run, now)


def _begin(parts: Parts, now: float) -> Recount | None:
    """The first pass for those whose hours begin too late; None where all reach back, or have not begun yet."""
    redis, late = parts.store.redis, (now - NEWEST) // HOUR
    since = {one.name: counting.counting_since(redis, one.name) for one in parts.config.classifiers}
    until = {name: float(hour * HOUR) for name, hour in since.items() if hour is not None and hour > late}
    if not until:
        return None
    run = Recount(until=until, since=late * HOUR, began_at=now)
    recounts.save(redis, run)
    log.info("past hours are counted: %s", run.describe(now, parts.config.zendesk.time_zone))
    return run


def _others_are_through(parts: Parts, now: float) -> bool:
    """New tickets come first: ``reconcile`` has read the export to its end, a short while ago."""
    at = outcomes.caught_up_at(parts.store.redis)
    return at is not None and now - at <= 2 * parts.config.ledger.every_s


def _is_past(parts: Parts, run: Recount, ticket: Ticket, own_user_id: int) -> bool:
    at = ticket.created_at or 0.0
    return (
        run.since <= at < max(run.until.values())
        and ticket.submitter_id != own_user_id
        and not is_unwanted(parts, ticket)
    )


def _count(parts: Parts, run: Recount, tickets: Sequence[Ticket]) -> tuple[int, int]:
    """Count what was not counted; how many tickets that were, and how many of them by a person's word only."""
    redis = parts.store.redis
    new: set[int] = set()
    by_people: set[int] = set()
    undecided: set[int] = set()
    for classifier in _classifiers(parts, run):
        labels, until = parts.predictors[classifier.name].manifest.labels, run.until[classifier.name]
        decided = _decided(parts, classifier, [one.id for one in tickets])
        counts = []
        for one in tickets:
            at = one.created_at or 0.0
            if at >= until:
                continue
            said = decided[one.id].sure if one.id in decided else answer_of(one, classifier, labels)
            found = value_of(one, classifier, labels) if said is None else said
            if found:
                counts.append(Filed(one.id, at, found))
            if said is None:
                (by_people if found else undecided).add(one.id)
        new |= recounts.count(redis, classifier.name, counts)
    young = max(run.until.values()) - parts.config.ledger.horizon_h * HOUR
    recounts.leave_open(redis, [one.id for one in tickets if one.id in undecided and (one.created_at or 0.0) >= young])
    return len(new), len(new & by_people)


def _end(parts: Parts, run: Recount, now: float) -> None:
    """The export's end: if nothing of the past can still come, the hours are whole, and the next pass begins."""
    redis = parts.store.redis
    over = max(run.until.values()) + LAG_S
    if now < over or _some_are_undecided(parts, run):
        recounts.save(redis, msgspec.structs.replace(run, not_before=max(over, now + PUT_OFF_S)))
        return
    told = f"{run.tickets:,} tickets on {run.pages:,} pages of Zendesk's export"
    for name, until in run.until.items():
        marked = any(one.kind != "rebuilt" and one.at >= until for one in counting.changes(redis, name))
        if run.by_people > run.tickets * BY_PEOPLE and not marked:
            manifest = parts.predictors[name].manifest
            told_by = f"people's values -> {manifest.name}@{manifest.version}"
            counting.mark(redis, name, Change(at=until, kind="model", detail=told_by))
        counting.reach_back(redis, name, int(run.since // HOUR), Change(at=now, kind="rebuilt", detail=told))
    log.info("hours since %s are whole: %s", local_time(run.since, parts.config.zendesk.time_zone), told)
    if run.since > now - REACH + DAY and run.pages * REACH <= MOST_PAGES * NEWEST:
        recounts.save(redis, Recount(until=run.until, since=(now - REACH) // HOUR * HOUR, began_at=now))
    else:
        recounts.drop(redis)


def _some_are_undecided(parts: Parts, run: Recount) -> bool:
    """Whether tickets of the past still wait for a decision; those that were decided since they were read are counted.

    A decision changes nothing on a ticket that is left alone, so that the export would not tell of it.
    """
    left, waiting = recounts.left_open(parts.store.redis), False
    for classifier in _classifiers(parts, run):
        decided = _decided(parts, classifier, left)
        counts = [
            Filed(one.ticket_id, one.created_at, one.sure)
            for one in decided.values()
            if one.sure and one.news and run.since <= one.created_at < run.until[classifier.name]
        ]
        recounts.count(parts.store.redis, classifier.name, counts)
        pairs = [(one, classifier.name) for one in left if one not in decided]
        waiting = waiting or len(parts.store.undecided(pairs)) < len(pairs)  # their webhooks are being worked on
    return waiting


def _classifiers(parts: Parts, run: Recount) -> list[Classifier]:
    return [one for one in parts.config.classifiers if one.name in run.until]


def _decided(parts: Parts, classifier: Classifier, ticket_ids: Sequence[int]) -> dict[int, Decision]:
    """What Redis remembers of the decisions about tickets, by id."""
    return {one.decision.ticket_id: one.decision for one in parts.store.tickets(ticket_ids, classifier.name)}
