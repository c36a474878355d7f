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
    with serving(SimulatorConfig(requests_per_minute=100_000, webhook_url=listening.url)) as running:
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


def test_rate_limited_answers_429_for_its_time(simulator: Running) -> None:
    token = simulator.token()
    break_by(simulator, rate_limited=20)
    answer = simulator.api("GET", "/users/me", token=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    simulator.clock.advance(20)
    assert simulator.api("GET", "/users/me", token=token).status_code == 200


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
