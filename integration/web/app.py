"""The Flask application that gunicorn serves: the admins' pages, the agent's sidebar API, and health."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify

from integration import settings
from integration.agent_api import routes as agent
from integration.agent_api.desk import Desk
from integration.console import frame

MAX_BODY = 256 * 1024
"""Bytes: two texts of ``agent.TEXT_CHARS`` characters, whatever the script."""

log = logging.getLogger("presort.console")


def create_app(config: settings.Settings | None = None) -> Flask:
    """The application; without an agent secret it has no sidebar API, without a way to sign in only closed pages.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    config = config or settings.load()
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    csrf = frame.install(app, config)
    app.extensions[agent.EXTENSION] = Desk(config)
    if config.agent_secrets:
        app.register_blueprint(agent.routes)
        csrf.exempt(agent.routes)  # every request carries a token of its own, and no cookie
    else:
        log.warning("PRESORT_AGENT_SECRETS is not set: agents have no sidebar")
    app.add_url_rule("/healthz", view_func=healthz)
    return app


def healthz() -> Response:
    """Alive. Asks nothing else, so that an outage of Redis does not restart the console."""
    return jsonify(status="ok")
