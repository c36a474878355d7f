"""Celery messages taken in batches, acknowledged only when the batch was worked through."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from celery.worker.request import Request
from celery_batches import Batches, SimpleRequest
from celery_batches.trace import apply_batches_task

log = logging.getLogger("presort.worker")

DONE = True
"""What a batch task returns when every message of it was dealt with."""


class SafeBatches(Batches):
    """``Batches`` that keeps what a failed task could not deal with.

    celery-batches acknowledges a batch even when its task raised, which would lose it. Here anything but ``DONE``
    gives the messages back to their queue. Tasks deal with bad tickets themselves, so only a broken surrounding
    (Redis full or gone) ends here, and one second's pause keeps it from spinning.
    """

    abstract = True
    acks_late = True

    def flush(self, requests: Collection[Request]) -> Any:  # noqa: ANN401 - celery-batches' own signature
        """Run one batch; acknowledge its messages or give them all back."""

        def settle(result: Any) -> None:  # noqa: ANN401 - whatever the task returned
            if result is DONE:
                for request in requests:
                    request.acknowledge()
                return
            log.error("%s: %d messages given back to the queue", self.name, len(requests))
            time.sleep(1)
            for request in requests:
                request.reject(requeue=True)

        batch = ([SimpleRequest.from_request(request) for request in requests],)
        return self._pool.apply_async(apply_batches_task, (self, batch, 0, None), callback=settle)
