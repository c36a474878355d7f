"""Tokens: the client_credentials grant, their life, their scope; and the legacy way."""

from __future__ import annotations

import pytest
from zenpy import Zenpy

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running

CONFIG = SimulatorConfig(requests_per_minute=100_000, api_token="legacy")


def test_the_integration_learns_its_own_id(zenpy: Zenpy) -> None:
    me = zenpy.users.me()
    assert (me.name, me.role) == ("Presort", "admin")
    assert zenpy.users(id=me.id).email == "presort@example.com"


def test_a_token_expires_and_the_grant_is_run_again(simulator: Running) -> None:
    token = simulator.token(expires_in=300)
    simulator.clock.advance(299)
    assert simulator.api("GET", "/users/me", token=token).status_code == 200
    simulator.clock.advance(2)
    expired = simulator.api("GET", "/users/me", token=token)
    assert (expired.status_code, expired.json()["error"]) == (401, "invalid_token")
    assert simulator.api("GET", "/users/me", token=simulator.token()).status_code == 200


def test_half_an_hour_is_the_default_life(simulator: Running) -> None:
    body = simulator.grant()
    del body["expires_in"]
    assert simulator.post("/oauth/tokens", body).json()["expires_in"] == 1800


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"expires_in": 299}, 400, "invalid_request"),
        ({"expires_in": 172_801}, 400, "invalid_request"),
    ],
)
def test_a_wrong_grant_is_refused(simulator: Running, change: dict[str, object], status: int, error: str) -> None:
    answer = simulator.post("/oauth/tokens", simulator.grant() | change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_token_reaches_as_far_as_its_scope(simulator: Running) -> None:
    token = simulator.token(scope="read")
    assert simulator.api("GET", "/ticket_fields", token=token).status_code == 200
    assert simulator.api("POST", "/tickets", {"ticket": {}}, token=token).status_code == 403


def test_nobody_gets_in_without_credentials(simulator: Running) -> None:
    assert simulator.http.get(f"{simulator.url}/api/v2/users/me.json", timeout=5).status_code == 401


def test_an_api_token_is_accepted_where_it_is_configured(simulator: Running) -> None:
    def status(user: str, password: str) -> int:
        url = f"{simulator.url}/api/v2/users/me.json"
        return simulator.http.get(url, auth=(user, password), timeout=5).status_code

    assert status("agent@example.com/token", "legacy") == status("presort@example.com/token", "legacy") == 200
    assert status("agent@example.com/token", "wrong") == 401


def test_a_token_tells_what_it_may_do(simulator: Running) -> None:
    shown = simulator.api("GET", "/oauth/tokens/current", token=simulator.token(scope="read")).json()["token"]
    assert shown["scopes"] == ["read"]
    legacy = simulator.http.get(
        f"{simulator.url}/api/v2/oauth/tokens/current.json", auth=("agent@example.com/token", "legacy"), timeout=5
    )
    assert legacy.status_code == 404
