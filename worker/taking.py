"""New tickets, taken from their queue a batch at a time; each is settled when it was worked through or parked."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from integration import inbox, messages
from integration.inbox import Envelope, Held
from integration.messages import NewTicket
from worker.classifying import classify
from worker.parts import Parts

log = logging.getLogger("presort.worker")

BUSY_S = 0.005
"""Until the next look while other queues hold work; as long as Celery gets between two batches."""

TROUBLE_S = 1.0
"""Until the next look after an error of Redis or the broker, which is nobody's fault."""


BATCH_S = 1.0
"""So long a batch may take: what is decided waits for all of it, and so does the next ticket."""

LEAST = 8
"""Tickets in a batch, however slow the model."""


def take(parts: Parts) -> float:
    """Sort a batch; raises nothing. Returns seconds until it wants to be called again."""
    most = parts.config.worker.batch
    limit = min(most, max(LEAST, int(BATCH_S / (parts.ticket_s or 1e-9))))
    try:
        held = inbox.take(parts.store.redis, limit)
        if held is None:
            return BUSY_S
        began = time.monotonic()
        _sort(parts, held)
        if held:
            parts.ticket_s = (time.monotonic() - began) / len(held)
    except (RedisError, OperationalError) as error:
        log.error("%s: no batch was taken: %s", messages.CLASSIFY, type(error).__name__)  # noqa: TRY400 - an outage needs no trace
        return TROUBLE_S
    return BUSY_S if len(held) == limit else parts.config.worker.flush_s


def _sort(parts: Parts, held: Sequence[Held]) -> None:
    try:
        tickets = [one for each in held if (one := _read(parts, each.entry)) is not None]
        if tickets:
            _classify(parts, tickets)
    except (RedisError, OperationalError):
        # Celery's transport gives back what stays held.
        with suppress(RedisError):
            inbox.give_back(parts.store.redis, held)
        raise
    inbox.settle(parts.store.redis, held)


def _classify(parts: Parts, tickets: Sequence[NewTicket]) -> None:
    """Together; when that fails, one by one, so that the one that is to blame is parked alone."""
    try:
        classify(parts, tickets)
    except (RedisError, OperationalError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other tickets go on
        kind = type(error).__name__  # the type only: a message may quote the text
        if len(tickets) > 1:
            log.warning("%s: %s in a batch of %d, now one by one", messages.CLASSIFY, kind, len(tickets))
            for one in tickets:
                _classify(parts, [one])
            return
        log.error("%s: message parked: %s", messages.CLASSIFY, kind, extra={"ticket": tickets[0].ticket_id})  # noqa: TRY400 - see above
        parts.store.park(messages.CLASSIFY, [tickets[0].to_json()], kind)


def _read(parts: Parts, entry: bytes) -> NewTicket | None:
    """The ticket of an entry; None when it has none and was parked."""
    try:
        envelope = msgspec.json.decode(entry, type=Envelope)
        arguments = envelope.arguments()
    except RecursionError:
        _park(parts, "?", "not kept", "an entry of the queue that is nested too deeply")
        return None
    except ValueError:  # no JSON, no base64, no message
        _park(parts, "?", entry.decode(errors="replace"), "an entry of the queue that is no message")
        return None
    task = envelope.headers.task
    if task != messages.CLASSIFY:
        _park(parts, task, arguments, "a task this release does not know")
        return None
    try:
        return NewTicket.from_json(arguments[0] if arguments else None)
    except msgspec.ValidationError as error:
        _park(parts, task, arguments, str(error))
    return None


def _park(parts: Parts, task: str, payload: object, reason: str) -> None:
    """The log does not say what it is, for it may be a ticket's text."""
    log.error("%s: message parked: %s", task, reason)
    parts.store.park(task, payload, reason)
