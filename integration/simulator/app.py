"""The Flask application: REST API, OAuth, the simulator's own API, pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from integration.simulator import desk, pages
from integration.simulator.api import export, fields, gate, oauth, search, tickets, triggers, users, webhooks
from integration.simulator.config import SimulatorConfig
from integration.simulator.errors import ApiError
from integration.simulator.simulation import EXTENSION, Simulation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _App(Flask):
    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Zendesk serves every API path with and without ``.json``; clients use both."""
        path = environ["PATH_INFO"]
        if path.startswith("/api/v2/"):
            environ["PATH_INFO"] = path.removesuffix(".json")
        return super().wsgi_app(environ, start_response)


def create_app(config: SimulatorConfig | None = None, clock: Callable[[], float] = time.time) -> Flask:
    """A simulator with an account of its own; it starts threads, so create it in the process that serves it.

    Args:
        config: the account; the defaults when left out.
        clock: the present in Unix seconds, for tests that move it.
    """
    app = _App(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024
    app.extensions[EXTENSION] = Simulation(config or SimulatorConfig(), clock)

    api = Blueprint("api", __name__, url_prefix="/api/v2")
    api.before_request(gate.enter)
    api.after_request(gate.leave)
    for room in (tickets, export, search, fields, users, webhooks, triggers):
        api.register_blueprint(room.routes)
    for routes in (api, oauth.routes, desk.routes, pages.routes):
        app.register_blueprint(routes)

    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _http_error(error: HTTPException) -> Response | HTTPException:
    """What never reached a route, or the ``status`` fault, which answers as a gateway does: in HTML."""
    if (error.code or 500) >= 500 or not request.path.startswith(("/api/", "/simulator/", "/oauth/")):
        return error
    response = jsonify({"error": (error.name or "Error").replace(" ", ""), "description": error.description})
    response.status_code = error.code or 500
    return response
