"""Beat asks for periodic work: by a clock that nobody sets, and never for what is asked for already."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule
from redis import Redis
from redis.exceptions import RedisError

from integration.messages import UPKEEP_QUEUE

log = logging.getLogger("presort.beat")


def plan(every_s: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> dict[str, dict[str, Any]]:
    """Celery's ``beat_schedule``.

    Celery counts in the time of day: a clock that is set back by an hour would stop all work for an hour. Here it is
    that of the start, and the seconds since.

    Args:
        every_s: seconds between two messages, by task.
        clock: seconds since whenever.
    """
    began, since = datetime.now(UTC), clock()

    def now() -> datetime:
        return began + timedelta(seconds=clock() - since)

    return {task: {"task": task, "schedule": schedule(every, nowfun=now)} for task, every in every_s.items()}


def scheduler_class(redis: Redis) -> type[Scheduler]:
    """Celery's scheduler, that sends nothing of which the like still waits: without workers it would pile up.

    Messages that expire would do the same, but by the worker's clock, which may differ from beat's.
    """

    class SparingScheduler(Scheduler):
        def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:  # noqa: ANN401 - Celery's signature
            try:
                waiting = any(f'"{entry.task}"' in str(raw) for raw in redis.lrange(UPKEEP_QUEUE, 0, -1))
            except RedisError as error:
                log.warning("%s: not asked for: %s", entry.task, type(error).__name__)
                return
            if not waiting:
                super().apply_entry(entry, producer=producer)

    return SparingScheduler
