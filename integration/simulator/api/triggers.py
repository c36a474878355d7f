"""Triggers, as far as connecting a webhook needs them: one condition, created or changed, and one action."""

from __future__ import annotations

from typing import Literal

from flask import Blueprint

from integration.simulator.account import TRIGGER_KIND, Account
from integration.simulator.api.gate import only_admins_change
from integration.simulator.api.http import body, page
from integration.simulator.errors import invalid, not_found
from integration.simulator.records import Json, Trigger
from integration.simulator.simulation import simulation
from integration.simulator.wire import trigger_json

routes = Blueprint("triggers", __name__)
routes.before_request(only_admins_change)


@routes.get("/triggers")
def list_triggers() -> Json:
    """All triggers."""
    account = simulation().account
    with account.lock:
        return page("triggers", list(account.triggers.values()), trigger_json)


@routes.post("/triggers")
def create() -> tuple[Json, int]:
    """Create a trigger."""
    attributes, account = body("trigger"), simulation().account
    with account.lock:
        now = account.now()
        webhook_id, text = _action(account, attributes)
        trigger = Trigger(
            next(account.numbers), _title(attributes), _update_type(attributes), webhook_id, text, now, now
        )
        trigger.description = str(attributes.get("description") or "")
        account.triggers[trigger.id] = trigger
        return {"trigger": trigger_json(trigger)}, 201


@routes.get("/triggers/<int:trigger_id>")
def show(trigger_id: int) -> Json:
    """One trigger."""
    account = simulation().account
    with account.lock:
        return {"trigger": trigger_json(_trigger(account, trigger_id))}


@routes.put("/triggers/<int:trigger_id>")
def update(trigger_id: int) -> Json:
    """Replace what the body names."""
    attributes, account = body("trigger"), simulation().account
    with account.lock:
        trigger = _trigger(account, trigger_id)
        if "actions" in attributes:
            trigger.webhook_id, trigger.body = _action(account, attributes)
        if "conditions" in attributes:
            trigger.update_type = _update_type(attributes)
        if "title" in attributes:
            trigger.title = _title(attributes)
        trigger.active = bool(attributes.get("active", trigger.active))
        trigger.updated_at = account.now()
        return {"trigger": trigger_json(trigger)}


@routes.delete("/triggers/<int:trigger_id>")
def delete(trigger_id: int) -> tuple[str, int]:
    """Delete a trigger."""
    account = simulation().account
    with account.lock:
        del account.triggers[_trigger(account, trigger_id).id]
    return "", 204


def _trigger(account: Account, trigger_id: int) -> Trigger:
    if trigger_id not in account.triggers:
        raise not_found()
    return account.triggers[trigger_id]


def _title(attributes: Json) -> str:
    if not attributes.get("title"):
        raise invalid("title", "Title: cannot be blank")
    return str(attributes["title"])


def _update_type(attributes: Json) -> Literal["Create", "Change"]:
    """The one condition that the simulator evaluates; anything else is refused rather than ignored."""
    conditions = attributes.get("conditions")
    if isinstance(conditions, dict) and not conditions.get("any"):
        match conditions.get("all"):
            case [{"field": "update_type", "value": "Create"}]:
                return "Create"
            case [{"field": "update_type", "value": "Change"}]:
                return "Change"
    raise invalid("conditions", "Conditions: the simulator knows one, update_type is Create or Change")


def _action(account: Account, attributes: Json) -> tuple[str, str]:
    """Webhook and body of the one action that the simulator performs."""
    match attributes.get("actions"):
        case [{"field": "notification_webhook", "value": [str(webhook_id), str(text)]}]:
            webhook = account.webhooks.get(webhook_id)
            if webhook is None or webhook.subscriptions != [TRIGGER_KIND]:
                raise invalid("actions", f"Actions: webhook {webhook_id} must exist and subscribe to {TRIGGER_KIND}")
            return webhook_id, text
    raise invalid("actions", "Actions: the simulator knows one, notification_webhook with a webhook and a body")
