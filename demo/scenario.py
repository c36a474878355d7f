"""What happens in the demo: who writes when, and when one category goes wild. Seeded, no clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from demo import tickets

SECONDS = 44.0
RATE = 7.0
"""Tickets a second, over all categories."""

SPIKE = "delivery_delay"
SPIKE_FROM, SPIKE_TO = 18.0, 27.0
SPIKE_RATE = 8.0
"""Tickets a second of the one category, on top."""

CAUSE = (
    "Your tracking page says that the depot is on strike.",
    "I read that there is a strike at your depot.",
    "Is this because of the strike at the depot?",
)
"""What the customers behind it add, each one of these."""

VAGUE, TOUCHED, EMPTY = 0.05, 0.04, 0.02
"""Shares: nobody could tell the category, a person has set it before we come, there is no text."""


class Arrival(NamedTuple):
    """A ticket and the second it is filed at; ``set_by_person`` is the tag somebody chose in the form."""

    at: float
    ticket: tickets.Ticket
    set_by_person: str | None = None


def arrivals(seed: int) -> Iterator[Arrival]:
    """Poisson arrivals in order of time; held-out phrasings, which the model never saw."""
    rng = random.Random(seed)
    at = rng.expovariate(RATE + SPIKE_RATE)
    while at < SECONDS:
        spiking = SPIKE_FROM <= at < SPIKE_TO
        # Thinning: candidates come at the highest rate and are kept in proportion to the rate of the moment.
        if rng.random() < (RATE + SPIKE_RATE * spiking) / (RATE + SPIKE_RATE):
            extra = spiking and rng.random() < SPIKE_RATE / (RATE + SPIKE_RATE)
            arrival = _arrival(rng, at, SPIKE if extra else rng.choice(tickets.CATEGORIES).value)
            yield _because(arrival, rng.choice(CAUSE)) if extra else arrival
        at += rng.expovariate(RATE + SPIKE_RATE)


def _because(arrival: Arrival, cause: str) -> Arrival:
    ticket = arrival.ticket
    return arrival._replace(ticket=ticket._replace(description=f"{ticket.description} {cause}".strip()))


def _arrival(rng: random.Random, at: float, category: str) -> Arrival:
    kind = rng.random()
    if kind < VAGUE:
        return Arrival(at, tickets.vague(rng, "held_out"))
    ticket = tickets.generate(rng, category, "held_out")
    if kind < VAGUE + TOUCHED:
        return Arrival(at, ticket, set_by_person=category)
    if kind < VAGUE + TOUCHED + EMPTY:
        return Arrival(at, tickets.Ticket("", "  ", None))
    return Arrival(at, ticket)
