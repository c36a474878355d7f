"""The tasks: explicit names, payloads read, work handed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from celery_batches import SimpleRequest

from integration import messages
from integration.messages import Ask, Job, Message, Writes
from worker import (
    backfilling,
    deferred,
    explaining,
    jobs,
    judging,
    reconcile,
    recounting,
    registrar,
    watch,
    writing,
)
from worker.batching import SafeBatches
from worker.parts import Parts

WRITES_AT_ONCE = 4
"""Write messages merged into one go. Each holds at most 100 decisions and may cost two requests of 10 s: more than
that, and a slow Zendesk would keep a batch longer than the visibility timeout."""

M = TypeVar("M", bound=Message)


def register(parts: Parts) -> None:
    """Give this process's Celery app its tasks."""
    config = parts.config
    options = {"base": SafeBatches, "flush_interval": config.worker.flush_s, "park": parts.store.park}
    task = parts.celery.task

    @task(name=messages.WRITE, flush_every=WRITES_AT_ONCE, **options)
    def write(requests: Sequence[SimpleRequest]) -> None:
        batches = _payloads(Writes, requests)
        for has_slot in (True, False):
            waiting = [one for batch in batches if batch.has_slot is has_slot for one in batch.decisions]
            writing.write(parts, waiting, has_slot=has_slot)

    @task(name=messages.CONFIRM, flush_every=1, **options)
    def confirm(requests: Sequence[SimpleRequest]) -> None:
        for job in _payloads(Job, requests):
            jobs.confirm(parts, job)

    @task(name=messages.ASK)
    def ask(payload: dict[str, Any]) -> None:
        explaining.answer(parts, Ask.from_json(payload).id)

    @task(name=messages.ORDER)
    def order(payload: dict[str, Any]) -> None:
        registrar.carry_out(parts, Ask.from_json(payload).id)

    upkeep: dict[str, Callable[[], None]] = {
        messages.RESUME: lambda: deferred.resume(parts),
        messages.BACKFILL: lambda: backfilling.go_on(parts, parts.clock()),
        messages.WATCH: lambda: watch.watch(parts, parts.clock()),
        messages.RECONCILE: lambda: reconcile.reconcile(parts),
        messages.JUDGE: lambda: judging.judge(parts),
        messages.RECOUNT: lambda: recounting.recount(parts),
    }
    for name, work in upkeep.items():

        @task(name=name)
        def periodic(*_: object, work: Callable[[], None] = work) -> None:  # put aside, it has an empty payload
            work()


def _payloads(kind: type[M], requests: Sequence[SimpleRequest]) -> list[M]:
    return [kind.from_json(request.args[0]) for request in requests]
