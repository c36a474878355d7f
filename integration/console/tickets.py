"""*Tickets*: one ticket's way, step by step, and why; and the messages that wait for a person."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from integration import counting, feedback, outcomes, parking, stream
from integration.console import context
from integration.console.words import OUTCOMES, TASKS, reason
from integration.feedback import Feedback
from integration.messages import Decision
from integration.parking import BusyError, Done
from integration.records import Record
from integration.settings import Classifier

routes = Blueprint("tickets", __name__, url_prefix="/tickets")

SHOWN_PARKED = 50
MOST_ID = 2**63 - 1

# "#123", "123", or the address of a ticket, whose last number it is.
_TYPED = re.compile(r"(?:.*[/#])?\s*(\d{1,19})\s*[/?]?", re.DOTALL)


class Step(NamedTuple):
    """What happened; ``at`` in Unix seconds, None where nobody keeps when."""

    at: float | None
    what: str
    more: str = ""


class Chance(NamedTuple):
    """One of the likeliest answers; ``answered`` is whether the decision is it."""

    name: str
    tag: str
    probability: float
    answered: bool


class Story(NamedTuple):
    """One classifier's part in a ticket's way.

    Attributes:
        decision: None while there is none.
        now: how it stands, in a sentence.
        steps: in the order in which they happened.
        chances: the likeliest answers, best first.
        why: the decision's reason in words.
    """

    classifier: str
    decision: Decision | None
    now: str
    steps: list[Step]
    chances: list[Chance]
    why: str


class Seen(NamedTuple):
    """What else is known of a ticket and a classifier.

    Attributes:
        awaited_since: when the webhook came, while there is no outcome.
        ends: of its decision, oldest first; one that was parked and sent again has several.
        said: what an agent said in the sidebar.
        wrong: it is among the newest for which the answer did not stand.
        taken_back: it was spam or an import after all, and counts no longer.
    """

    awaited_since: float | None = None
    ends: tuple[Record, ...] = ()
    said: Feedback | None = None
    wrong: bool = False
    taken_back: bool = False


@routes.get("/")
def show() -> ResponseReturnValue:
    """The search and what is parked; with ``?ticket=`` the way of one."""
    typed = request.args.get("ticket", "").strip()
    ticket = ticket_id(typed)
    if ticket is not None:
        return redirect(url_for("tickets.one", ticket=ticket))
    rows = context.store().parked()
    trouble = "That is no ticket's number: it looks like 12345, or the address of a ticket." if typed else ""
    body = context.page(
        "tickets.html",
        typed=typed,
        trouble=trouble,
        parked=[(row, parking.tickets_of(row), parking.shown(row)) for row in rows[:SHOWN_PARKED]],
        many=len(rows),
        tasks=TASKS,
        now=time.time(),
    )
    return body, 400 if typed else 200


@routes.get("/<int:ticket>")
def one(ticket: int) -> ResponseReturnValue:
    """Every step that a ticket took."""
    context.or_404(ticket if ticket <= MOST_ID else None)
    store, config = context.store(), context.config()
    now = time.time()
    records = {one.name: store.ticket(ticket, one.name) for one in config.classifiers}
    ended: list[Record] = []
    if not any(records.values()):
        ended = [one.record for one in stream.of_ticket(store.redis, ticket)]
    stories = []
    for classifier in config.classifiers:
        ends = tuple(one for one in ended if one.decision.classifier == classifier.name)
        record = records[classifier.name] or (ends[-1] if ends else None)
        seen = _seen(ticket, classifier, record, ends)
        if record is not None or seen.awaited_since is not None:
            model = store.model(classifier.name)
            names = {} if model is None else model.labels
            stories.append(story(classifier, record, seen, names, outcomes.looked_back(store.redis, ticket)))
    parked = [(row, parking.tickets_of(row), parking.shown(row)) for row in store.parked()]
    parked = [row for row in parked if ticket in row[1]]
    body = context.page(
        "ticket.html",
        ticket=ticket,
        url=config.zendesk.ticket_url(ticket),
        stories=stories,
        parked=parked,
        tasks=TASKS,
        now=now,
    )
    return body, 200 if stories or parked else 404


@routes.post("/parked/retry")
def retry() -> ResponseReturnValue:
    """Send parked messages to their queues again: those that are named, or all."""
    names = request.form.getlist("name")
    if not names and "all" not in request.form:
        flash("Nothing was chosen.")
        return redirect(url_for("tickets.show"))
    try:
        done = parking.retry(context.store(), context.config().redis_url, names)
    except BusyError as error:
        flash(f"Nothing was done: {error}.")
    else:
        _told("sent again", done)
    return redirect(url_for("tickets.show"))


@routes.post("/parked/drop")
def drop() -> ResponseReturnValue:
    """Forget parked messages for good."""
    try:
        done = parking.drop(context.store(), request.form.getlist("name"))
    except BusyError as error:
        flash(f"Nothing was done: {error}.")
    else:
        _told("dropped", done)
    return redirect(url_for("tickets.show"))


def ticket_id(typed: str) -> int | None:
    """The number that somebody typed, or pasted as a ticket's address."""
    found = _TYPED.fullmatch(typed)
    return int(found[1]) if found and 0 < int(found[1]) <= MOST_ID else None


