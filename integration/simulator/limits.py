"""Rate limits: so many in a fixed window that starts with its first request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Window:
    """A budget of ``limit`` in every ``period_s`` seconds; not locked, the account's lock covers it."""

    limit: int
    period_s: float = 60.0
    used: int = 0
    ends_at: float = 0.0

    def take(self, now: float, amount: int = 1) -> bool:
        """Spend ``amount`` at Unix time ``now``; False, and nothing spent, when the budget does not hold it.

        A window with nothing spent grants any amount, or a request larger than the limit could never pass.
        """
        if now >= self.ends_at:
            self.used, self.ends_at = 0, now + self.period_s
        if self.used and self.used + amount > self.limit:
            return False
        self.used += amount
        return True

    def remaining(self) -> int:
        """What is left of the present window."""
        return max(0, self.limit - self.used)

    def reset_s(self, now: float) -> float:
        """Seconds until the budget is whole again."""
        return max(0.0, self.ends_at - now)
