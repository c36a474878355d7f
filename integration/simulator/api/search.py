"""The search export: tickets that a query finds, in the order they were filed."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Blueprint, request

from integration.simulator.api.http import caller_host
from integration.simulator.errors import ApiError, limited
from integration.simulator.records import Json, Ticket
from integration.simulator.simulation import simulation
from integration.simulator.wire import seconds, ticket_json

routes = Blueprint("search", __name__)

MAX_PAGE = 1_000
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
"""In the order in which ``status<closed`` compares them."""


@routes.get("/search/export")
def export() -> Json:
    """Tickets by pages; the simulator knows the terms ``created>=``, ``created<``, ``status<``, ``tags:`` and words.

    Raises:
        ApiError: 422 without ``filter[type]``, with a type in the query, with a term that is none of these or with a
            cursor that is none; 429 above a hundred requests a minute.
    """
    query, size = request.args.get("query", ""), request.args.get("page[size]", 100, type=int)
    if request.args.get("filter[type]") != "ticket" or "type:" in query:
        raise ApiError(422, "InvalidFilterType", "name the type in filter[type], and not in the query")
    account = simulation().account
    with account.lock:
        now = account.now()
        if not account.searches_left.take(now):
            raise limited("search exports per minute", account.searches_left.reset_s(now))
        wanted = [_term(term) for term in query.split()]
        after = _position(request.args.get("page[after]", "0"))
        found = [
            ticket
            for ticket in account.tickets.values()
            if ticket.id > after and not ticket.deleted and all(meets(ticket) for meets in wanted)
        ]
        page = found[: min(size, MAX_PAGE)]
        more = len(found) > len(page)
        cursor = str(page[-1].id) if more else None
        return {
            "results": [ticket_json(account, ticket, caller_host()) | {"result_type": "ticket"} for ticket in page],
            "meta": {"has_more": more, "after_cursor": cursor, "before_cursor": None},
            "links": {"next": f"{request.url}&page[after]={cursor}" if more else None, "prev": None},
        }


def _term(term: str) -> Callable[[Ticket], bool]:
    name, sign, value = re.fullmatch(r"(?:(\w+)(>=|<|:))?(.*)", term).groups()  # type: ignore[union-attr]  # matches all
    match name, sign:
        case "created", ">=":
            since = _time(value)
            return lambda ticket: ticket.created_at >= since
        case "created", "<":
            until = _time(value)
            return lambda ticket: ticket.created_at < until
        case "status", "<":
            rank = _rank(value)
            return lambda ticket: STATUSES.index(ticket.status) < rank
        case "tags", ":":
            return lambda ticket: value in ticket.tags
        case None, None:
            return lambda ticket: value.lower() in f"{ticket.subject} {ticket.description}".lower().split()
    raise ApiError(422, "InvalidQuery", f"the simulator does not know the search term {term!r}")


def _rank(status: str) -> int:
    if status not in STATUSES:
        raise ApiError(422, "InvalidQuery", f"there is no status {status!r}")
    return STATUSES.index(status)


def _time(stamp: str) -> float:
    try:
        return seconds(stamp)
    except ValueError:
        raise ApiError(422, "InvalidQuery", f"{stamp!r} is not a time") from None


def _position(cursor: str) -> int:
    if not cursor.isdecimal():
        raise ApiError(422, "InvalidCursor", "the cursor is not one of ours")
    return int(cursor)
