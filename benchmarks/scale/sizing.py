"""How many of everything a number of tickets a day needs, calculated from what the other parts measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.scale import day
from integration.store import DAY, DECISIONS, DECISIONS_TTL, TICKET_TTL

DAILY = (10_000, 50_000, 100_000, 250_000, 650_000)

MODELS = {"384 wide, 32 tokens": 2.9, "base, 128 tokens": 37.7}
"""Milliseconds of a core for a text: the bare int8 graph at two processes of one thread."""

WORST_S = 60.0
"""Longer no ticket may wait for its decision, on the busiest minute of a day with bursts."""

BUSY = 0.7
"""Of a receiver's core, in the busiest minute."""

OUTAGE_S = 2 * 3600
"""Of the busiest hour's arrivals, that Redis must have room for while no worker runs."""

SHARE = 0.6
"""Of the account's updates that Presort takes (``zendesk.share``)."""

PLANS = (("Team", 200), ("Growth or Professional", 400), ("Enterprise", 700), ("High Volume add-on", 2_500))
"""Requests a minute of the whole account; source: Zendesk's table of rate limits."""


def workers(coming: day.Arrivals, ms: float) -> int:
    """The fewest with which nobody waits longer than ``WORST_S``, each taking so many milliseconds a ticket."""
    number = max(1, math.ceil(float(coming.mean()) * ms / 1000))
    while day.queue(coming, number * 1000 / ms).worst_s > WORST_S:
        number += 1
    return number


def row(tickets: int, measured: Mapping[str, float]) -> dict[str, Any]:
    """One size.

    Args:
        tickets: a day.
        measured: ``worker_cpu_ms`` without the model, ``receiver_cpu_ms``, ``bytes_a_waiting_ticket``,
            ``bytes_kept_of_an_ended_one``, ``bytes_of_a_streamed_decision``, ``requests_per_ticket``.
    """
    coming = day.arrivals(tickets)
    peak = day.busiest_minute(coming)
    hour = max(int(part.sum()) for part in coming.reshape(24, 3600))
    redis = tickets * TICKET_TTL / DAY * measured["bytes_kept_of_an_ended_one"]
    redis += min(DECISIONS, tickets * DECISIONS_TTL / DAY) * measured["bytes_of_a_streamed_decision"]
    redis += hour * OUTAGE_S / 3600 * measured["bytes_a_waiting_ticket"]
    requests = peak * measured["requests_per_ticket"]
    return {
        "tickets_a_day": tickets,
        "busiest_minute": peak,
        "workers": {name: workers(coming, ms + measured["worker_cpu_ms"]) for name, ms in MODELS.items()},
        "receivers": max(1, math.ceil(peak / 60 * measured["receiver_cpu_ms"] / 1000 / BUSY)),
        "redis_mb": round(redis / 1e6),
        "requests_a_minute": math.ceil(requests),
        "updates_a_minute": math.ceil(peak / 100),
        "plan": next((name for name, limit in PLANS if requests <= SHARE * limit), "more than any plan's"),
    }


def measured(figures: Mapping[str, Any]) -> dict[str, float]:
    """What ``row`` needs, from the parts of ``python -m benchmarks.scale --json``.

    Raises:
        KeyError: a part is missing.
    """
    return {
        "worker_cpu_ms": min(one["worker_cpu_ms"] for one in figures["sessions"]),
        "receiver_cpu_ms": figures["workers"]["receivers"][0]["receiver_cpu_ms"],
        "bytes_a_waiting_ticket": figures["backlog"]["bytes_a_waiting_ticket"],
        "bytes_kept_of_an_ended_one": figures["backlog"]["bytes_kept_of_an_ended_one"],
        "bytes_of_a_streamed_decision": figures["backlog"]["bytes_of_a_streamed_decision"],
        "requests_per_ticket": figures["day"]["requests_per_ticket"],
    }


def table(figures: Mapping[str, Any]) -> str:
    """The sizes as Markdown."""
    given = measured(figures)
    asked = [f"workers, {name}" for name in MODELS]
    heads = ["tickets a day", "busiest minute", *asked, "receivers", "Redis", "requests, updates a minute", "plan"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for tickets in DAILY:
        one = row(tickets, given)
        crews = " | ".join(str(number) for number in one["workers"].values())
        lines.append(
            f"| {tickets:,} | {one['busiest_minute']:,} | {crews} | {one['receivers']} | {one['redis_mb']:,} MB "
            f"| {one['requests_a_minute']}, {one['updates_a_minute']} | {one['plan']} |"
        )
    return "\n".join(lines)
