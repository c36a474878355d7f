"""What the figures come to: the keys that are printed, tickets a day, and money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.pipeline.bare import Bare
from benchmarks.pipeline.ours import Run, quantile

DAY = 86_400
OUTSIDE = ("simulator", "generator")
"""Processes that are not the product's."""


class Prices(NamedTuple):
    """Assumptions, all of them options.

    Attributes:
        machine: dollars an hour of this machine.
        llm_in, llm_out: a language model's, dollars a million tokens.
        prompt: tokens that every request to it carries beside the ticket.
        answer: tokens of its answer.
    """

    machine: float
    llm_in: float
    llm_out: float
    prompt: int
    answer: int


def figures(bare: Bare, fast: Run, calm: Run, plain: Run | None, peer: float | None) -> dict[str, Any]:
    """One model and length: tickets a second, milliseconds of CPU a ticket, seconds from webhook to field."""
    own = sum(ms for name, ms in fast.cpu_ms.items() if name not in OUTSIDE)
    return {
        "bare_per_s": round(bare.per_s, 1),
        "bare_setting": bare.setting,
        "bare_cpu_ms_per_ticket": round(bare.cpu_ms, 2),
        "end_to_end_per_s": round(fast.per_s, 1),
        "ratio": round(fast.per_s / bare.per_s, 3),
        "overhead_cpu_ms_per_ticket": round(own - bare.cpu_ms, 2),
        "cpu_ms_per_ticket": {name: round(ms, 2) for name, ms in _grouped(fast.cpu_ms).items()},
        "simulator_cpu_ms_per_ticket": round(fast.cpu_ms["simulator"], 2),
        "generator_cpu_ms_per_ticket": round(fast.cpu_ms["generator"], 2),
        "plain_per_s": plain and round(plain.per_s, 1),
        "times_plain": plain and round(fast.per_s / plain.per_s, 1),
        "peer_per_s": peer and round(peer, 1),
        "p50_s": quantile(calm, 0.50),
        "p99_s": quantile(calm, 0.99),
        "requests_per_ticket": round(fast.requests, 4),
        "lost": fast.lost + calm.lost,
        "written_twice": fast.written_twice + calm.written_twice,
        "tickets": len(fast.seconds) + len(calm.seconds),
        "tickets_a_day": round(fast.per_s * DAY),
    }


def costs(per_s: float, tokens: int, prices: Prices) -> dict[str, float]:
    """Dollars a million tickets: on this machine while it is busy, and by the language model."""
    machine = prices.machine / 3600 / per_s * 1e6
    asked = (prices.prompt + tokens) * prices.llm_in + prices.answer * prices.llm_out
    return {"usd_per_million": round(machine, 2), "llm_usd_per_million": round(asked, 2)}


def _grouped(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    workers = sum(ms for name, ms in cpu_ms.items() if name.startswith("worker"))
    return {name: ms for name, ms in cpu_ms.items() if not name.startswith("worker")} | {"workers": workers}


def table(found: Mapping[str, Any]) -> str:
    """One model and length for people."""
    return "\n".join(f"{name:28}  {'-' if value is None else value}" for name, value in found.items()) + "\n"
