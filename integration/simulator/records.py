"""What an account holds: plain records; times are Unix seconds, shown as ISO 8601 by ``wire``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from integration.simulator.breaker import Breaker

Json = dict[str, Any]
"""A JSON object. Zendesk drops members it does not know, so bodies stay dictionaries and are read by name."""

Value = str | list[str] | None
"""A custom field's value: one string, several tags, or unset."""

TEXT_KINDS = frozenset({"text", "textarea"})
CHOICE_KINDS = frozenset({"tagger", "multiselect"})
CUSTOM_KINDS = TEXT_KINDS | CHOICE_KINDS | {"decimal"}

Outcome = Literal["waiting", "suggested", "filled", "deleted"]
"""Where a ticket stands: nothing yet, only a suggestion beside the category, the category itself."""


@dataclass(slots=True)
class User:
    """Who acts: the integration, an agent, a customer."""

    id: int
    name: str
    email: str
    role: Literal["admin", "agent", "end-user"]


@dataclass(slots=True)
class Group:
    """Agents that tickets are assigned to; ``members`` are users' ids."""

    id: int
    name: str
    members: frozenset[int]


@dataclass(slots=True)
class Option:
    """One choice of a drop-down or a multi-select; ``value`` is also the tag that the ticket carries."""

    id: int
    name: str
    value: str


@dataclass(slots=True)
class Field:
    """A ticket field; ``kind`` is Zendesk's ``type``."""

    id: int
    kind: str
    title: str
    created_at: float
    updated_at: float
    description: str = ""
    agent_description: str = ""
    active: bool = True
    options: list[Option] = field(default_factory=list)

    @property
    def custom(self) -> bool:
        """Whether tickets carry it under ``custom_fields``."""
        return self.kind in CUSTOM_KINDS

    def tags(self) -> set[str]:
        """The values that it accepts."""
        return {option.value for option in self.options}


@dataclass(slots=True)
class Comment:
    """A message on the ticket; the first one is its description."""

    id: int
    author_id: int
    body: str
    created_at: float
    public: bool = True


@dataclass(slots=True)
class Audit:
    """One update: who, when, what changed from what to what."""

    id: int
    author_id: int
    created_at: float
    channel: str
    events: list[Json]
    metadata: Json


@dataclass(slots=True)
class Ledger:
    """What became of the ticket's webhook, for measuring."""

    first_sent_at: float | None = None
    attempts: int = 0
    last_status: int | None = None
    delivered: bool = False
    filled_at: float | None = None

    def seconds(self) -> float | None:
        """From the webhook's first sending to our first update; None when one of them has not happened."""
        if self.first_sent_at is None or self.filled_at is None:
            return None
        return self.filled_at - self.first_sent_at


@dataclass(slots=True)
class Ticket:
    """A ticket, with its history."""

    id: int
    subject: str
    description: str
    channel: str
    requester_id: int
    submitter_id: int
    brand_id: int
    created_at: float
    updated_at: float
    status: str = "new"
    priority: str | None = None
    kind: str | None = None
    assignee_id: int | None = None
    group_id: int | None = None
    external_id: str | None = None
    deleted: bool = False
    fields: dict[int, Value] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    outcome: Outcome | None = None
    position: int = 0
    """Where it stands in the export: the number of its latest change."""


@dataclass(slots=True)
class Invocation:
    """One delivery with its repetitions; ``status_code`` is the latest answer's, None without one."""

    id: str
    status_code: int | None
    completed_at: float


@dataclass(slots=True)
class Webhook:
    """Where events go."""

    id: str
    name: str
    endpoint: str
    subscriptions: list[str]
    secret: str
    created_at: float
    updated_at: float
    status: str = "active"
    description: str = ""
    invocations: dict[str, Invocation] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)


@dataclass(slots=True)
class Trigger:
    """A rule that sends ``body``, with its placeholders filled, to a webhook when tickets are created or changed."""

    id: int
    title: str
    update_type: Literal["Create", "Change"]
    webhook_id: str
    body: str
    created_at: float
    updated_at: float
    active: bool = True
    description: str = ""


@dataclass(slots=True)
class Job:
    """A request that works after it was answered."""

    id: str
    kind: str
    total: int
    status: Literal["queued", "working", "completed"] = "queued"
    progress: int = 0
    results: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Idempotent:
    """What a request with an ``Idempotency-Key`` asked for, and which ticket it made."""

    asked: Json
    ticket_id: int
    expires_at: float


@dataclass(slots=True)
class Token:
    """An OAuth access token."""

    expires_at: float
    scopes: frozenset[str]
