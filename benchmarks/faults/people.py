"""Customers who write tickets, and agents who choose a category at a random moment."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Self

from benchmarks.faults.tally import CATEGORY
from demo import tickets
from demo.stage import call

IN_THE_FORM = 0.05
"""Share of tickets whose category the customer has chosen in the form: before Presort hears of them."""

BY_AGENTS = 0.2
"""Share of the other tickets, at most, whose category an agent chooses."""

NEWEST = 0.5
"""Share of them that an agent chooses as soon as they are there: while Presort decides, or just before or after."""

OPENED_S = 1.0
"""No agent opens a ticket younger than this. Zendesk's times are whole seconds, and its safe updates compare those:
an edit in the second in which a ticket was filed is one that nobody can see."""


class People:
    """All who use the account, at work within its ``with`` block.

    Their chance comes from one seed, their moments from the machine as well.

    Attributes:
        filed: ids of tickets, in order.
        chosen: ids of those whose category an agent chose.
    """

    def __init__(self, zendesk_url: str, rate: float, seed: int) -> None:
        """Nobody acts yet.

        Args:
            zendesk_url: of the local Zendesk.
            rate: tickets a second.
            seed: of who writes what, and who is looked at.
        """
        self.filed: list[int] = []
        self.chosen: set[int] = set()
        self._url, self._rate, self._seed = f"{zendesk_url}/simulator/tickets", rate, seed
        self._filed_at: dict[int, float] = {}
        self._quiet, self._gone = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._writer = random.Random(seed)
        self._threads = [threading.Thread(target=self._work, args=(who,)) for who in (self._customers, self._agents)]
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quiet.set()
        self._gone.set()
        for one in self._threads:
            one.join()

    def check(self) -> None:
        """Raise what kept somebody from going on: the local Zendesk failed."""
        if self._failure is not None:
            raise self._failure

    def file(self, number: int = 1, text: str = "") -> list[int]:
        """So many tickets at once; ``text`` stands before what the customer says. Returns their ids."""
        with self._lock:
            made = [self._ticket(text) for _ in range(number)]
            ids: list[int] = call(self._url, {"tickets": made})["ids"]
            self._filed_at |= dict.fromkeys(ids, time.monotonic())
            self.filed += ids
        return ids

    def stop_writing(self) -> None:
        """Customers are content; agents go on."""
        self._quiet.set()

    def choose(self, ticket_id: int) -> None:
        """An agent chooses some category for a ticket."""
        value = random.Random(self._seed + ticket_id).choice(tickets.CATEGORIES).value
        call(f"{self._url}/{ticket_id}/agent", {CATEGORY: value})
        self.chosen.add(ticket_id)

    def _ticket(self, text: str) -> dict[str, object]:
        rng = self._writer
        made = tickets.generate(rng, rng.choice(tickets.CATEGORIES).value, "held_out")
        form = {CATEGORY: rng.choice(tickets.CATEGORIES).value} if rng.random() < IN_THE_FORM else {}
        return {"subject": made.subject, "description": f"{text}{made.description}", "channel": "email", "fields": form}

    def _customers(self) -> None:
        rng = random.Random(self._seed + 1)
        while not self._quiet.wait(rng.expovariate(self._rate)):
            self.file()

    def _agents(self) -> None:
        rng = random.Random(self._seed + 2)
        while not self._gone.wait(rng.expovariate(min(0.5, self._rate * BY_AGENTS))):
            now = time.monotonic()
            known = [one for one in self.filed if one not in self.chosen and now - self._filed_at[one] >= OPENED_S]
            if known and len(self.chosen) < BY_AGENTS * len(self.filed):
                self.choose(known[-1] if rng.random() < NEWEST else rng.choice(known))

    def _work(self, who: Callable[[], None]) -> None:
        try:
            who()
        except Exception as error:  # noqa: BLE001 - raised again by ``check``, in the thread that waits for us
            self._failure = error
