"""When Zendesk stops calling a webhook that answers errors."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 300.0
MIN_ANSWERS = 100
"""Answers below which no share of errors is high enough."""
MAX_SHARE = 0.7
MAX_ERRORS = 1_000
"""More errors than this stop the deliveries whatever their share."""


@dataclass(slots=True)
class Breaker:
    """One webhook's circuit breaker; not locked, the account's lock covers it.

    The limits are what those who use webhooks report. How long deliveries stop, and whether they come later, nobody
    says: here they are lost, which is the worse case.
    """

    open_until: float = 0.0
    _answers: deque[tuple[float, bool]] = field(default_factory=deque)

    def note(self, now: float, *, failed: bool, pause_s: float) -> None:
        """Count an answer at Unix time ``now``; one error too many stops the deliveries for ``pause_s`` seconds."""
        self._answers.append((now, failed))
        while self._answers[0][0] <= now - WINDOW_S:
            self._answers.popleft()
        answers, errors = len(self._answers), sum(failed for _, failed in self._answers)
        if errors > MAX_ERRORS or (answers >= MIN_ANSWERS and errors >= MAX_SHARE * answers):
            self.open_until = now + pause_s
            self._answers.clear()
