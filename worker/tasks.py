"""The tasks: explicit names, payloads read, work handed on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from celery_batches import SimpleRequest

from integration import messages
from integration.messages import Job, Message, NewTicket, Writes
from worker import classifying, deferred, watch, writing
from worker.batching import DONE, SafeBatches
from worker.parts import Parts

log = logging.getLogger("presort.worker")

WRITES_AT_ONCE = 10
"""Write messages merged into one go; each holds up to a batch of decisions."""

M = TypeVar("M", bound=Message)


def register(parts: Parts) -> None:
    """Give this process's Celery app its tasks."""
    app, config = parts.celery, parts.config

    @app.task(
        name=messages.CLASSIFY,
        base=SafeBatches,
        flush_every=config.worker.batch,
        flush_interval=config.worker.flush_s,
        bind=False,
    )
    def classify(requests: Sequence[SimpleRequest]) -> bool:
        classifying.classify(parts, _payloads(parts, NewTicket, messages.CLASSIFY, requests))
        return DONE

    @app.task(
        name=messages.WRITE,
        base=SafeBatches,
        flush_every=WRITES_AT_ONCE,
        flush_interval=config.worker.flush_s,
        bind=False,
    )
    def write(requests: Sequence[SimpleRequest]) -> bool:
        batches = _payloads(parts, Writes, messages.WRITE, requests)
        for has_slot in (True, False):
            waiting = [one for batch in batches if batch.has_slot is has_slot for one in batch.decisions]
            writing.write(parts, waiting, has_slot=has_slot)
        return DONE

    @app.task(name=messages.CONFIRM, base=SafeBatches, flush_every=1, flush_interval=config.worker.flush_s, bind=False)
    def confirm(requests: Sequence[SimpleRequest]) -> bool:
        for job in _payloads(parts, Job, messages.CONFIRM, requests):
            writing.confirm(parts, job)
        return DONE

    @app.task(name=messages.RESUME)
    def resume() -> None:
        deferred.resume(parts)

    @app.task(name=messages.WATCH)
    def watch_rates() -> None:
        watch.watch(parts, time.time())


def _payloads(parts: Parts, kind: type[M], task: str, requests: Sequence[SimpleRequest]) -> list[M]:
    """The messages' payloads; one that cannot be read is parked."""
    payloads = []
    for request in requests:
        try:
            payloads.append(kind.from_json(request.args[0]))
        except (IndexError, msgspec.ValidationError) as error:
            log.error("%s: unreadable message parked: %s", task, error)  # noqa: TRY400 - the reason says it all
            parts.store.park(task, list(request.args), f"unreadable message: {error}")
    return payloads
