"""The account: every record, one lock, and the numbers that must follow each change."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator

from integration.simulator.config import SimulatorConfig
from integration.simulator.errors import not_found
from integration.simulator.limits import Window
from integration.simulator.records import (
    Field,
    Group,
    Idempotent,
    Job,
    Option,
    Outcome,
    Ticket,
    Token,
    Trigger,
    User,
    Webhook,
)

BRAND_ID = 360000000001
INTEGRATION = User(360000000011, "Presort", "presort@example.com", "admin")
AGENT = User(360000000012, "Avery Agent", "agent@example.com", "agent")
CUSTOMER = User(360000000013, "Casey Customer", "customer@example.com", "end-user")
ADMINS = Group(360000000021, "Admins", frozenset({INTEGRATION.id}))
SUPPORT = Group(360000000022, "Support", frozenset({AGENT.id}))

EVENT_KIND = "zen:event-type:ticket.created"
TRIGGER_KIND = "conditional_ticket_events"


class Account:
    """All state. Hold ``lock`` while reading or changing anything: the server and the deliveries are threads.

    Args:
        config: limits, and what is there from the start.
        clock: the present in Unix seconds.
    """

    def __init__(self, config: SimulatorConfig, clock: Callable[[], float]) -> None:
        self.config = config
        self.now = clock
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)
        """Ids of everything but tickets; they only have to differ."""
        self.ticket_numbers = itertools.count(1)
        self.users = {user.id: user for user in (INTEGRATION, AGENT, CUSTOMER)}
        self.groups = {group.id: group for group in (ADMINS, SUPPORT)}
        self.fields: dict[int, Field] = {}
        self.tickets: dict[int, Ticket] = {}
        self.idempotent: dict[str, Idempotent] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.triggers: dict[int, Trigger] = {}
        self.jobs: dict[str, Job] = {}
        self.tokens: dict[str, Token] = {}

        self.requests_left = Window(config.requests_per_minute)
        self.updates_left = Window(config.updates_per_minute)
        self.exports_left = Window(config.exports_per_minute)
        self.searches_left = Window(config.searches_per_minute)
        self.ticket_updates_left: dict[tuple[int, int], Window] = {}

        self.counts: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.latencies: deque[float] = deque(maxlen=10_000)
        self._changes = itertools.count(1)
        self._by_change: dict[int, Ticket] = {}
        """Tickets by id, ordered by their latest change, oldest first."""
        self._seed()

    def ticket(self, ticket_id: int) -> Ticket:
        """A ticket that is there.

        Raises:
            ApiError: 404; a deleted ticket is as absent as one that never was.
        """
        ticket = self.tickets.get(ticket_id)
        if ticket is None or ticket.deleted:
            raise not_found()
        return ticket

    def field(self, field_id: int) -> Field:
        """A ticket field.

        Raises:
            ApiError: 404.
        """
        if field_id not in self.fields:
            raise not_found()
        return self.fields[field_id]

    def custom_fields(self) -> Iterator[Field]:
        """The fields that every ticket carries under ``custom_fields``."""
        return (field for field in self.fields.values() if field.custom and field.active)

    def changed(self, ticket: Ticket) -> None:
        """Note a change: bump ``updated_at``, move the ticket to the export's end, recount outcomes."""
        ticket.updated_at = self.now()
        ticket.position = next(self._changes)
        self._by_change.pop(ticket.id, None)
        self._by_change[ticket.id] = ticket
        self.recount(ticket)

    def recount(self, ticket: Ticket) -> None:
        """Bring the outcome counters in line with the ticket's fields."""
        outcome = self._outcome(ticket)
        if outcome != ticket.outcome:
            if ticket.outcome:
                self.outcomes[ticket.outcome] -= 1
            self.outcomes[outcome] += 1
            ticket.outcome = outcome

    def latest_changes(self) -> Iterator[Ticket]:
        """All tickets, deleted ones too, latest change first."""
        return reversed(self._by_change.values())

    def _outcome(self, ticket: Ticket) -> Outcome:
        if ticket.deleted:
            return "deleted"
        if ticket.fields.get(self.config.category_field_id):
            return "filled"
        return "suggested" if ticket.fields.get(self.config.predicted_field_id) else "waiting"

    def _seed(self) -> None:
        config, now = self.config, self.now()
        options = [Option(next(self.numbers), name, value) for value, name in config.options]
        seeded = (
            Field(360000000091, "subject", "Subject", now, now),
            Field(360000000092, "description", "Description", now, now),
            Field(360000000093, "status", "Status", now, now),
            Field(config.category_field_id, config.category_kind, config.category_title, now, now, options=options),
            Field(config.predicted_field_id, "text", config.predicted_title, now, now),
            Field(config.confidence_field_id, "decimal", config.confidence_title, now, now),
            Field(config.model_field_id, "text", config.model_title, now, now),
        )
        self.fields = {field.id: field for field in seeded}
        if config.webhook_url:
            webhook = Webhook(
                "01SIMULATEDWEBHOOK00000001",
                "Presort",
                config.webhook_url,
                [EVENT_KIND],
                config.webhook_secret,
                now,
                now,
            )
            self.webhooks[webhook.id] = webhook
