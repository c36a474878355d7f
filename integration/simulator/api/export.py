"""The cursor-based incremental export: every ticket by its latest change, deleted ones too."""

from __future__ import annotations

import base64
import binascii
from itertools import takewhile

from flask import Blueprint, request

from integration.simulator.api.gate import only_admins
from integration.simulator.api.http import caller_host
from integration.simulator.errors import ApiError, limited
from integration.simulator.records import Json
from integration.simulator.simulation import simulation
from integration.simulator.wire import ticket_json

routes = Blueprint("export", __name__)
routes.before_request(only_admins)

MAX_PAGE = 1_000


@routes.get("/incremental/tickets/cursor")
def tickets() -> Json:
    """Changes after a cursor, or from ``start_time`` on, oldest first; never those of the last minute.

    A ticket that changes again moves to the end, so a reader meets it twice: exports may repeat tickets.

    Raises:
        ApiError: 429 above ten requests a minute, 400 without a usable cursor or start.
    """
    account = simulation().account
    with account.lock:
        now = account.now()
        if not account.exports_left.take(now):
            raise limited("incremental exports per minute", account.exports_left.reset_s(now))
        size = min(request.args.get("per_page", MAX_PAGE, type=int), MAX_PAGE)
        if cursor := request.args.get("cursor"):
            after = _position(cursor)
            newer = list(takewhile(lambda ticket: ticket.position > after, account.latest_changes()))
        elif (start := request.args.get("start_time", type=int)) is not None:
            newer = list(takewhile(lambda ticket: ticket.updated_at >= start, account.latest_changes()))
            after = newer[-1].position - 1 if newer else 0
        else:
            raise ApiError(400, "InvalidValue", "either start_time or cursor is required")
        ripe = [ticket for ticket in reversed(newer) if ticket.updated_at <= now - account.config.export_lag_s]
        found = ripe[:size]
        after_cursor = base64.b64encode(str(found[-1].position if found else after).encode()).decode()
        return {
            "tickets": [ticket_json(account, ticket, caller_host()) for ticket in found],
            "after_cursor": after_cursor,
            "after_url": f"{caller_host()}{request.path}.json?cursor={after_cursor}&per_page={size}",
            "before_cursor": None,
            "before_url": None,
            "end_of_stream": len(found) == len(ripe),
        }


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(400, "InvalidValue", "the cursor is not one of ours") from None
