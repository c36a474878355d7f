"""``/agent``: a ticket's suggestions, why, and what the agent makes of them; JSON in and out.

Zendesk's proxy calls it, never a browser, so it allows no other origin. Every answer that is no suggestion is
``{"error": code, "reason": text}``: the app shows the code's text in the agent's language.
"""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any, TypeVar

import msgspec
from flask import Blueprint, Response, current_app, jsonify, request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from integration import feedback
from integration.agent_api.desk import QUESTIONS_PER_MINUTE, Desk, Refused, Suggestion
from integration.agent_api.tokens import Claims, TokenError, verify
from integration.asking import Question
from integration.feedback import Feedback
from integration.records import Model

EXTENSION = "presort_desk"

AGENT_REQUESTS_PER_MINUTE = 60
AGENT_QUESTIONS_PER_MINUTE = 12
"""For each agent. Who an agent is, its browser says: what all of them may cost together is bounded in ``desk``."""

TEXT_CHARS = 20_000
"""Of subject and of description, as with webhooks: more than any model reads."""

ALTERNATIVES = 2

log = logging.getLogger("presort.agent")
routes = Blueprint("agent", __name__, url_prefix="/agent")

T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS)]


class _Why(msgspec.Struct):
    """The text is the one that the agent sees: so no agent learns a word of a ticket that is closed to them."""

    classifier: str
    label: str | None = None
    subject: Text | None = None
    description: Text | None = None


class _Feedback(msgspec.Struct):
    classifier: str
    into: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]


@routes.get("/tickets/<int:ticket_id>")
def suggestions(ticket_id: int) -> Response:
    """What Presort says of a ticket, for each classifier."""
    _agent(ticket_id)
    desk = _desk()
    found = desk.suggestions(ticket_id)
    return jsonify(ticket_id=ticket_id, classifiers=[_shown(desk, ticket_id, name, found) for name in desk.classifiers])


@routes.post("/tickets/<int:ticket_id>/why")
def why(ticket_id: int) -> Response:
    """Which words of the ticket moved the model, asked of a worker."""
    agent, desk, asked = _agent(ticket_id), _desk(), _body(_Why)
    model = _model(desk, asked.classifier)
    desk.admit(f"questions:{agent.agent_id}", AGENT_QUESTIONS_PER_MINUTE)
    desk.admit("questions", QUESTIONS_PER_MINUTE)
    answer = desk.ask(Question(**msgspec.structs.asdict(asked)))
    return jsonify(
        model=answer.model,
        name=model.labels.get(answer.label or "", answer.label),
        words=[one._asdict() for one in answer.words],
        labels=[
            one._asdict() | {"name": model.labels.get(one.label, one.label)}
            for one in answer.labels[: 1 + ALTERNATIVES]
        ],
        cut=answer.cut,
        ms=answer.ms,
    )


@routes.post("/tickets/<int:ticket_id>/feedback")
def give_feedback(ticket_id: int) -> Response:
    """Take what the agent chose; once a ticket and classifier, the first time counts."""
    agent, desk, told = _agent(ticket_id), _desk(), _body(_Feedback)
    classifier, model = desk.classifiers.get(told.classifier), _model(desk, told.classifier)
    suggested = desk.suggestions(ticket_id).get(told.classifier)
    if classifier is None or suggested is None or not suggested.answers:
        raise Refused(409, "nothing_suggested", "there is no suggestion to speak of")
    answers = tuple(classifier.option(label) for label in suggested.answers)
    if unknown := set(told.into) - {classifier.option(label) for label in model.labels} - set(answers):
        raise Refused(400, "unknown_option", f"{len(unknown)} of the options are not the model's")
    given = Feedback(
        ticket_id=ticket_id,
        classifier=classifier.name,
        model=suggested.model,
        answers=answers,
        verdict="accepted" if set(told.into) == set(answers) else "corrected",
        into=tuple(dict.fromkeys(told.into)),
        agent_id=agent.agent_id,
        at=time.time(),
    )
    recorded = feedback.give(desk.store.redis, given)
    log.info("feedback", extra={"ticket": ticket_id, "classifier": given.classifier, "outcome": given.verdict})
    return jsonify(recorded=recorded, verdict=given.verdict)


