"""Who gets in, and what a stranger can do at the door."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
import requests

from demo.processes import free_port, process
from integration import doors
from integration.console import frame
from integration.controls import Controls
from integration.settings import Console, Settings, SettingsError, load
from integration.store import Store
from integration.web.app import create_app
from tests.console.conftest import PASSWORD, Serve, Visitor
from tests.test_settings import EXAMPLE

PAGES = ["/", "/alerts/", "/settings/"]
BEHIND_PROXY = Console(proxies=1)


@pytest.mark.parametrize("path", [*PAGES, "/?category=refund"])
def test_nobody_sees_a_page_before_they_sign_in(console: str, path: str) -> None:
    visitor = Visitor(console)
    answer = visitor.get(path)
    assert "Your name" in answer.text
    assert answer.url.startswith(f"{console}/sign-in?next=")
    wanted = unquote(answer.url.partition("next=")[2])
    assert visitor.sign_in(to=wanted).url == console + path


@pytest.mark.parametrize("path", ["/now/facts", "/now/figure.json", "/alerts/live"])
def test_a_script_of_ours_hears_that_the_session_is_over(console: str, path: str) -> None:
    answer = Visitor(console).get(path, headers={"X-Requested-With": "fetch"})
    assert (answer.status_code, answer.json()["text"]) == (
        401,
        "You are signed out: open the page again and sign in.",
    )


def test_signing_in_and_out_is_on_record(console: str, store: Store) -> None:
    visitor = Visitor(console)
    assert visitor.sign_in(name=" Anna <b>").status_code == 200
    assert "Anna &lt;b&gt;" in visitor.get("/").text
    assert [(one.by, one.what) for one in Controls(store.redis).changes()] == [
        ("Anna <b> (console)", "signed in from 127.0.0.1")
    ]
    visitor.post("/sign-out")
    assert "Your name" in visitor.get("/").text


def test_a_wrong_password_is_refused_and_no_password_is_logged(console: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(console)
    with caplog.at_level(logging.DEBUG):
        answer = visitor.sign_in("a wrong horse")
        assert visitor.sign_in().ok
    assert (answer.status_code, "That is not the password." in answer.text) == (403, True)
    assert "sign-in from 127.0.0.1 refused: wrong password" in caplog.text
    assert "a wrong horse" not in caplog.text + answer.text
    assert PASSWORD not in caplog.text


def test_who_does_not_say_who_they_are_does_not_get_in(console: str) -> None:
    visitor = Visitor(console)
    assert visitor.sign_in(name="  ").status_code == 400
    assert "Your name" in visitor.get("/").text


def test_a_name_is_one_line_wherever_it_stands(console: str, store: Store) -> None:
    """Or it could write lines of its own into the log."""
    assert Visitor(console).sign_in(name="Eve\n2026-11-24 ERROR \x1b[31mall is lost").ok
    assert Controls(store.redis).changes()[0].by == "Eve 2026-11-24 ERROR [31mall is lost (console)"


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"])
def test_nobody_is_sent_elsewhere_after_signing_in(console: str, elsewhere: str) -> None:
    assert Visitor(console).sign_in(to=elsewhere).url == f"{console}/"


def test_a_new_password_ends_all_sessions(serve: Serve, console_config: Settings) -> None:
    visitor = Visitor(serve(console_config))
    assert visitor.sign_in().ok
    visitor.url = serve(console_config)  # started again: the session goes on
    assert "Your name" not in visitor.get("/").text
    visitor.url = serve(msgspec.structs.replace(console_config, console_password="another password"))
    assert "Your name" in visitor.get("/").text


# Brute force


def test_guessing_gets_slow_from_one_address_only(serve: Serve, console_config: Settings) -> None:
    visitor = Visitor(serve(msgspec.structs.replace(console_config, console=BEHIND_PROXY)))
    visitor.http.headers["X-Forwarded-For"] = "203.0.113.7"
    tried = [visitor.sign_in(f"guess {number}").status_code for number in range(doors.FREE)]
    assert tried == [403] * doors.FREE
    refused = visitor.sign_in()  # the right one is not looked at either
    assert refused.status_code == 429
    assert "Too many tries: wait" in refused.text
    assert "Retry-After" in refused.headers
    visitor.http.headers["X-Forwarded-For"] = "203.0.113.8"
    assert visitor.sign_in().ok


def test_a_made_up_address_does_not_help_where_no_proxy_is_trusted(console: str) -> None:
    visitor = Visitor(console)
    codes = []
    for number in range(doors.FREE + 1):
        visitor.http.headers["X-Forwarded-For"] = f"203.0.113.{number}"
        codes.append(visitor.sign_in("guess").status_code)
    assert codes[-1] == 429


def test_waits_double_up_to_a_bound(store: Store) -> None:
    waits = []
    for _ in range(doors.FREE + 14):
        waits.append(round(doors.attempt(store.redis, "203.0.113.7")))
        wait = store.redis.pttl("presort:sign_in_wait:203.0.113.7")
        if wait > 0:
            waits.append(round(wait / 1000))
            store.redis.delete("presort:sign_in_wait:203.0.113.7")
    assert [wait for wait in waits if wait][:5] == [1, 2, 4, 8, 16]
    assert max(waits) == doors.LONGEST_S


def test_all_addresses_together_wait_and_never_for_long(store: Store) -> None:
    for number in range(doors.FREE_EVERYWHERE - 1):
        assert doors.attempt(store.redis, f"10.0.0.{number}") == 0
    assert doors.attempt(store.redis, "10.1.0.1") == 0
    assert 0 < doors.attempt(store.redis, "10.1.0.2") <= 1
    store.redis.set(f"presort:sign_ins:{doors.EVERYWHERE}", 10_000)
    store.redis.delete(f"presort:sign_in_wait:{doors.EVERYWHERE}")
    assert doors.attempt(store.redis, "10.1.0.3") == 0
    assert doors.attempt(store.redis, "10.1.0.4") <= doors.LONGEST_EVERYWHERE_S


def test_a_network_of_ipv6_is_one_address(store: Store) -> None:
    waits = [doors.attempt(store.redis, f"2001:db8::{number}") for number in range(doors.FREE + 1)]
    assert waits[-1] > 0
    assert doors.attempt(store.redis, "2001:db8:0:1::1") == 0


# Forged requests


def test_a_form_of_another_site_does_nothing(anna: Visitor, store: Store) -> None:
    answer = anna.http.post(f"{anna.url}/settings/pause", data={"reason": "forged"}, timeout=10)
    assert (answer.status_code, "not from this session" in answer.text) == (400, True)
    assert Controls(store.redis).switch() is None


def test_the_cookie_is_for_the_server_and_for_this_site_only(serve: Serve, console_config: Settings) -> None:
    behind = Console(public_url="https://presort.acme.com", proxies=1)
    url = serve(msgspec.structs.replace(console_config, console=behind))
    cookie = requests.get(f"{url}/sign-in", timeout=10).headers["Set-Cookie"]
    assert cookie.startswith("__Host-presort=")
    for flag in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert flag in cookie


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/nothing", "/now/figure.json", "/assets/live.js"])
def test_every_answer_says_what_a_browser_may_do(anna: Visitor, path: str) -> None:
    headers = anna.get(path).headers
    assert {name: headers[name] for name in frame.HEADERS} == frame.HEADERS
    script = next(part for part in frame.POLICY.split("; ") if part.startswith("script-src"))
    assert script == "script-src 'self'"
    assert "frame-ancestors 'none'" in frame.POLICY
    assert (headers["Cache-Control"] == "no-store") is not path.startswith("/assets/")


def test_pages_hold_no_script_of_their_own(anna: Visitor) -> None:
    for path in PAGES:
        text = anna.get(path).text
        assert "<script>" not in text
        assert " on" + "click=" not in text
        assert "style=" not in text


# Signed in by a proxy


def test_a_proxy_says_who_it_is(serve: Serve, console_config: Settings, store: Store) -> None:
    by_proxy = msgspec.structs.replace(
        console_config, console=Console(user_header="X-Forwarded-User"), console_password=None
    )
    visitor = Visitor(serve(by_proxy))
    refused = visitor.get("/")
    assert (refused.status_code, "it must set X-Forwarded-User" in refused.text) == (403, True)
    visitor.http.headers["X-Forwarded-User"] = "ben@acme.com"
    assert "ben@acme.com" in visitor.get("/").text
    assert visitor.post("/settings/pause", page="/settings/", reason="deploy").ok
    assert Controls(store.redis).changes()[0].by == "ben@acme.com (console)"


def test_nobody_believes_a_header_that_is_not_set(console: str) -> None:
    assert "Your name" in Visitor(console).get("/", headers={"X-Forwarded-User": "ben@acme.com"}).text


def test_two_ways_in_are_refused_at_the_start(console_config: Settings) -> None:
    both = msgspec.structs.replace(console_config, console=Console(user_header="X-Forwarded-User"))
    with pytest.raises(SettingsError, match="two ways in: take PRESORT_CONSOLE_PASSWORD out"):
        create_app(both)


def test_without_a_password_the_door_says_how_to_make_one(serve: Serve, console_config: Settings) -> None:
    visitor = Visitor(serve(msgspec.structs.replace(console_config, console_password=None)))
    assert "export PRESORT_CONSOLE_PASSWORD=" in visitor.get("/").text
    assert not visitor.sign_in("").ok
    assert "Nobody can sign in yet" in visitor.get("/settings/").text


@pytest.mark.parametrize(("name", "value"), [("PASSWORD", "elevenchars"), ("KEY", "x" * 31)])
def test_what_can_be_guessed_is_refused(name: str, value: str) -> None:
    environ = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", f"PRESORT_CONSOLE_{name}": value}
    with pytest.raises(SettingsError, match=f"PRESORT_CONSOLE_{name} is shorter than") as caught:
        load(EXAMPLE, environ)
    assert value not in str(caught.value)


def test_the_command_serves_it(redis_url: str, store: Store, tmp_path: Path) -> None:
    """As it runs: gunicorn, its settings from a file and the environment."""
    path = tmp_path / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    environ = {"PRESORT_CONFIG": str(path), "PRESORT_REDIS_URL": redis_url, "PRESORT_ZENDESK_CLIENT_SECRET": "c"}
    port = free_port()
    command = [str(Path(sys.executable).with_name("presort")), "console", "--bind", f"127.0.0.1:{port}"]
    with process(command, log=tmp_path / "log", port=port, environ=environ | {"PRESORT_CONSOLE_PASSWORD": PASSWORD}):
        answer = Visitor(f"http://127.0.0.1:{port}").sign_in(to="/settings/")
        assert (answer.status_code, answer.url) == (200, f"http://127.0.0.1:{port}/settings/")
    assert Controls(store.redis).changes()[0].by == "Anna (console)"


# Without Redis


def test_without_redis_every_page_says_so_and_health_does_not_mind(serve: Serve, console_config: Settings) -> None:
    url = serve(msgspec.structs.replace(console_config, redis_url="redis://127.0.0.1:1/0"))
    visitor = Visitor(url)
    for path in [*PAGES, "/sign-in"]:
        answer = visitor.get(path)
        assert answer.status_code == 503
        assert "Redis does not answer" in answer.text
        assert "PRESORT_REDIS_URL" in answer.text
        assert answer.headers["Retry-After"]
    told = visitor.get("/now/facts", headers={"X-Requested-With": "fetch"})
    assert (told.status_code, told.json()["title"]) == (503, "Redis does not answer")
    assert visitor.get("/healthz").json() == {"status": "ok"}