def story(
    classifier: Classifier,
    record: Record | None,
    seen: Seen,
    names: Mapping[str, str],
    looked_back: Literal["done", "waits"] | None,
) -> Story:
    """A ticket's way through one classifier.

    Args:
        classifier: whose.
        record: the decision and what became of it; None while there is none.
        seen: what else is known.
        names: the model's labels, tag to name.
        looked_back: see ``outcomes.looked_back``.
    """
    if record is None:
        steps = [Step(seen.awaited_since, "The webhook came")]
        return Story(classifier.name, None, "It waits to be sorted.", steps, [], "")
    one = record.decision
    steps = [
        Step(one.created_at, "The customer filed it"),
        Step(
            one.received_at, "A backfill took it up" if one.backfill else "Presort heard of it", _after(one, "received")
        ),
        Step(one.decided_at, "Decided", f"{_answers(one, names)}; {one.model}{_after(one, 'decided')}"),
    ]
    for end in seen.ends or ((record,) if record.outcome else ()):
        word = OUTCOMES.get(end.outcome or "", end.outcome or "")
        steps.append(Step(end.finished_at, word[:1].upper() + word[1:], reason(end.reason)))
    if seen.said is not None:
        into = ", ".join(seen.said.into)
        verb = "accepted it" if seen.said.verdict == "accepted" else f"corrected it to {into}"
        steps.append(Step(seen.said.at, f"Agent {seen.said.agent_id} {verb}", "in the sidebar"))
    if seen.taken_back:
        steps.append(Step(None, "Taken back from the counts", "it was spam or an import after all"))
    if looked_back == "waits":
        steps.append(Step(None, "Solved", "it waits to be looked back at"))
    elif looked_back == "done":
        stood = "the answer did not stand in the end" if seen.wrong else "counted in its category's figures"
        steps.append(Step(None, "Solved, and looked back at", stood))
    return Story(
        classifier=classifier.name,
        decision=one,
        now=_now(record),
        steps=sorted(steps, key=lambda step: (step.at is None, step.at or 0)),
        chances=chances(one, names, one.answers),
        why=_why(one),
    )


def chances(decision: Decision, names: Mapping[str, str], answers: Collection[str]) -> list[Chance]:
    """The likeliest answers, best first."""
    return [Chance(names.get(tag, tag), tag, probability, tag in answers) for tag, probability in decision.top]


def _why(one: Decision) -> str:
    text = reason(one.reason)
    if one.confidence is not None and one.threshold is not None:
        text += f": {one.confidence:.1%} where {one.threshold:.1%} are needed"
        if one.threshold > 1:
            text = f"{reason(one.reason)}: {one.confidence:.1%}, and this category is never filled"
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _answers(one: Decision, names: Mapping[str, str]) -> str:
    return ", ".join(names.get(tag, tag) for tag in one.answers) or "no answer"


def _after(one: Decision, step: Literal["received", "decided"]) -> str:
    """How long after the step before, in words; nothing where that says nothing."""
    seconds = one.decided_at - one.received_at if step == "decided" else one.received_at - one.created_at
    if not 0 <= seconds < 86400:
        return ""
    return f", {seconds:.1f} s later" if step == "decided" else f"{seconds:.0f} s later"


def _now(record: Record) -> str:
    if record.outcome is None:
        return "Decided; it waits to be written."
    word = OUTCOMES.get(record.outcome, record.outcome)
    why = reason(record.reason)
    return f"{word[:1].upper()}{word[1:]}{f': {why}' if why else ''}."


def _seen(ticket: int, classifier: Classifier, record: Record | None, ends: tuple[Record, ...]) -> Seen:
    redis, answers = context.redis(), record.decision.answers if record else ()
    return Seen(
        awaited_since=context.store().awaited_since(ticket, classifier.name),
        ends=ends,
        said=feedback.given(redis, ticket, classifier.name),
        wrong=any(ticket in outcomes.wrong_examples(redis, classifier.name, tag, outcomes.EXAMPLES) for tag in answers),
        taken_back=counting.taken_back(redis, ticket, classifier.name),
    )


def _told(what: str, found: Done) -> None:
    """Say, and remember, what was done with which."""
    if found.done:
        names = ", ".join(found.done[:5]) + (f" and {len(found.done) - 5} more" if len(found.done) > 5 else "")
        context.note(f"parked messages {what}: {names}")
    parts = [f"{len(found.done)} {what}"]
    if found.missing:
        parts.append(f"{len(found.missing)} not parked any longer")
    if found.formless:
        parts.append(f"{len(found.formless)} left parked: this release knows no such message")
    flash(", ".join(parts) + ".")
