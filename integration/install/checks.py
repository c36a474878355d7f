"""What is ours in an account, and what is wrong there: `install` mends it, `doctor` tells of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integration.settings import Classifier
from integration.zendesk.setup import Field, Trigger, Webhook
from integration.zendesk.webhooks import FROM_TRIGGERS, TICKET_CREATED

MADE_BY = "Made by `presort install`."

NAME = "Presort"

OURS = {
    "prediction_field_id": ("", "What Presort takes the ticket for."),
    "confidence_field_id": (" confidence", "How sure Presort is, from 0 to 1."),
    "model_field_id": (" model", "Which model and version said so."),
}
"""The setting of each of our fields: what its title ends in, and its description for agents."""

TEXT = frozenset({"text", "decimal", "textarea"})
CHOICE = {"tagger": "drop-down", "multiselect": "multi-select"}


def wrong_field(classifier: Classifier, field: Field | None) -> str | None:
    """Why a classifier cannot fill its field, with the cure; None when it can."""
    name = f"field {classifier.field_id} of classifier {classifier.name}"
    if field is None:
        return f"{name} does not exist: field_id in presort.toml must be the id of your own category field"
    if field.type not in CHOICE:
        return f'{name}, "{field.title}", is of type {field.type}: it must be a drop-down or a multi-select'
    if not field.active:
        return f'{name}, "{field.title}", is inactive: activate it in Admin Center > Objects and rules > Fields'
    return None


def wrong_own_field(classifier: Classifier, setting: str, fields: Mapping[int, Field]) -> str | None:
    """Why one of our fields that ``presort.toml`` names cannot be used, with the cure; None when it can."""
    field_id: int | None = getattr(classifier, setting)
    if field_id is None:
        return None
    field, name = fields.get(field_id), f"field {field_id}, {setting} of classifier {classifier.name}"
    if field is None:
        return f"{name}, does not exist: take the line out of presort.toml, and `presort install` makes one"
    if field.type not in TEXT:
        return f'{name}, "{field.title}", is of type {field.type}: it must be a text field of its own'
    if not field.active:
        return f'{name}, "{field.title}", is inactive: activate it in Admin Center > Objects and rules > Fields'
    return None


def wrong_webhook(webhook: Webhook) -> dict[str, Any]:
    """The attributes that keep a webhook from delivering new tickets, each as it must be."""
    wanted: dict[str, Any] = {"status": "active", "http_method": "POST", "request_format": "json"}
    changes = {name: value for name, value in wanted.items() if getattr(webhook, name) != value}
    if not {TICKET_CREATED, FROM_TRIGGERS} & set(webhook.subscriptions):
        changes["subscriptions"] = [*webhook.subscriptions, TICKET_CREATED]
    return changes


def wrong_trigger(trigger: Trigger) -> str | None:
    """What keeps a trigger from sending new tickets, None when nothing does."""
    if not trigger.active:
        return "it is inactive"
    if not trigger.on_create:
        return "it is not for new tickets"
    return None if '"ticket_id"' in trigger.body and "{{ticket.id}}" in trigger.body else "its body has no ticket_id"


def ours_first(webhooks: Sequence[Webhook]) -> list[Webhook]:
    """Those that `presort install` made, then the others."""
    return sorted(webhooks, key=lambda one: MADE_BY not in one.note)
