"""Around every page: who may see it, what a browser may do with it, its errors, its numbers and times."""

from __future__ import annotations

import gzip
import logging
import time
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from flask import Blueprint, Flask, Response, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from kombu.exceptions import OperationalError
from markupsafe import Markup
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from integration.console import context, sign_in
from integration.console.pages import PAGES
from integration.settings import Settings
from integration.store import Store
from integration.times import local_time, once_in, span

REDIS_TIMEOUT_S = 1.0
"""A person waits: better soon a page that says so."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Subjects and names are a stranger's: no script but our files, nothing from elsewhere, no frames. Plotly sets
``style`` attributes in its drawings; no sheet but ours, so nobody's text can restyle a page."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

PLOTLY = version("plotly")

log = logging.getLogger("presort.console")
routes = Blueprint("console", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")


def install(app: Flask, config: Settings) -> CSRFProtect:
    """Put the pages into an application; whoever is no page exempts itself from the protection that is returned.

    Raises:
        SettingsError: see ``sign_in.install``.
    """
    store = Store(config.redis_url, timeout_s=REDIS_TIMEOUT_S, retries=0)
    app.extensions[context.EXTENSION] = context.Context(config, store)
    sign_in.install(app, config)
    # A token is as good as its session. Not asked of the referrer: proxies may pass another host than browsers see.
    app.config |= {"WTF_CSRF_TIME_LIMIT": None, "WTF_CSRF_SSL_STRICT": False}
    app.before_request(_guard)  # before CSRFProtect's: who is signed out hears so, whatever they sent
    csrf = CSRFProtect(app)
    for blueprint in (routes, sign_in.routes, *(page.routes for page in PAGES)):
        app.register_blueprint(blueprint)
    app.after_request(_protect)
    app.context_processor(lambda: {"pages": PAGES, "user": context.user(), "plotly": PLOTLY, "now": time.time()})
    zone = config.zendesk.time_zone
    app.add_template_filter(lambda at: local_time(at, zone), "local")
    app.add_template_filter(span, "span")
    app.add_template_filter(once_in, "once_in")
    app.add_template_filter(_figure, "figure")
    app.add_template_filter(_breakable, "breakable")
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RedisError, _no_redis)
    app.register_error_handler(OperationalError, _no_redis)
    proxies = config.console.proxies
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]  # Flask's way
    return csrf


@routes.get("/assets/plotly-<number>.min.js")
def plotly(number: str) -> Response:
    """Plotly's script, from the installed package; under its version, so that a browser loads it once."""
    if number != PLOTLY:
        abort(404)
    packed = request.accept_encodings.quality("gzip") > 0
    answer = Response(_plotly(packed=packed), mimetype="text/javascript")
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    answer.headers["Vary"] = "Accept-Encoding"
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


@cache
def _plotly(*, packed: bool) -> bytes:
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return gzip.compress(script, compresslevel=6) if packed else script


def _guard() -> ResponseReturnValue | None:
    return sign_in.guard() if request.blueprint in {page.routes.name for page in PAGES} else None


def _protect(response: Response) -> Response:
    if request.blueprint != "agent":  # an API, which no browser shows
        response.headers.update(HEADERS)
        if request.endpoint not in {"console.static", "console.plotly"}:
            response.headers["Cache-Control"] = "no-store"
    return response


def _figure(value: float) -> str:
    """A number of tickets that need not be whole: ``0.04``, ``1.2``, ``34``, ``1,200``."""
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}" if value >= 0.1 else f"{value:.1g}"


def _breakable(name: str) -> Markup:
    """A label's name, which may go on in the next line after each ``::``."""
    return Markup("::<wbr>").join(name.split("::"))


def _http_error(error: HTTPException) -> ResponseReturnValue:
    """Every refusal and every error of our own, as a page; redirects stay what they are."""
    code = error.code or 500
    if code < 400:
        return error
    titles = {403: "Not for you", 404: "Not found", 500: "Something went wrong"}
    texts = {
        404: "There is no such page; or it was of something that is remembered for a while, and is forgotten by now.",
        500: "The console's log says what. It is worth telling whoever runs Presort.",
    }
    text = texts.get(code, error.description or error.name)
    if isinstance(error, CSRFError):
        text = "The form was not from this session. Go back, load the page again, and send it once more."
    return _trouble(code, titles.get(code, error.name), text)


def _no_redis(error: Exception) -> ResponseReturnValue:
    log.error("%s: Redis cannot be reached: %s", request.path, type(error).__name__)
    text = (
        "All that the console shows is in Redis, at PRESORT_REDIS_URL. Is it running, and may this machine reach it? "
        "No ticket is lost meanwhile: Zendesk repeats its webhooks, and what was not repeated is found in its export."
    )
    return _trouble(503, "Redis does not answer", text)


def _trouble(code: int, title: str, text: str) -> ResponseReturnValue:
    """A page, or for our scripts the same in JSON."""
    if context.from_script():
        return jsonify(title=title, text=text), code
    body = render_template("console/error.html", title=title, text=text, code=code)
    return body, code, {"Retry-After": "5"} if code == 503 else {}
