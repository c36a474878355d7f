"""Celery's consumer, with what it cannot make a task of parked instead of logged and dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer
from kombu.message import Message
from redis.exceptions import OutOfMemoryError

from worker.batching import Park

log = logging.getLogger("presort.worker")

Timer = tuple[float, Callable[[], None]]
"""Seconds between calls, and what is called."""


def consumer_class(park: Park) -> type[Consumer]:
    """A consumer that parks messages of unknown tasks and of no form.

    Celery would write such a message into the log, ticket text and all, and drop it. An unknown task is what an old
    worker sees while a new release rolls out.
    """

    class ParkingConsumer(Consumer):
        def on_unknown_message(self, body: Any, message: Message) -> None:  # noqa: ANN401, ARG002 - Celery's signature
            _refuse(message, "not a message of Celery's")

        def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's signature
            _refuse(message, "a task this release does not know")

        def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ANN401, ARG002 - Celery's signature
            _refuse(message, f"an unreadable message: {exc}")

        def on_decode_error(self, message: Message, exc: Exception) -> None:
            _refuse(message, f"an undecodable message: {type(exc).__name__}")

    def _refuse(message: Message, reason: str) -> None:
        task = str((message.headers or {}).get("task", "?"))
        log.error("%s: message parked: %s", task, reason)
        body = message.body.decode(errors="replace") if isinstance(message.body, bytes) else message.body
        park(task, body, reason)  # as text, which `presort parked retry` can read once a release knows the task
        message.ack()  # type: ignore[no-untyped-call]  # kombu leaves it untyped

    return ParkingConsumer


def repeating(timers: Sequence[Timer]) -> type[bootsteps.StartStopStep]:
    """A step of the consumer that starts timers with every connection: Celery forgets them when one breaks."""

    class Repeating(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Consumer) -> None:
            """A connection is made."""
            for seconds, call in timers:
                patient = _patient(call)
                patient()
                parent.timer.call_repeatedly(seconds, patient)

    return Repeating


def _patient(call: Callable[[], None]) -> Callable[[], None]:
    """The same, but a Redis that is full is no error: Celery would connect anew for it, again and again."""

    def patient() -> None:
        with suppress(OutOfMemoryError):
            call()

    return patient


def again_and_again(work: Callable[[], float]) -> type[bootsteps.StartStopStep]:
    """A step of the consumer that calls ``work`` after as many seconds as it asked for; between calls Celery works.

    Celery forgets all timers when a connection breaks, so it begins anew with every one.
    """

    class Again(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Consumer) -> None:
            """A connection is made."""

            def again() -> None:
                seconds = 1.0
                try:
                    seconds = work()
                finally:
                    parent.timer.call_after(seconds, again)

            parent.timer.call_after(0, again)

    return Again
