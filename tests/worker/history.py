"""Past counts, as if tickets had come; for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable

from integration import counting
from integration.counting import HOUR, Change
from worker.parts import Parts

WEEK = 168


def past_hours(parts: Parts, now: float, weeks: float, rates: dict[str, int], classifier: str = "category") -> None:
    """Whole hours up to now, each with so many tickets by category; counting began with the first of them."""
    last, redis = int(now // HOUR), parts.store.redis
    first = last - round(weeks * WEEK)
    add_hours(parts, range(first, last), rates, classifier)
    redis.set(f"presort:counting_began:{classifier}", first * HOUR)


def add_hours(parts: Parts, hours: Iterable[int], rates: dict[str, int], classifier: str = "category") -> None:
    """Tickets by category in each of these Unix hours."""
    counts = {(hour, category): tickets for hour in hours for category, tickets in rates.items()}
    counting.add(parts.store.redis, "hours", classifier, counts)


def rebuilt(parts: Parts, now: float, since: int, classifier: str = "category") -> None:
    """A rebuild has added all hours since a Unix hour."""
    counting.reach_back(parts.store.redis, classifier, since, Change(at=now, kind="rebuilt"))
