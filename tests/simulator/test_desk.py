"""The simulator's own API."""

from __future__ import annotations

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import Ticket

from tests.simulator.support import Running


def test_newest_tickets_come_first_with_their_fields_by_title(simulator: Running) -> None:
    simulator.create("First")
    simulator.create("Second", fields={"Category": "billing"})
    rows = simulator.get("/simulator/tickets?limit=1")["tickets"]
    assert [(row["subject"], row["fields"]["Category"], row["category"]) for row in rows] == [
        ("Second", "billing", "Billing")
    ]


def test_many_tickets_are_created_at_once(simulator: Running) -> None:
    answer = simulator.post("/simulator/tickets", {"tickets": [{"description": "one"}, {"description": "two"}]})
    assert (answer.status_code, answer.json()) == (201, {"ids": [1, 2]})


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"subject": "no text"}, 400, "description"),
        ({"description": "x", "colour": "red"}, 400, "colour"),
        ({"description": "x", "fields": {"Colour": "red"}}, 422, "Colour"),
        ({"description": "x", "fields": {"Category": "none_such"}}, 422, "none_such"),
    ],
)
def test_a_wrong_ticket_is_refused_by_name(
    simulator: Running, body: dict[str, object], status: int, named: str
) -> None:
    answer = simulator.post("/simulator/tickets", body)
    assert (answer.status_code, named in answer.text) == (status, True)


def test_a_refused_ticket_leaves_no_hole(simulator: Running) -> None:
    simulator.create("First")
    assert simulator.api("POST", "/tickets", {"ticket": {"description": "x", "status": "lost"}}).status_code == 422
    simulator.create("Second")
    assert [row["subject"] for row in simulator.get("/simulator/tickets")["tickets"]] == ["Second", "First"]


def test_an_agent_sets_a_field_as_a_person(simulator: Running) -> None:
    ticket_id = simulator.create()
    simulator.post(f"/simulator/tickets/{ticket_id}/agent", {"Category": "login"})
    newest = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]["history"][0]
    assert (newest["by"], newest["channel"]) == ("Avery Agent", "web")
    assert {"field": "Category", "from": None, "to": "login"} in newest["changes"]
    assert simulator.get("/simulator/summary")["latency_s"]["count"] == 0


def test_the_summary_counts_where_tickets_stand(zenpy: Zenpy, simulator: Running) -> None:
    config = simulator.config
    ids = [simulator.create() for _ in range(4)]
    for ticket_id, field_id, value in (
        (ids[0], config.category_field_id, "billing"),
        (ids[1], config.predicted_field_id, "Billing"),
        (ids[2], config.category_field_id, "login"),
    ):
        zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=[{"id": field_id, "value": value}]))
    simulator.post(f"/simulator/tickets/{ids[2]}/delete")
    summary = simulator.get("/simulator/summary")
    assert summary["tickets"] == {
        "created": 4,
        "delivered": 0,
        "filled": 1,
        "suggested": 1,
        "waiting": 1,
        "deleted": 1,
    }
    assert (summary["updates"], summary["requests"]) == (3, {"PUT /api/v2/tickets/<int:ticket_id>": 3})


def test_a_reset_forgets_everything(simulator: Running) -> None:
    simulator.create()
    simulator.post("/simulator/faults", {"down": True})
    assert simulator.post("/simulator/reset").status_code == 204
    summary = simulator.get("/simulator/summary")
    assert (summary["tickets"]["created"], summary["faults"]["down"]) == (0, False)
    assert simulator.create() == 1


def test_a_form_from_another_site_cannot_act(simulator: Running) -> None:
    """Browsers send forms to other sites without asking, but never as JSON."""
    answer = simulator.http.post(f"{simulator.url}/simulator/tickets", data='{"description": "x"}', timeout=5)
    assert answer.status_code == 415
