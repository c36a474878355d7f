"""The contract of what is usual: learned by ``worker.baselines``, read by all processes, those without numpy too.

The key is in the table of ``integration.store``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis import Redis


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual for a category.

    Attributes:
        row: its tag, ``A::*`` for all labels named ``A::...``, ``*`` for all tickets.
        name: what people read.
        rate: tickets an hour, by hour of the local week, 0 = Monday 00:00.
        error: squared relative error of each rate.
        dispersion: squared coefficient of variation of the true rate around it, over 1 h and over 6 h.
        weeks: of hours that taught it.
        held: why it does not fire now: ``learning``, ``model_changed``, ``thresholds_changed``, ``taxonomy_changed``.
    """

    row: str
    name: str
    rate: tuple[float, ...]
    error: tuple[float, ...]
    dispersion: tuple[float, float]
    weeks: float
    held: str | None = None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual for a classifier's categories, learned from whole hours.

    Attributes:
        until: the Unix hour after the last one that taught it.
        changed_at: of the newest ``Change`` it knows of, 0 for none.
    """

    until: int
    changed_at: float
    rows: list[Row]


def baseline(redis: Redis, classifier: str) -> Baseline | None:
    """What was learned last; None before that."""
    raw: Any = redis.get(f"presort:baseline:{classifier}")
    return None if raw is None else msgspec.json.decode(raw, type=Baseline)


def publish(redis: Redis, classifier: str, learned: Baseline) -> None:
    """Tell all processes what is usual."""
    redis.set(f"presort:baseline:{classifier}", msgspec.json.encode(learned))
