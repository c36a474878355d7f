"""Which old tickets a backfill is to sort, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from integration import settings
from integration.settings import Classifier
from integration.zendesk.client import BULK, Ticket, Zendesk
from integration.zendesk.patience import Patience

REQUESTS_A_BATCH = 6
"""Read the texts, read the tickets as they stand, update, ask twice after the job, read back."""

BATCH_S = 3.0
"""A batch at its fastest; the next one begins when it has ended."""


class Plan(NamedTuple):
    """What there is to do.

    Attributes:
        tickets: their ids, in the order they were filed.
        left_out: reason to the tickets found but left out for it.
    """

    tickets: list[int]
    left_out: Counter[str]


class Cost(NamedTuple):
    """What it takes at least; new tickets go first."""

    requests: int
    minutes: float


def query(since: datetime, until: datetime, more: str | None) -> str:
    """Zendesk's search syntax for tickets that were filed from ``since`` on and before ``until``, and are not closed.

    Args:
        since: a time with its zone.
        until: the same.
        more: further terms.
    """
    times = [at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (since, until)]
    return " ".join(filter(None, [f"created>={times[0]} created<{times[1]} status<closed", more]))


def find(zendesk: Zendesk, asked: str, patience: Patience) -> Iterator[Sequence[Ticket]]:
    """The tickets that a query finds, page by page.

    Raises:
        ZendeskError: see ``Patience.ask``.
    """
    cursor: str | None = None
    while True:
        page = patience.ask(partial(zendesk.search, asked, cursor))
        yield page.tickets
        if page.cursor is None:
            return
        cursor = page.cursor


def choose(found: Iterable[Ticket], classifiers: Sequence[Classifier], own_user_id: int) -> Plan:
    """Those that anything is to be done about: a field is empty, and nobody has answered for it."""
    plan = Plan([], Counter())
    for ticket in found:
        if reason := _reason_to_leave_out(ticket, classifiers, own_user_id):
            plan.left_out[reason] += 1
        else:
            plan.tickets.append(ticket.id)
    return plan


def cost(tickets: int, classifiers: int, limits: settings.Zendesk) -> Cost:
    """Requests and minutes for so many tickets.

    Args:
        tickets: to do.
        classifiers: that each is sorted for.
        limits: the account's.
    """
    batches = -(-tickets // max(1, BULK // classifiers))
    a_batch_s = max(BATCH_S, 60 / (limits.updates_per_minute * limits.share))
    return Cost(batches * REQUESTS_A_BATCH, batches * a_batch_s / 60)


def _reason_to_leave_out(ticket: Ticket, classifiers: Sequence[Classifier], own_user_id: int) -> str | None:
    if ticket.status in {"closed", "deleted"}:  # the search index lags behind
        return f"{ticket.status} meanwhile"
    if ticket.submitter_id == own_user_id:
        return "filed by Presort's own user"
    if all(ticket.fields.get(one.field_id) for one in classifiers):
        return "the field has a value"
    return None