@routes.errorhandler(Refused)
def _refused(error: Refused) -> tuple[Response, int]:
    log.info("%s refused with %d: %s", request.endpoint, error.status, error)
    return jsonify(error=error.code, reason=str(error)), error.status


@routes.errorhandler(TokenError)
def _not_the_app(error: TokenError) -> tuple[Response, int]:
    log.warning("%s refused with 401: %s", request.endpoint, error)
    return jsonify(error="no_access", reason=str(error)), 401


@routes.errorhandler(RedisError)
@routes.errorhandler(OperationalError)
def _no_redis(error: Exception) -> tuple[Response, int]:
    log.error("%s: Redis cannot be reached: %s", request.endpoint, type(error).__name__)
    return jsonify(error="unavailable", reason="Redis cannot be reached"), 503


@routes.errorhandler(HTTPException)
def _http(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error="bad_request", reason=error.description or error.name), error.code or 500


def _desk() -> Desk:
    desk: Desk = current_app.extensions[EXTENSION]
    return desk


def _agent(ticket_id: int) -> Claims:
    """Who asks, if the token is the app's and was made for this ticket, and while that is not too often."""
    desk = _desk()
    claims = verify(desk.config.agent_secrets, request.headers.get("Authorization"))
    if claims.ticket_id != ticket_id:
        raise TokenError("the token was made for another ticket")
    desk.admit(f"agent:{claims.agent_id}", AGENT_REQUESTS_PER_MINUTE)
    return claims


def _body(kind: type[T]) -> T:
    raw = request.get_data(cache=False)
    # Zendesk's proxy writes the secret wherever a request names it, and what is sent as a text comes back as words:
    # without this, any agent could read the secret. Looked for before JSON's escapes can hide a part of it.
    if any(secret.encode() in raw for secret in _desk().config.agent_secrets):
        raise Refused(400, "bad_request", "the body holds the app's secret")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):  # the error's text may quote the ticket's
        raise Refused(400, "bad_request", "the body is not what the app sends") from None


def _model(desk: Desk, classifier: str) -> Model:
    if classifier not in desk.classifiers:
        raise Refused(404, "bad_request", "there is no such classifier")
    model = desk.store.model(classifier)
    if model is None:
        raise Refused(503, "no_worker", "no worker has loaded a model yet")
    return model


def _shown(desk: Desk, ticket_id: int, name: str, found: dict[str, Suggestion | None]) -> dict[str, Any]:
    """What the app shows of a classifier; its state is ``suggested``, ``skipped``, ``waiting`` or ``nothing``."""
    classifier, model, suggested = desk.classifiers[name], desk.store.model(name), found.get(name)
    labels = model.labels if model else {}

    def choice(label: str, probability: float | None = None) -> dict[str, Any]:
        option = classifier.option(label)
        return {"label": label, "option": option, "name": labels.get(label, label), "probability": probability}

    shown: dict[str, Any] = {"name": name, "field_id": classifier.field_id}
    if suggested is None:
        return shown | {"state": "waiting" if name in found else "nothing"}
    if not suggested.answers:
        return shown | {"state": "skipped", "why": suggested.reason}
    odds = dict(suggested.top)
    said = feedback.given(desk.store.redis, ticket_id, name)
    others = [label for label in odds if label not in suggested.answers]
    return shown | {
        "state": "suggested",
        "model": suggested.model,
        "sure": suggested.sure,
        "several": bool(model and model.several),
        "answers": [choice(label, odds.get(label)) for label in suggested.answers],
        "alternatives": [choice(label, odds[label]) for label in others[:ALTERNATIVES]],
        "choices": sorted((choice(label) for label in labels), key=lambda one: str(one["name"])),
        "feedback": None if said is None else {"verdict": said.verdict, "into": said.into},
    }
