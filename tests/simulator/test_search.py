"""The search export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.simulator.support import Running


def find(simulator: Running, query: str, **more: str) -> Any:
    asked = {"query": query, "filter[type]": "ticket", "page[size]": "100"} | more
    headers = {"Authorization": f"Bearer {simulator.token()}"}
    return simulator.http.get(f"{simulator.url}/api/v2/search/export.json", params=asked, headers=headers, timeout=10)


def ids(simulator: Running, query: str, **more: str) -> list[int]:
    answer = find(simulator, query, **more)
    assert answer.status_code == 200, answer.text
    assert {row["result_type"] for row in answer.json()["results"]} <= {"ticket"}
    return [row["id"] for row in answer.json()["results"]]


def test_terms_narrow_the_result(simulator: Running) -> None:
    first = simulator.create("Printer", "It is on fire.")
    simulator.clock.advance(3600)
    between = f"{datetime.fromtimestamp(simulator.clock() - 60, UTC):%Y-%m-%dT%H:%M:%SZ}"
    second = simulator.create("Phone", "It is wet.")
    assert ids(simulator, "") == [first, second]
    assert ids(simulator, f"created>={between}") == [second]
    assert ids(simulator, f"created<{between}") == [first]
    assert ids(simulator, "printer") == [first]
    simulator.post(f"/simulator/tickets/{first}/close")
    assert ids(simulator, "status<closed") == [second]
    simulator.post(f"/simulator/tickets/{second}/agent", {"Category": "bug"})
    assert ids(simulator, "tags:bug") == [second]


def test_a_cursor_leads_through_the_pages(simulator: Running) -> None:
    filed = [simulator.create() for _ in range(5)]
    found, cursor = [], "0"
    while cursor:
        page = find(simulator, "", **{"page[size]": "2", "page[after]": cursor}).json()
        found += [row["id"] for row in page["results"]]
        cursor = page["meta"]["after_cursor"] if page["meta"]["has_more"] else ""
    assert found == filed


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("", {"filter[type]": "user"}),
        ("type:ticket", {}),
        ("created>=yesterday", {}),
        ("status<lost", {}),
        ("assignee:me", {}),
        ("", {"page[after]": "?"}),
    ],
)
def test_what_it_does_not_know_is_refused(simulator: Running, query: str, more: dict[str, str]) -> None:
    """What zenpy's own method sends has the type in the query too, and Zendesk refuses that."""
    assert find(simulator, query, **more).status_code == 422


def test_a_hundred_a_minute(simulator: Running) -> None:
    token = simulator.token()
    asked = "/search/export.json?filter[type]=ticket&query="
    statuses = [simulator.api("GET", asked, token=token).status_code for _ in range(101)]
    assert statuses == [200] * 100 + [429]
