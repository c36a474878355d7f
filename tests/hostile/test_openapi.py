"""What docs/openapi says can be asked is there, and every answer is one that it names; schemathesis asks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
import requests
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from integration import doors
from integration.agent_api import desk, routes
from integration.receiver.app import create_app as create_receiver
from integration.settings import Settings
from integration.web.app import create_app as create_console
from integration.zendesk import signature
from tests.conftest import SECRET
from tests.console.conftest import Visitor, busy, console_config, serve

__all__ = ["busy", "console_config", "serve"]  # fixtures of the console's, here too

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
SPECS = {name: schemathesis.openapi.from_path(DOCUMENTS / f"{name}.json") for name in ("receiver", "console")}
OPERATIONS: list[tuple[str, Any]] = [
    (name, one.ok()) for name, spec in SPECS.items() for one in spec.get_all_operations() if isinstance(one, Ok)
]
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
AGENT_SECRET = "agent-secret-of-at-least-32-characters"

Sender = Callable[[requests.PreparedRequest], requests.Response]


def app_of(name: str, config: Settings) -> Flask:
    if name == "receiver":
        return create_receiver(config)
    return create_console(msgspec.structs.replace(config, agent_secrets=(AGENT_SECRET,)))


@pytest.mark.parametrize("name", SPECS)
def test_every_route_is_in_the_document_and_the_other_way_round(name: str, console_config: Settings) -> None:
    rules = [one for one in app_of(name, console_config).url_map.iter_rules() if not one.rule.startswith("/assets/")]
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(one.method.upper(), one.path) for document, one in OPERATIONS if document == name}


def send_signed(sent: requests.PreparedRequest) -> requests.Response:
    """As Zendesk signs, and as its proxy does for the app; no redirect is followed."""
    body, now = sent.body or b"", datetime.now(UTC).isoformat()
    body = body.encode() if isinstance(body, str) else body
    if sent.url and "/webhooks/" in sent.url:
        sent.headers[signature.TIMESTAMP_HEADER] = now
        sent.headers[signature.SIGNATURE_HEADER] = signature.sign(SECRET, now, body)
    if sent.url and (ticket := re.search(r"/agent/tickets/(\d+)", sent.url)):
        claims = {"exp": int(time.time() + 50), "aud": "presort", "ticket_id": ticket[1], "agent_id": "7"}
        sent.headers["Authorization"] = f"Bearer {jwt.encode(claims, AGENT_SECRET)}"
    with requests.Session() as http:
        return http.send(sent, allow_redirects=False, timeout=20)


@pytest.mark.usefixtures("busy", "store")
@pytest.mark.parametrize(
    ("name", "operation"), OPERATIONS, ids=[f"{name} {operation.label}" for name, operation in OPERATIONS]
)
def test_every_answer_is_one_of_the_document(
    name: str,
    operation: Any,
    console_config: Settings,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signed in, with the session's token: what strangers get is in the other tests."""
    monkeypatch.setattr(doors, "FREE", 10_000)  # one browser, and more than one try
    monkeypatch.setattr(routes, "AGENT_REQUESTS_PER_MINUTE", 10_000)
    monkeypatch.setattr(desk, "ANSWER_S", 0.05)
    url = serve(app_of(name, console_config))
    headers = {} if name == "receiver" else signed_in(url)

    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy())
    def ask(case: Any) -> None:
        asked = {one: value for one, value in case.as_transport_kwargs(base_url=url).items() if one != "timeout"}
        cookies = asked.pop("cookies", None) or {}
        sent = requests.Request(**asked, cookies=cookies).prepare()
        sent.headers.update(headers)
        answer = send_signed(sent)
        assert answer.status_code != 500, case.as_curl_command()
        case.validate_response(answer, checks=CHECKS)

    ask()


def signed_in(url: str) -> dict[str, str]:
    """The cookie of a session, and its token."""
    anna = Visitor(url)
    assert anna.sign_in().ok
    token = re.search(r'name="csrf_token" value="([^"]+)"', anna.get("/settings/").text)
    assert token
    cookie = "; ".join(f"{one.name}={one.value}" for one in anna.http.cookies)
    return {"Cookie": cookie, "X-CSRFToken": token[1]}
