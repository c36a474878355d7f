"""Budgets: requests, ticket updates, updates of one ticket."""

from __future__ import annotations

from integration.simulator.config import SimulatorConfig
from integration.simulator.limits import Window
from tests.simulator.support import Running

CONFIG = SimulatorConfig(requests_per_minute=40, updates_per_minute=5, updates_per_ticket=3)


def put(simulator: Running, ticket_id: int, token: str) -> int:
    body = {"ticket": {"id": ticket_id, "priority": "high"}}
    return simulator.api("PUT", f"/tickets/{ticket_id}", body, token).status_code


def test_every_answer_carries_the_budget(simulator: Running) -> None:
    headers = simulator.api("GET", "/users/me").headers
    assert (headers["X-Rate-Limit"], headers["X-Rate-Limit-Remaining"]) == ("40", "39")
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("40", "39")
    assert 0 < int(headers["ratelimit-reset"]) <= 60


def test_requests_above_the_budget_are_told_when_to_come_back(simulator: Running) -> None:
    token = simulator.token()
    assert {simulator.api("GET", "/users/me", token=token).status_code for _ in range(40)} == {200}
    refused = simulator.api("GET", "/users/me", token=token)
    assert (refused.status_code, refused.headers["X-Rate-Limit-Remaining"]) == (429, "0")
    simulator.clock.advance(int(refused.headers["Retry-After"]))
    assert simulator.api("GET", "/users/me", token=token).status_code == 200
    assert simulator.get("/simulator/summary")["limited"] == 1


def test_updates_have_a_budget_of_their_own_which_agents_spend_too(simulator: Running) -> None:
    token, ids = simulator.token(), [simulator.create() for _ in range(5)]
    simulator.post(f"/simulator/tickets/{ids[0]}/agent", {"Category": "login"})
    assert [put(simulator, ticket_id, token) for ticket_id in ids] == [200, 200, 200, 200, 429]
    simulator.clock.advance(60)
    assert put(simulator, ids[4], token) == 200


def test_one_user_may_not_update_one_ticket_again_and_again(simulator: Running) -> None:
    token, ticket_id = simulator.token(), simulator.create()
    assert [put(simulator, ticket_id, token) for _ in range(4)] == [200, 200, 200, 429]
    assert put(simulator, simulator.create(), token) == 200
    simulator.clock.advance(600)
    assert put(simulator, ticket_id, simulator.token()) == 200


def test_update_many_takes_one_update(simulator: Running) -> None:
    token, ids = simulator.token(), [simulator.create() for _ in range(4)]
    body = {"tickets": [{"id": ticket_id, "priority": "high"} for ticket_id in ids]}
    assert simulator.api("PUT", "/tickets/update_many", body, token).status_code == 200
    assert [put(simulator, ticket_id, token) for ticket_id in ids] == [200] * 4
    assert put(simulator, ids[0], token) == 429


def test_a_window_starts_with_its_first_request() -> None:
    window = Window(limit=2, period_s=60)
    assert [window.take(now) for now in (100, 130, 159, 160, 161, 162)] == [True, True, False, True, True, False]
    assert (window.remaining(), window.reset_s(200)) == (0, 20)


def test_an_amount_is_taken_whole_or_not_at_all() -> None:
    window = Window(limit=5)
    assert [window.take(0, 3), window.take(0, 3), window.take(0, 2)] == [True, False, True]
