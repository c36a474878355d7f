"""*Try it*: a text, what the model says of it, the decision it would get, and the words that weighed."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from integration.agent_api.desk import QUESTIONS_PER_MINUTE, Refused
from integration.agent_api.routes import TEXT_CHARS
from integration.asking import Answer, Question, Word
from integration.console import context
from integration.console.asked import TEXTS, desk
from integration.console.words import reason
from integration.messages import Decision

routes = Blueprint("try_it", __name__, url_prefix="/try-it")

LEVELS = 4
"""Shades of a word."""

LEAST = 0.08
"""Of the heaviest word's weight: less is no shade."""

HEAVIEST = 8

LIKELIEST = 10
"""Categories that are shown at once; the others are folded."""

ACTIONS = {
    "fill": "It would be filled",
    "suggest": "It would be suggested only",
    "leave": "Nothing would be written",
}


class Shade(NamedTuple):
    """A word and how much it weighed: ``level`` from 0 (nothing) to ``LEVELS``, below zero if it speaks against."""

    text: str
    level: int


@routes.get("/")
def show() -> str:
    """The form."""
    return _page()


@routes.post("/")
def ask() -> ResponseReturnValue:
    """Ask a worker."""
    subject = request.form.get("subject", "")
    description = request.form.get("description", "")
    if not (subject.strip() or description.strip()):
        return _page(trouble="Paste a subject or a text."), 400
    if max(len(subject), len(description)) > TEXT_CHARS:
        return _page(trouble=f"That is longer than {TEXT_CHARS:,} characters: no model reads so much."), 413
    classifier = context.classifier()
    question = Question(
        classifier=classifier.name,
        subject=subject,
        description=description,
        label=request.form.get("label") or None,
        decide=True,
    )
    try:
        desk().admit("questions", QUESTIONS_PER_MINUTE)
        answer = desk().ask(question)
    except Refused as error:
        return _page(trouble=TEXTS.get(error.code, str(error)), detail=str(error)), error.status
    return _page(answer=answer)


def shades(words: tuple[Word, ...]) -> list[Shade]:
    """The text's words in its order, each as strong as its weight is against the heaviest."""
    most = max((abs(one.weight) for one in words), default=0.0)
    found = []
    for one in words:
        part = abs(one.weight) / most if most else 0.0
        level = 0 if part < LEAST else min(LEVELS, 1 + int(part * LEVELS))
        found.append(Shade(one.text, level if one.weight > 0 else -level))
    return found


def heaviest(words: tuple[Word, ...]) -> list[Word]:
    """The words that weighed most, for or against."""
    found = sorted((one for one in words if round(one.weight, 2)), key=lambda one: -abs(one.weight))
    return found[:HEAVIEST]


def verdict(decision: Decision, names: dict[str, str]) -> tuple[str, str]:
    """What would be done, and why."""
    answers = ", ".join(names.get(tag, tag) for tag in decision.answers)
    why = reason(decision.reason)
    if decision.language is not None:
        why += f" (its language is {decision.language})"
    head = ACTIONS[decision.action]
    return f"{head}: {answers}" if answers and decision.action != "leave" else head, f"{why[:1].upper()}{why[1:]}."


def _page(*, answer: Answer | None = None, trouble: str = "", detail: str = "") -> str:
    classifier = context.classifier()
    model = context.store().model(classifier.name)
    names = {} if model is None else model.labels
    found: dict[str, object] = {}
    if answer is not None:
        found = {
            "likeliest": answer.labels[:LIKELIEST],
            "others": answer.labels[LIKELIEST:],
            "shades": shades(answer.words),
            "heaviest": heaviest(answer.words),
            "verdict": None if answer.decision is None else verdict(answer.decision, names),
            "explained": names.get(answer.label or "", answer.label),
        }
    return context.page(
        "try_it.html",
        classifier=classifier,
        classifiers=context.config().classifiers,
        model=model,
        names=names,
        answer=answer,
        trouble=trouble,
        detail=detail,
        subject=request.form.get("subject", ""),
        description=request.form.get("description", ""),
        most=TEXT_CHARS,
        **found,
    )
