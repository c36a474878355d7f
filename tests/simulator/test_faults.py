"""What goes wrong on purpose."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Receiver, Running, eventually, serving


@pytest.fixture(scope="module")
def served(listening: Receiver) -> Iterator[Running]:
    """An account whose seeded webhook points at the receiver."""
    with serving(SimulatorConfig(requests_per_minute=100_000, webhook_url=listening.url, job_time_s=0.05)) as running:
        yield running


def break_by(simulator: Running, **faults: object) -> None:
    assert simulator.post("/simulator/faults", faults).status_code == 200


def create_many(simulator: Running, count: int) -> None:
    simulator.post("/simulator/tickets", {"tickets": [{"description": str(number)} for number in range(count)]})


def test_down_answers_503_without_json_until_it_is_healed(simulator: Running) -> None:
    token = simulator.token()
    break_by(simulator, down=True)
    answer = simulator.api("GET", "/users/me", token=token)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (503, "text/html")
    break_by(simulator)
    assert simulator.api("GET", "/users/me", token=token).status_code == 200


@pytest.mark.parametrize("status", [500, 502, 503])
def test_status_answers_with_it_without_json(simulator: Running, status: int) -> None:
    token = simulator.token()
    break_by(simulator, status=status)
    answer = simulator.api("GET", "/users/me", token=token)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (status, "text/html")


def test_revoked_refuses_the_tokens_given_so_far_and_no_later_ones(simulator: Running) -> None:
    old = simulator.token()
    break_by(simulator, revoked=True)
    new = simulator.token()
    answer = simulator.api("GET", "/users/me", token=old)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert simulator.api("GET", "/users/me", token=new).status_code == 200


def test_rate_limited_answers_429_for_its_time(simulator: Running) -> None:
    token = simulator.token()
    break_by(simulator, rate_limited=20)
    answer = simulator.api("GET", "/users/me", token=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    simulator.clock.advance(20)
    assert simulator.api("GET", "/users/me", token=token).status_code == 200


@pytest.mark.parametrize(("told", "header"), [(1.5, "1.5"), (2, "2"), (None, None)])
def test_a_429_carries_the_retry_after_that_was_asked_for(
    simulator: Running, told: float | None, header: str | None
) -> None:
    break_by(simulator, rate_limited=20, retry_after=told)
    answer = simulator.api("GET", "/users/me")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, header)
    assert simulator.get("/simulator/faults")["retry_after"] == told


def test_collide_lets_another_user_edit_first(simulator: Running) -> None:
    ticket = simulator.create()
    seen = simulator.api("GET", f"/tickets/{ticket}").json()["ticket"]["updated_at"]
    simulator.clock.advance(5)  # updated_at has a resolution of a second
    break_by(simulator, collide=1)
    change = {"ticket": {"priority": "high", "safe_update": True, "updated_stamp": seen}}
    answer = simulator.api("PUT", f"/tickets/{ticket}", change)
    assert (answer.status_code, answer.json()["error"]) == (409, "UpdateConflict")
    now = simulator.api("GET", f"/tickets/{ticket}").json()["ticket"]
    assert (now["tags"], now["priority"]) == (["sentiment__neutral"], None)


def test_jobs_fail_for_the_same_share_of_their_tickets_each_time(simulator: Running) -> None:
    create_many(simulator, 10)
    token = simulator.token()

    def done() -> list[bool]:
        break_by(simulator, fail_in_jobs=0.5)
        changes = {"tickets": [{"id": ticket, "priority": "high"} for ticket in range(1, 11)]}
        job = simulator.api("PUT", "/tickets/update_many", changes, token).json()["job_status"]["id"]
        results = eventually(
            lambda: simulator.api("GET", f"/job_statuses/{job}", token=token).json()["job_status"]["results"]
        )
        return [one["success"] for one in results]

    first = done()
    assert set(first) == {True, False}
    listed = simulator.api("GET", "/tickets").json()["tickets"]
    assert [one["priority"] == "high" for one in listed] == first
    assert done() == first


def test_slow_answers_late(simulator: Running) -> None:
    token = simulator.token()
    break_by(simulator, slow=0.2)
    started = time.monotonic()
    simulator.api("GET", "/users/me", token=token)
    assert time.monotonic() - started >= 0.2


def test_dropped_deliveries_never_come(simulator: Running, receiver: Receiver) -> None:
    break_by(simulator, drop=1.0)
    create_many(simulator, 20)
    break_by(simulator)
    simulator.create(description="the last one")
    eventually(lambda: receiver.received)
    assert [json.loads(one.body)["detail"]["description"] for one in receiver.received] == ["the last one"]
    assert simulator.get("/simulator/summary")["deliveries"]["dropped"] == 20


def test_duplicates_carry_the_same_event(simulator: Running, receiver: Receiver) -> None:
    break_by(simulator, duplicate=1.0)
    create_many(simulator, 10)
    eventually(lambda: len(receiver.received) == 20)
    assert len({json.loads(one.body)["id"] for one in receiver.received}) == 10


def test_a_webhook_that_fails_too_often_gets_no_deliveries_for_a_while(simulator: Running, receiver: Receiver) -> None:
    (webhook,) = simulator.simulation.account.webhooks.values()
    break_by(simulator, breaker=30)
    receiver.answers = [(200 if number < 30 else 400, {}) for number in range(100)]
    create_many(simulator, 99)
    eventually(lambda: len(webhook.invocations) == 99)
    simulator.create()
    eventually(lambda: len(webhook.invocations) == 100)
    simulator.create(description="lost")
    eventually(lambda: simulator.get("/simulator/summary")["deliveries"]["dropped"])
    simulator.clock.advance(30)
    simulator.create(description="delivered")
    eventually(lambda: len(receiver.received) == 101)
    assert json.loads(receiver.received[-1].body)["detail"]["description"] == "delivered"


def test_shuffled_deliveries_overtake_each_other(simulator: Running, receiver: Receiver) -> None:
    break_by(simulator, shuffle=0.3)
    create_many(simulator, 30)
    eventually(lambda: len(receiver.received) == 30)
    order = [int(json.loads(one.body)["detail"]["id"]) for one in receiver.received]
    assert order != sorted(order)
    assert sorted(order) == list(range(1, 31))


def test_an_unknown_switch_is_refused_by_name(simulator: Running) -> None:
    answer = simulator.post("/simulator/faults", {"dwon": True})
    assert (answer.status_code, "dwon" in answer.json()["description"]) == (400, True)
