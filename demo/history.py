"""Four made-up weeks of counts: what is usual in the demo's account, which nobody can learn in a minute."""

from __future__ import annotations

import random
import time

from demo import tickets
from demo.scenario import EMPTY, RATE, VAGUE
from integration import counting
from integration.counting import HOUR, Change
from integration.store import Store

WEEKS = 4
SURE = 0.9
"""Share of the tickets with a category about which the model is sure."""


def put(redis_url: str, classifier: str) -> None:
    """Count them, up to this hour: the scenario's rate without its spike, at every hour of the week alike."""
    redis = Store(redis_url).redis
    last, rng = int(time.time() // HOUR), random.Random(0)
    hour = RATE * HOUR / len(tickets.CATEGORIES) * (1 - VAGUE - EMPTY) * SURE
    counts = {
        (last - ago, category.value): round(rng.gauss(hour, hour**0.5))  # Poisson's, at a thousand and more an hour
        for category in tickets.CATEGORIES
        for ago in range(1, WEEKS * 168 + 1)
    }
    counting.add(redis, "hours", classifier, counts)
    made_up = Change(at=time.time(), kind="rebuilt", detail="made up for the demo")
    counting.reach_back(redis, classifier, last - WEEKS * 168, made_up)
