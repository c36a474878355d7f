"""What an account is set up with, as far as it concerns Presort."""

from __future__ import annotations

import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How the account sees us.

    Attributes:
        user: the name of the user Presort acts as.
        scopes: what the OAuth token may do; None with a legacy API token, which may do what its user may, and where
            Zendesk does not tell.
        skew_s: how far this machine's clock is ahead of Zendesk's, seconds; None when Zendesk does not tell the time.
    """

    user: str
    role: str
    scopes: frozenset[str] | None
    skew_s: float | None


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket field.

    Attributes:
        type: ``tagger`` is a drop-down.
        note: its description for agents.
        options: tag to name; a nested option's name is "A::B".
    """

    id: int
    type: str
    title: str
    active: bool = True
    note: str = ""
    options: dict[str, str] = {}


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where Zendesk sends tickets, without its secret."""

    id: str
    name: str
    endpoint: str
    subscriptions: tuple[str, ...]
    status: str = "active"
    note: str = ""
    http_method: str = "POST"
    request_format: str = "json"


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that sends to a webhook.

    Attributes:
        on_create: whether a condition limits it to new tickets.
    """

    id: int
    title: str
    webhook_id: str
    body: str
    on_create: bool = True
    active: bool = True
    note: str = ""


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as Zendesk remembers it; ``code`` is the HTTP status of the last answer, 0 without one."""

    status: str
    code: int
    at: float | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint answered to a test delivery."""

    status: int
    body: str


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """All of the account's fields by id, its webhooks, and the triggers that send to one."""

    fields: dict[int, Field]
    webhooks: list[Webhook]
    triggers: list[Trigger]
