"""Celery messages taken in batches; each is acknowledged when it was worked through, parked when it cannot be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from celery_batches import Batches, SimpleRequest
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger("presort.worker")

Park = Callable[[str, Any, str], None]
"""Keeps a task name, a payload and a reason for a person to look at."""


class SafeBatches(Batches):
    """``Batches`` that loses nothing and is stopped by nothing; for the solo pool, where a batch runs in place.

    celery-batches acknowledges a batch even when its task raised, which would lose it. Here a batch that raised is
    worked through again message by message, and the one that raises alone is parked. Errors of Redis or the broker are
    nobody's fault: the messages go back to their queue, after a second's pause.

    Celery's logging of what went wrong quotes arguments, and those hold ticket text: only the error's type is logged,
    or what a message that cannot be read lacks.
    """

    abstract = True
    acks_late = True

    park: Park
    """Set with the task's options."""
    _tref: Any  # celery-batches' flush timer

    def Strategy(self, *args: Any, **kwargs: Any) -> Callable[..., None]:  # noqa: ANN401, N802 - celery-batches' signature and name
        """How a message is taken; made anew with every connection to the broker."""
        # Celery forgets all timers when a connection breaks. Without a new one only full batches would be worked on.
        if self._tref is not None:
            self._tref.cancel()
            self._tref = None
        take: Callable[..., None] = super().Strategy(*args, **kwargs)

        def take_or_refuse(message: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401 - kombu's types
            try:
                take(message, *rest, **more)
            except (RedisError, OperationalError):
                raise
            except Exception as error:  # noqa: BLE001 - a message may be broken in any way
                # The one refusal that Celery does not die of.
                raise InvalidTaskError(type(error).__name__) from None

        return take_or_refuse

    def flush(self, requests: Collection[Request]) -> None:
        """Run one batch and settle its messages."""
        try:
            self.run([SimpleRequest.from_request(request) for request in requests])
        except (RedisError, OperationalError) as error:
            text = "%s: %d messages given back: %s"
            about = {"tickets": _tickets(requests)}
            log.error(text, self.name, len(requests), type(error).__name__, extra=about)  # noqa: TRY400 - an outage needs no trace
            time.sleep(1)
            for request in requests:
                request.reject(requeue=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other messages go on
            told = str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
            self._one_by_one(list(requests), told)
        else:
            for request in requests:
                request.acknowledge()

    def _one_by_one(self, requests: Sequence[Request], error: str) -> None:
        if len(requests) > 1:
            log.warning("%s: %s in a batch of %d, now one by one", self.name, error, len(requests))
            for request in requests:
                self.flush([request])
            return
        (request,) = requests
        log.error("%s: message parked: %s", self.name, error, extra={"tickets": _tickets(requests)})
        self.park(self.name, list(SimpleRequest.from_request(request).args), error)
        request.acknowledge()


def _tickets(requests: Collection[Request]) -> list[int]:
    """What the messages are about, as far as they say; they may hold anything."""
    payloads = [payload for request in requests for payload in SimpleRequest.from_request(request).args]
    told = [one for one in payloads if isinstance(one, dict)]
    lists = [each["decisions"] for each in told if isinstance(each.get("decisions"), list)]
    told += [one for decisions in lists for one in decisions if isinstance(one, dict)]
    return [one["ticket_id"] for one in told if isinstance(one.get("ticket_id"), int)]
