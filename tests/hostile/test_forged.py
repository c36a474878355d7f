"""Requests that somebody forged: without the session's token, without a signature, with headers that are not theirs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import requests

from demo.processes import free_port, process
from integration.receiver.app import create_app as create_receiver
from integration.settings import Settings
from integration.store import Store
from integration.web.app import create_app
from integration.zendesk import signature
from tests.conftest import FIXTURES, SECRET
from tests.console.conftest import PASSWORD, Serve, Visitor, console_config, serve

__all__ = ["console_config", "serve"]  # fixtures of the console's, here too

BODY = (FIXTURES / "ticket_created.json").read_bytes()


def test_every_change_asks_for_the_sessions_token(serve: Serve, console_config: Settings, store: Store) -> None:
    """Whoever is signed in and visits another site: its forms carry the cookie, and change nothing."""
    app = create_app(console_config)
    rules = [one.rule for one in app.url_map.iter_rules() if "POST" in (one.methods or ())]
    visitor = Visitor(serve(app))
    assert visitor.sign_in().ok
    before = store.redis.dbsize()
    assert len(rules) > 10
    for rule in rules:
        path = rule.replace("<name>", "a1")
        elsewhere = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
        answer = visitor.http.post(visitor.url + path, data={"all": "1"}, headers=elsewhere, timeout=10)
        assert (answer.status_code, "not from this session" in answer.text) == (400, True), path
        other = visitor.http.post(visitor.url + path, data={"csrf_token": "made up"}, timeout=10)
        assert other.status_code == 400, path
    assert store.redis.dbsize() == before


def test_nothing_changes_by_a_get(console_config: Settings) -> None:
    """A link or a picture is a GET, and the cookie of a link is sent along (SameSite=Lax)."""
    app = create_app(console_config)
    gets = {one.rule for one in app.url_map.iter_rules() if "GET" in (one.methods or ())}
    posts = {one.rule for one in app.url_map.iter_rules() if "POST" in (one.methods or ())}
    assert gets & posts == {"/sign-in", "/try-it/"}  # their GET is the form


def test_a_session_from_before_signing_in_is_not_the_one_after(serve: Serve, console_config: Settings) -> None:
    """Who planted a cookie and its token in somebody's browser has neither of the signed-in session."""
    visitor = Visitor(serve(console_config))
    visitor.get("/sign-in")
    planted = visitor.http.cookies.get("presort")
    assert planted
    assert visitor.sign_in().ok
    assert visitor.http.cookies.get("presort") != planted
    stranger = Visitor(visitor.url)
    stranger.http.cookies.set("presort", planted)
    assert "Your name" in stranger.get("/").text


@pytest.mark.parametrize("cookie", ["x", "eyJ1c2VyIjoiQW5uYSJ9.aaa.bbb", ".eJwrLU4tAgAEeAGh.a.b", "\u00e9" * 2000])
def test_a_made_up_session_is_none(serve: Serve, console_config: Settings, cookie: str) -> None:
    answer = requests.get(
        f"{serve(console_config)}/settings/",
        headers={"Cookie": f"presort={cookie}".encode("latin-1")},
        allow_redirects=False,
        timeout=10,
    )
    assert answer.status_code == 302


