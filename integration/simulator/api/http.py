"""Request bodies in, collections out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import request

from integration.simulator.errors import ApiError, too_many_values
from integration.simulator.records import Json

Row = TypeVar("Row")

MAX_PAGE = 100


def body(name: str) -> Json:
    """The object under ``name`` in the request's JSON.

    Raises:
        ApiError: 400 when there is none.
    """
    document = request.get_json()
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise ApiError(400, "InvalidRequest", f"the request's JSON needs an object named {name}")
    return found


def bodies(name: str, limit: int) -> list[Json]:
    """The list of objects under ``name`` in the request's JSON.

    Raises:
        ApiError: 400 when there is none, or it is longer than ``limit``.
    """
    document = request.get_json()
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ApiError(400, "InvalidRequest", f"the request's JSON needs a list of objects named {name}")
    if len(found) > limit:
        raise too_many_values(limit)
    return found


def caller_host() -> str:
    """Scheme and host as the caller wrote them: URLs in answers must lead back the way they came."""
    return f"{request.headers.get('X-Forwarded-Proto', request.scheme)}://{request.host}"


def listing(name: str, rows: list[Json]) -> Json:
    """A collection in one page."""
    return {name: rows, "count": len(rows), "next_page": None, "previous_page": None}


def page(name: str, items: Sequence[Row], write: Callable[[Row], Json], *, always: bool = False) -> Json:
    """A collection by cursor when the caller sends ``page[size]``, or ``always``; all of it otherwise.

    The cursor is the number of rows before it; Zendesk's are opaque, and so should they be to the caller.

    Raises:
        ApiError: 400 for a size or a cursor that is none.
    """
    if "page[size]" not in request.args and not always:
        return listing(name, [write(item) for item in items])
    size, after = request.args.get("page[size]", str(MAX_PAGE)), request.args.get("page[after]", "0")
    if not size.isdigit() or not after.isdigit() or not 1 <= int(size) <= MAX_PAGE:
        raise ApiError(400, "InvalidPaginationParameter", f"page[size] must be from 1 to {MAX_PAGE}")
    end = int(after) + int(size)
    has_more = end < len(items)
    url = f"{caller_host()}{request.path}.json?page[size]={size}&page[after]={end}"
    return {
        name: [write(item) for item in items[int(after) : end]],
        "meta": {"has_more": has_more, "after_cursor": str(end) if has_more else None, "before_cursor": None},
        "links": {"next": url if has_more else None, "prev": None},
    }
