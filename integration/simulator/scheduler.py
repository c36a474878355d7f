"""Actions that happen later: a job's progress, a delivery's retry. One thread, however many wait."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs short actions when they are due; they must not block, since the next one waits for them."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()  # equal times keep their order, and functions are never compared
        self._changed = threading.Condition()
        self._stopped = False
        threading.Thread(target=self._run, name="simulator-scheduler", daemon=True).start()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run ``action`` once, ``seconds`` from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), action))
            self._changed.notify()

    def stop(self) -> None:
        """Forget what is not due yet and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while action := self._next():
            try:
                action()
            except Exception:
                logger.exception("a scheduled action failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if not self._due:
                    self._changed.wait()
                elif (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return heapq.heappop(self._due)[2]
            return None
