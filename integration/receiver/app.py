"""The Flask application: ``POST /webhooks/zendesk``, health and metrics."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import msgspec
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from integration import inbox, messages, settings, tracing
from integration.receiver import health, metrics
from integration.receiver.payloads import Ignored, PayloadError, parse
from integration.store import Store
from integration.zendesk import signature

MAX_BODY = 256 * 1024
"""Bytes; Zendesk never sends more."""

REDIS_TIMEOUT_S = 1.0

RETRY_AFTER_S = 30
"""Zendesk repeats a 503 only when it carries a Retry-After below 60."""

log = logging.getLogger("presort.receiver")
routes = Blueprint("webhooks", __name__)


class Receiver:
    """What the routes need, made once a process."""

    def __init__(self, config: settings.Settings) -> None:
        self.config = config
        self.classifiers = [one.name for one in config.classifiers]
        # Zendesk waits 12 s at most and comes again: better a quick 503 than a slow answer.
        self.store = Store(config.redis_url, timeout_s=REDIS_TIMEOUT_S, retries=0)


def create_app(config: settings.Settings | None = None) -> Flask:
    """The application gunicorn serves.

    Raises:
        SettingsError: a setting is missing, or the public test secret is configured for a real account.
    """
    config = config or settings.load()
    if not config.webhook_secrets:
        raise settings.SettingsError(
            "PRESORT_WEBHOOK_SECRETS is not set: put the webhook's signing secret, which `presort install` shows, "
            "there (or in a file that PRESORT_WEBHOOK_SECRETS_FILE names)"
        )
    if signature.PUBLIC_TEST_SECRET in config.webhook_secrets and config.zendesk.url is None:
        raise settings.SettingsError(
            "PRESORT_WEBHOOK_SECRETS holds Zendesk's public test secret, with which anyone can sign: "
            "use the webhook's own signing secret"
        )
    if config.traced:
        tracing.configure("presort-receiver")
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.extensions["presort"] = Receiver(config)
    app.register_blueprint(routes)
    app.register_blueprint(health.routes)
    app.register_blueprint(metrics.routes)
    app.register_error_handler(HTTPException, _json_error)
    return app


@routes.post(settings.WEBHOOK_PATH)
def zendesk_webhook() -> tuple[Response, int]:
    """Take a delivery: 200 when it is published, known or of no interest; 503 when it must come again."""
    began = time.perf_counter()
    try:
        status, reason, code = *_take(current_app.extensions["presort"]), 200
    except tuple(_REFUSALS) as error:
        status, reason, code = "refused", str(error), _REFUSALS[type(error)]
        log.warning("delivery refused with %d: %s", code, reason)
    except RedisError as error:
        status, reason, code = "unavailable", "the queue cannot be reached; send it again", 503
        log.error("queue unreachable: %s", type(error).__name__)  # noqa: TRY400 - an outage needs no stack trace
    metrics.WEBHOOKS.labels(status).inc()
    metrics.WEBHOOK_SECONDS.observe(time.perf_counter() - began)
    response = jsonify(status=status, reason=reason)
    if code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response, code


class _NotJson(Exception):  # noqa: N818 - read as the refusal it is
    """A request of another content type."""


_REFUSALS: dict[type[Exception], int] = {_NotJson: 415, signature.SignatureError: 401, PayloadError: 400}


def _take(receiver: Receiver) -> tuple[str, str]:
    """The answer's status and reason; raises what ``_REFUSALS`` lists, or an error of Redis."""
    if not request.is_json:
        raise _NotJson("Content-Type must be application/json: set the webhook's request format to JSON")
    body = request.get_data(cache=False)
    if len(body) >= MAX_BODY:  # a chunked body has no length to be refused by beforehand
        raise RequestEntityTooLarge
    now = datetime.now(UTC)
    signature.verify(
        receiver.config.webhook_secrets,
        request.headers.get(signature.SIGNATURE_HEADER),
        request.headers.get(signature.TIMESTAMP_HEADER),
        body,
        now=now,
        window_s=receiver.config.receiver.max_age_s,
    )
    try:
        delivery_id, ticket = parse(body, received_at=now.timestamp())
    except Ignored as reason:
        return "ignored", str(reason)
    about = {"ticket": ticket.ticket_id, "delivery": delivery_id}
    with tracing.root("webhook", ticket=ticket.ticket_id, asked=True) as trace:
        told = msgspec.structs.replace(ticket, trace=trace)
        new = inbox.put(receiver.store.redis, messages.CLASSIFY, told, delivery_id, receiver.classifiers)
    if not new:
        log.info("duplicate", extra=about)
        return "duplicate", "this delivery is in the queue already"
    log.info("queued", extra=about)
    return "accepted", "queued"


def _json_error(error: HTTPException) -> tuple[Response, int]:
    reason = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        reason = f"the body is larger than {MAX_BODY // 1024} KB, more than Zendesk ever sends"
    return jsonify(status="refused", reason=reason), error.code or 500
