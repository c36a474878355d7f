"""Who may see the pages: an admin who knows the password, or whom the reverse proxy in front has signed in.

A session is a signed cookie. It ends after ``LIFE``, when the person signs out, and when the password changes.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from contextlib import suppress
from datetime import timedelta

from flask import (
    Blueprint,
    Flask,
    Request,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from werkzeug.exceptions import Forbidden, Unauthorized

from integration import doors
from integration.console import context
from integration.settings import Settings, SettingsError

LIFE = timedelta(hours=12)
NAME_CHARS = 60
WITHOUT_SESSION = ("/healthz", "/agent/", "/assets/")

log = logging.getLogger("presort.console")
routes = Blueprint("sign_in", __name__)


def install(app: Flask, config: Settings) -> None:
    """Sessions, and what they are signed with.

    Raises:
        SettingsError: two ways in, of which one would never be asked.
    """
    if config.console.user_header and config.console_password:
        raise SettingsError(
            "the console has two ways in: take PRESORT_CONSOLE_PASSWORD out of its environment, or user_header out of "
            "[console] in presort.toml"
        )
    if not config.console.user_header and not config.console_password:
        log.warning("PRESORT_CONSOLE_PASSWORD is not set: nobody can sign in to the console")
    https = (config.console.public_url or "").startswith("https:")
    app.config |= {
        "PERMANENT_SESSION_LIFETIME": LIFE,
        "SESSION_COOKIE_NAME": "__Host-presort" if https else "presort",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }
    app.secret_key = config.console_key
    app.session_interface = _Sessions()


class _Sessions(SecureCookieSessionInterface):
    """Flask's, with a key that is fetched when it is first needed: the console starts while Redis does not answer."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if app.secret_key is None and not request.path.startswith(WITHOUT_SESSION):
            with suppress(RedisError):  # then ``guard`` says so
                app.secret_key = doors.key(app.extensions[context.EXTENSION].store.redis)
        return super().open_session(app, request)


def guard() -> ResponseReturnValue | None:
    """Let nobody further who is not signed in; before each request of a page."""
    if current_app.secret_key is None:
        context.redis().ping()
    console = context.config().console
    if console.user_header is not None:
        name = _name(request.headers.get(console.user_header, ""))
        if not name:
            raise Forbidden(
                f"The proxy in front of the console did not say who you are: it must set {console.user_header}."
            )
        g.user = name
        return None
    if "user" in session and hmac.compare_digest(session.get("proof", ""), _proof()):
        g.user = session["user"]
        return None
    if request.method == "GET" and not context.from_script():
        return redirect(url_for("sign_in.show", next=request.full_path.rstrip("?")))
    raise Unauthorized("You are signed out: open the page again and sign in.")


@routes.get("/sign-in")
def show() -> ResponseReturnValue:
    """The form; for whoever needs none, where they wanted to go."""
    if context.config().console.user_header is not None:
        return redirect(_next())
    context.redis().ping()  # without Redis nobody gets in, and the form's token would hold for nothing
    return _form()


@routes.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Try a password."""
    name, given = _name(request.form.get("name", "")), request.form.get("password", "")
    address = request.remote_addr or ""
    if not name:
        return _form("Say who you are: your name stands beside what you do.", status=400)
    wait = doors.attempt(context.redis(), address)
    if wait > 0:
        log.warning("sign-in from %s refused: %.0f s to wait after too many tries", address, wait)
        text = f"Too many tries: wait {wait:.0f} s, then try again."
        return _form(text, status=429, headers={"Retry-After": f"{wait:.0f}"}, name=name)
    password = context.config().console_password
    if password is None or not hmac.compare_digest(given.encode(), password.encode()):
        log.warning("sign-in from %s refused: wrong password", address)
        return _form("That is not the password.", status=403, name=name)
    doors.opened(context.redis(), address)
    session.clear()  # with its token against forged requests: a new person, a new session
    session.permanent = True
    session.update(user=name, proof=_proof())
    g.user = name
    context.note(f"signed in from {address}")
    return redirect(_next())


@routes.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session."""
    session.clear()
    return redirect(url_for("sign_in.show"))


def _name(given: str) -> str:
    """In one line, for it stands in the log and in lists."""
    return " ".join("".join(one if one.isprintable() else " " for one in given).split())[:NAME_CHARS]


def _form(
    trouble: str = "", *, status: int = 200, headers: dict[str, str] | None = None, name: str = ""
) -> ResponseReturnValue:
    closed = context.config().console_password is None
    body = render_template("console/sign_in.html", trouble=trouble, name=name, next=_next(), closed=closed)
    return body, status, headers or {}


def _next() -> str:
    """Where the person wanted to go: a path of ours, never another site's."""
    wanted = request.values.get("next", "")
    path = wanted.startswith("/") and not wanted.startswith("//") and not set("\\\r\n") & set(wanted)
    return wanted if path else url_for("now.show")


def _proof() -> str:
    """Ties a session to the password it was opened with; the key is random, so nobody can try passwords on it."""
    key, password = str(current_app.secret_key), context.config().console_password or ""
    return hmac.new(key.encode(), password.encode(), hashlib.sha256).hexdigest()
