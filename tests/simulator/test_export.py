"""The incremental export."""

from __future__ import annotations

from typing import Any

from zenpy import Zenpy
from zenpy.lib.api_objects import Ticket

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running

CONFIG = SimulatorConfig(requests_per_minute=100_000, exports_per_minute=10)


def page(simulator: Running, **query: object) -> Any:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = simulator.api("GET", f"/incremental/tickets/cursor.json?{text}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_zenpy_reads_all_pages(zenpy: Zenpy, simulator: Running) -> None:
    ids = [simulator.create() for _ in range(7)]
    simulator.clock.advance(61)
    assert [ticket.id for ticket in zenpy.tickets.incremental(start_time=0, per_page=3)] == ids


def test_the_last_minute_is_left_out(simulator: Running) -> None:
    simulator.create()
    simulator.clock.advance(59)
    first = page(simulator, start_time=0)
    assert (first["tickets"], first["end_of_stream"]) == ([], True)
    simulator.clock.advance(2)
    assert len(page(simulator, cursor=first["after_cursor"])["tickets"]) == 1


def test_a_cursor_continues_where_the_page_ended(simulator: Running) -> None:
    ids = [simulator.create() for _ in range(3)]
    simulator.clock.advance(61)
    first = page(simulator, start_time=0, per_page=2)
    assert ([one["id"] for one in first["tickets"]], first["end_of_stream"]) == (ids[:2], False)
    second = page(simulator, cursor=first["after_cursor"])
    assert ([one["id"] for one in second["tickets"]], second["end_of_stream"]) == (ids[2:], True)
    assert page(simulator, cursor=second["after_cursor"])["after_cursor"] == second["after_cursor"]


def test_start_time_leaves_out_older_changes(simulator: Running) -> None:
    simulator.create()
    simulator.clock.advance(100)
    young = simulator.create()
    start = int(simulator.clock()) - 10
    simulator.clock.advance(61)
    assert [one["id"] for one in page(simulator, start_time=start)["tickets"]] == [young]


def test_a_changed_ticket_comes_again(zenpy: Zenpy, simulator: Running) -> None:
    first, second = simulator.create(), simulator.create()
    simulator.clock.advance(61)
    cursor = page(simulator, start_time=0)["after_cursor"]
    zenpy.tickets.update(Ticket(id=first, subject="Phone"))
    simulator.clock.advance(61)
    assert [one["id"] for one in page(simulator, cursor=cursor)["tickets"]] == [first]
    assert [one["id"] for one in page(simulator, start_time=0)["tickets"]] == [second, first]


def test_deleted_tickets_are_in_it(simulator: Running) -> None:
    ticket_id = simulator.create()
    simulator.post(f"/simulator/tickets/{ticket_id}/delete")
    simulator.clock.advance(61)
    assert [(one["id"], one["status"]) for one in page(simulator, start_time=0)["tickets"]] == [(ticket_id, "deleted")]


def test_ten_requests_a_minute(simulator: Running) -> None:
    token = simulator.token()
    path = "/incremental/tickets/cursor?start_time=0"
    assert {simulator.api("GET", path, token=token).status_code for _ in range(10)} == {200}
    refused = simulator.api("GET", path, token=token)
    assert (refused.status_code, int(refused.headers["Retry-After"]) <= 60) == (429, True)


def test_a_cursor_or_a_start_is_needed(simulator: Running) -> None:
    assert simulator.api("GET", "/incremental/tickets/cursor").status_code == 400
    assert simulator.api("GET", "/incremental/tickets/cursor?cursor=nonsense").status_code == 400
