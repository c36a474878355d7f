"""What the routes work with: suggestions as they are remembered or read in Zendesk, and a worker's explanations."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection
from functools import cached_property
from typing import NamedTuple, TypeVar

import msgspec

from integration import asking, messages
from integration.asking import Answer, Question
from integration.messages import Ask, Decision
from integration.publisher import create_celery, publish
from integration.registries import Order, Reply
from integration.settings import Settings
from integration.store import Store
from integration.zendesk.client import Zendesk
from integration.zendesk.errors import NotFound, ZendeskError
from integration.zendesk.history import decided

REDIS_TIMEOUT_S = 1.0
ZENDESK_TIMEOUT_S = 5.0
"""A person waits: better soon an error with a button to try again."""

ANSWER_S = 8.0
"""How long a question waits for a worker: a batch or two of tickets, then up to two seconds for the question itself."""

WAITING = 4
"""Questions of one console process that may wait at once; it goes on answering whatever else is asked."""

QUESTIONS_PER_MINUTE = 30
"""Of all agents together: whatever they do, it costs no more than one worker's time."""

HISTORIES_PER_MINUTE = 60
"""Histories read in Zendesk, of all agents together: they count among the account's requests."""

T = TypeVar("T", bound=msgspec.Struct)


class Refused(Exception):  # noqa: N818 - the state, as the app shows it
    """No answer, and why: ``code`` is a name for the app, the message is for people who look."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code = status, code


class Suggestion(NamedTuple):
    """What Presort said of a ticket.

    Attributes:
        answers: the model's tags: one, or of a multi-label model several.
        sure: whether they had reached their thresholds.
        top: (tag, probability) of the likeliest, best first.
        reason: why it was decided so, see ``messages.Decision``; None where only Zendesk remembers.
    """

    model: str
    answers: tuple[str, ...]
    sure: bool
    top: tuple[tuple[str, float], ...]
    reason: str | None = None


class Desk:
    """One a console process. Its methods raise ``Refused``, or an error of Redis or the broker."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.classifiers = {one.name: one for one in config.classifiers}
        self.store = Store(config.redis_url, timeout_s=REDIS_TIMEOUT_S, retries=0)
        self._patient = Store(config.redis_url, timeout_s=ANSWER_S + 2, retries=0)
        self._celery = create_celery("presort.console", config.redis_url, timeout_s=REDIS_TIMEOUT_S)
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._reading = threading.Lock()  # zenpy's client is for one thread at a time

    @cached_property
    def _zendesk(self) -> Zendesk:
        limits = self.config.zendesk
        quick = msgspec.structs.replace(limits, timeout_s=min(ZENDESK_TIMEOUT_S, limits.timeout_s))
        return Zendesk(quick, self.config.zendesk_client_secret, self.store)

    def suggestions(self, ticket_id: int) -> dict[str, Suggestion | None]:
        """What was said of a ticket, by classifier: None where it is not decided yet, absent where nothing was said.

        Presort remembers two days; of older tickets the history tells, at one request a ticket.
        """
        records = {name: self.store.ticket(ticket_id, name) for name in self.classifiers}
        found = {name: _of_record(one.decision) for name, one in records.items() if one is not None}
        unknown = [name for name in records if name not in found]
        untold = {name for _, name in self.store.undecided([(ticket_id, name) for name in unknown])}
        told = self._from_history(ticket_id, untold) if untold else {}
        return {**found, **told, **dict.fromkeys(set(unknown) - untold)}

    def ask(self, question: Question) -> Answer:
        """What a worker says; waits for it."""
        found = self._of_worker(messages.ASK, question, Answer)
        if found.error is not None:
            raise Refused(500, "failed", found.error)
        return found

    def order(self, order: Order) -> Reply:
        """What a worker did at a registry of models, or why not; waits for it."""
        return self._of_worker(messages.ORDER, order, Reply)

    def _of_worker(self, task: str, question: msgspec.Struct, kind: type[T]) -> T:
        if not self._waiting.acquire(blocking=False):
            raise Refused(503, "busy", f"{WAITING} questions wait already")
        try:
            if not self.store.workers():
                raise Refused(503, "no_worker", "no worker was heard of in 30 s")
            name = uuid.uuid4().hex
            asking.put(self.store.redis, name, question)
            publish(self._celery, task, Ask(id=name))
            found = asking.await_answer(self._patient.redis, name, ANSWER_S, kind)
        finally:
            self._waiting.release()
        if found is None:
            raise Refused(503, "no_worker", f"no worker answered in {ANSWER_S:.0f} s: they have much to do, or hang")
        return found

    def admit(self, what: str, per_minute: int) -> None:
        """Let one more of ``what`` happen in this minute."""
        if not asking.admit(self.store.redis, what, per_minute, time.time()):
            raise Refused(429, "too_many", f"more than {per_minute} in a minute")

    def _from_history(self, ticket_id: int, names: Collection[str]) -> dict[str, Suggestion | None]:
        if self.store.updates_held() > 0:
            raise Refused(503, "zendesk", "Zendesk asked to wait, or does not answer")
        self.admit("histories", HISTORIES_PER_MINUTE)
        if not self._reading.acquire(timeout=ZENDESK_TIMEOUT_S):
            raise Refused(503, "busy", "other tickets' histories are being read")
        try:
            audits = self._zendesk.audits(ticket_id)
        except NotFound:
            raise Refused(404, "no_ticket", "Zendesk has no such ticket") from None
        except ZendeskError as error:
            raise Refused(503, "zendesk", str(error)) from error
        finally:
            self._reading.release()
        told = {name: decided(audits, self.classifiers[name]) for name in names}
        return {
            name: Suggestion(one[0].model, one[0].answers, one[0].sure, one[0].top)
            for name, one in told.items()
            if one is not None and one[0].answers
        }


def _of_record(one: Decision) -> Suggestion:
    return Suggestion(one.model, one.answers, bool(one.sure), one.top, one.reason)
