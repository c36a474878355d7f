"""What became of the tickets, by the local Zendesk's own audits. Presort's Redis is not asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from demo.stage import call
from integration.simulator.account import INTEGRATION
from integration.simulator.config import SimulatorConfig

Json = dict[str, Any]
CATEGORY = SimulatorConfig().category_title


class Count(NamedTuple):
    """Tickets.

    Attributes:
        sent: filed by the customers.
        decided: Presort wrote to them, or a person's category stands, which Presort must leave alone.
        lost: the others.
        written_twice: updates of Presort's beyond a ticket's first.
        over_a_person: times that Presort replaced or emptied a category which a person had chosen.
    """

    sent: int
    decided: int
    lost: int
    written_twice: int
    over_a_person: int

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.lost or self.written_twice or self.over_a_person)


def count(tickets: Iterable[Json | None]) -> Count:
    """Count them.

    Args:
        tickets: one for each that was filed, as ``read`` gives it; None for one that Zendesk does not have.
    """
    sent = decided = again = over = 0
    for ticket in tickets:
        history = [] if ticket is None else list(reversed(ticket["history"]))
        writes = sum(_ours(audit) for audit in history)
        sent += 1
        decided += bool(writes or (ticket and ticket["fields"][CATEGORY]))
        again += max(0, writes - 1)
        over += sum(_overwritten(history))
    return Count(sent, decided, sent - decided, again, over)


def read(zendesk_url: str, ids: Iterable[int]) -> Iterator[Json]:
    """Tickets with their whole history, one request each."""
    return (call(f"{zendesk_url}/simulator/tickets/{one}")["ticket"] for one in ids)


def waiting(zendesk_url: str) -> int:
    """Tickets with neither a category nor a suggestion."""
    tickets: dict[str, int] = call(f"{zendesk_url}/simulator/summary")["tickets"]
    return tickets["waiting"]


def _overwritten(history: Iterable[Json]) -> Iterator[bool]:
    """For each of Presort's changes of the category, whether it was a person's; oldest first."""
    persons = False
    for audit in history:
        for change in audit["changes"]:
            if change["field"] == CATEGORY:
                if _ours(audit):
                    yield persons
                persons = bool(change["to"]) and not _ours(audit)


def _ours(audit: Json) -> bool:
    return bool(audit["by"] == INTEGRATION.name)