def signed(body: bytes, *, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    timestamp = (at or datetime.now(UTC)).isoformat()
    return {
        "Content-Type": "application/json",
        signature.TIMESTAMP_HEADER: timestamp,
        signature.SIGNATURE_HEADER: signature.sign(secret, timestamp, body),
    }


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (BODY + b" ", {}),
        (BODY.replace(b"35436", b"35437"), {}),
        (b"", {}),
        (BODY, {signature.TIMESTAMP_HEADER: (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}),
        (BODY, {signature.TIMESTAMP_HEADER: "\u00e9\u00ff"}),
        (BODY, {signature.SIGNATURE_HEADER: "\u00e9\u00ff"}),
        (BODY, {signature.SIGNATURE_HEADER: ""}),
        (BODY, {signature.SIGNATURE_HEADER: "A" * 4000}),
        (BODY, {"X-Other": "x", signature.SIGNATURE_HEADER: signature.sign("", datetime.now(UTC).isoformat(), BODY)}),
        (BODY, signed(BODY, secret="guess")),
        (BODY, signed(BODY, at=datetime.now(UTC) - timedelta(minutes=11))),
        (BODY, signed(BODY, at=datetime.now(UTC) + timedelta(hours=2))),  # the suite takes a while
    ],
)
def test_a_forged_or_replayed_webhook_is_refused(
    config: Settings, store: Store, body: bytes, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = (
            create_receiver(config).test_client().post("/webhooks/zendesk", data=body, headers=signed(BODY) | changes)
        )
    assert answer.status_code == 401
    assert store.redis.keys("presort*") == []
    assert SECRET not in caplog.text + answer.text
    assert "Parcel" not in caplog.text + answer.text


def test_several_signatures_are_none(config: Settings, store: Store) -> None:
    """A server joins a repeated header with commas: no part of it is believed."""
    headers = signed(BODY)
    repeated = [*headers.items(), *(((signature.SIGNATURE_HEADER, headers[signature.SIGNATURE_HEADER]),) * 50)]
    answer = create_receiver(config).test_client().post("/webhooks/zendesk", data=BODY, headers=repeated)
    assert (answer.status_code, store.redis.keys("presort*")) == (401, [])


def test_only_the_header_itself_signs_in_and_no_look_alike(redis_url: str, store: Store, tmp_path: Path) -> None:
    """WSGI writes - and _ alike; a proxy that strips one from strangers may let the other through. As shipped."""
    assert store.redis.ping()
    path = tmp_path / "presort.toml"
    path.write_text(
        '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[console]\nuser_header = "X-Forwarded-User"\n'
        '[[classifier]]\nfield_id = 1\nbundle = "m"\n'
    )
    environ = {"PRESORT_CONFIG": str(path), "PRESORT_REDIS_URL": redis_url, "PRESORT_ZENDESK_CLIENT_SECRET": "c"}
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "python:integration.web.gunicorn", "--bind", f"127.0.0.1:{port}"]
    with process(command, log=tmp_path / "log", port=port, environ=environ):
        codes = {
            name: requests.get(f"http://127.0.0.1:{port}/", headers={name: "eve"}, timeout=10).status_code
            for name in ("X-Forwarded-User", "X_Forwarded_User", "X-Forwarded_User", "X-Forwarded-Users")
        }
    assert codes.pop("X-Forwarded-User") == 200
    assert set(codes.values()) == {403}


def test_no_log_of_the_console_holds_passwords_texts_or_secrets(
    serve: Serve, console_config: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong: a wrong password, a made-up token, a text that nobody answers, a body of no form."""
    secret = "agent-secret-of-at-least-32-characters"
    with caplog.at_level(logging.DEBUG, logger="presort"):
        visitor = Visitor(serve(msgspec.structs.replace(console_config, agent_secrets=(secret,))))
        visitor.sign_in("a wrong xylophone")
        assert visitor.sign_in().ok
        for path in ("/try-it/", "/settings/pause", "/tickets/parked/drop", "/alerts/xylophone/silence"):
            visitor.post(path, page="/settings/", subject="xylophone", description="xylophone", name="xylophone")
        visitor.get("/tickets/?ticket=xylophone")
        for body in (b"xylophone", json.dumps({"classifier": "category", "subject": "xylophone"}).encode()):
            headers = {"Authorization": "Bearer xylophone"}
            requests.post(f"{visitor.url}/agent/tickets/7/why", body, headers=headers, timeout=10)
    assert caplog.messages  # sign-ins and refusals are
    for word in ("xylophone", PASSWORD, secret, SECRET, console_config.zendesk_client_secret):
        assert word not in caplog.text.lower()
