"""``update_many`` and its job."""

from __future__ import annotations

from typing import Any

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import CustomField, Ticket
from zenpy.lib.exception import APIException

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running, eventually

CONFIG = SimulatorConfig(requests_per_minute=100_000, job_time_s=0.3, max_jobs=2)


def completed(zenpy: Zenpy, job_id: str) -> list[dict[str, Any]]:
    def look() -> Any:
        job = zenpy.job_status(id=job_id)
        return job.status == "completed" and job

    return [result.to_dict() if hasattr(result, "to_dict") else dict(result) for result in eventually(look).results]


def test_a_job_is_queued_then_working_then_completed(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    job = zenpy.tickets.update([Ticket(id=ticket_id, subject="Phone")])
    assert job.status == "queued"
    eventually(lambda: zenpy.job_status(id=job.id).status == "working")
    assert zenpy.tickets(id=ticket_id).subject == "Printer"
    completed(zenpy, job.id)
    assert zenpy.tickets(id=ticket_id).subject == "Phone"


def test_every_ticket_has_its_own_changes_and_its_own_result(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    ids = [simulator.create() for _ in range(3)]
    simulator.post(f"/simulator/tickets/{ids[1]}/close")
    wanted = [
        Ticket(id=ticket_id, custom_fields=[CustomField(id=field_id, value=value)])
        for ticket_id, value in zip([*ids, 999], ["billing", "login", "delivery", "bug"], strict=True)
    ]
    results = completed(zenpy, zenpy.tickets.update(wanted).id)
    assert [(one["index"], one["id"], one["success"]) for one in results] == [
        (0, ids[0], True),
        (1, ids[1], False),
        (2, ids[2], True),
        (3, 999, False),
    ]
    assert (results[1]["error"], results[3]["error"]) == ("RecordInvalid", "RecordNotFound")
    rows = simulator.get("/simulator/tickets")["tickets"]
    assert [row["fields"]["Category"] for row in rows] == ["delivery", None, "billing"]


def test_it_is_always_a_safe_update(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    stamp = zenpy.tickets(id=ticket_id).updated_at
    simulator.clock.advance(2)
    simulator.post(f"/simulator/tickets/{ticket_id}/agent", {"Category": "login"})
    job = zenpy.tickets.update([Ticket(id=ticket_id, subject="Phone", updated_stamp=stamp)])
    assert [one["error"] for one in completed(zenpy, job.id)] == ["UpdateConflict"]
    assert simulator.get("/simulator/summary")["conflicts"] == 1


def test_too_many_jobs_at_once_are_refused(simulator: Running) -> None:
    ticket_id, token = simulator.create(), simulator.token()
    body = {"tickets": [{"id": ticket_id, "subject": "Phone"}]}
    answers = [simulator.api("PUT", "/tickets/update_many", body, token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"] == "TooManyJobs"


def test_a_request_takes_a_hundred_tickets(zenpy: Zenpy) -> None:
    with pytest.raises(APIException, match="TooManyValues"):
        zenpy.tickets.update([Ticket(id=number, subject="Phone") for number in range(1, 102)])


def test_create_many_is_a_job_too(zenpy: Zenpy, simulator: Running) -> None:
    job = zenpy.tickets.create([Ticket(subject="Printer", description=f"number {number}") for number in range(3)])
    assert [one["status"] for one in completed(zenpy, job.id)] == ["Created"] * 3
    assert simulator.get("/simulator/summary")["tickets"]["created"] == 3


def test_an_unknown_job_is_not_found(simulator: Running) -> None:
    assert simulator.api("GET", "/job_statuses/none").status_code == 404
