"""What tickets that tell of alerts need of Zendesk: external ids, idempotency keys, groups, an assignee at the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import requests

from integration.simulator.account import ADMINS, INTEGRATION, SUPPORT
from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running, serving

TICKET = {"subject": "Spike", "comment": {"body": "47 tickets", "public": False}, "external_id": "x-1"}


def create(simulator: Running, key: str | None = None, **more: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {simulator.token()}"} | ({"Idempotency-Key": key} if key else {})
    url = f"{simulator.url}/api/v2/tickets.json"
    return simulator.http.post(url, json={"ticket": TICKET | more}, headers=headers, timeout=10)


def by_external_id(simulator: Running, external_id: str) -> list[Any]:
    found: list[Any] = simulator.api("GET", f"/tickets?external_id={external_id}").json()["tickets"]
    return found


def test_tickets_are_found_by_their_external_id(simulator: Running) -> None:
    """It need not be unique; deleted tickets are not found."""
    ids = [create(simulator).json()["ticket"]["id"] for _ in range(3)]
    create(simulator, external_id="x-2")
    simulator.api("DELETE", f"/tickets/{ids[0]}")
    assert [(one["id"], one["external_id"]) for one in by_external_id(simulator, "x-1")] == [
        (ids[1], "x-1"),
        (ids[2], "x-1"),
    ]
    assert by_external_id(simulator, "nothing") == []


def test_the_same_key_makes_one_ticket(simulator: Running) -> None:
    answers = [create(simulator, "k") for _ in range(2)]
    assert [one.headers["x-idempotency-lookup"] for one in answers] == ["miss", "hit"]
    assert len({one.json()["ticket"]["id"] for one in answers}) == 1
    assert [one.status_code for one in answers] == [201, 201]


def test_the_same_key_with_another_ticket_is_refused(simulator: Running) -> None:
    create(simulator, "k")
    refused = create(simulator, "k", subject="Another")
    assert (refused.status_code, refused.json()["error"]) == (400, "IdempotentRequestError")


def test_a_key_is_forgotten_after_two_hours(simulator: Running) -> None:
    create(simulator, "k")
    simulator.clock.advance(2 * 3600 + 1)
    assert create(simulator, "k").headers["x-idempotency-lookup"] == "miss"
    assert len(by_external_id(simulator, "x-1")) == 2


def test_the_first_comment_may_be_an_internal_note(simulator: Running) -> None:
    ticket_id = create(simulator).json()["ticket"]["id"]
    (note,) = simulator.api("GET", f"/tickets/{ticket_id}/comments").json()["comments"]
    assert (note["public"], note["author_id"]) == (False, INTEGRATION.id)


def test_a_ticket_belongs_to_a_group_that_exists(simulator: Running) -> None:
    assert create(simulator, group_id=ADMINS.id).json()["ticket"]["group_id"] == ADMINS.id
    refused = create(simulator, group_id=4711)
    assert (refused.status_code, refused.json()["error"]) == (422, "RecordInvalid")
    assert simulator.api("GET", f"/groups/{ADMINS.id}").json()["group"]["name"] == "Admins"
    assert simulator.api("GET", "/groups/4711").status_code == 404


def solve(simulator: Running, ticket_id: int) -> requests.Response:
    return simulator.api("PUT", f"/tickets/{ticket_id}", {"ticket": {"status": "solved"}})


def test_who_solves_an_unassigned_ticket_becomes_its_assignee(simulator: Running) -> None:
    ticket_id = create(simulator, group_id=ADMINS.id).json()["ticket"]["id"]
    assert solve(simulator, ticket_id).json()["ticket"]["assignee_id"] == INTEGRATION.id


def test_nobody_is_assigned_within_a_group_of_others(simulator: Running) -> None:
    ticket_id = create(simulator, group_id=SUPPORT.id).json()["ticket"]["id"]
    assert solve(simulator, ticket_id).status_code == 422


@pytest.mark.parametrize("assignee", [None, INTEGRATION.id])
def test_an_account_may_ask_for_an_assignee_before(assignee: int | None) -> None:
    with serving(msgspec.structs.replace(SimulatorConfig(), assign_on_solve=False)) as strict:
        ticket_id = create(strict, assignee_id=assignee).json()["ticket"]["id"]
        assert solve(strict, ticket_id).status_code == (422 if assignee is None else 200)
