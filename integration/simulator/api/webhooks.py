"""Webhooks and their signing secrets."""

from __future__ import annotations

import secrets

from flask import Blueprint, request

from integration.simulator.account import EVENT_KIND, TRIGGER_KIND, Account
from integration.simulator.api.http import body
from integration.simulator.errors import ApiError, not_found
from integration.simulator.records import Json, Webhook
from integration.simulator.simulation import simulation
from integration.simulator.wire import webhook_json

routes = Blueprint("webhooks", __name__)


@routes.get("/webhooks")
def list_webhooks() -> Json:
    """All webhooks; their secrets have a route of their own."""
    account = simulation().account
    with account.lock:
        rows = [webhook_json(webhook) for webhook in account.webhooks.values()]
        meta = {"has_more": False, "after_cursor": None, "before_cursor": None}
        return {"webhooks": rows, "meta": meta, "links": {"next": None, "prev": None}}


@routes.post("/webhooks")
def create() -> tuple[Json, int]:
    """Create a webhook with a random signing secret."""
    attributes, account = body("webhook"), simulation().account
    with account.lock:
        now = account.now()
        webhook = Webhook(f"01SIMULATED{next(account.numbers):015d}", "", "", [], _secret(), now, now)
        _assign(webhook, attributes)
        account.webhooks[webhook.id] = webhook
        return {"webhook": webhook_json(webhook)}, 201


@routes.get("/webhooks/<webhook_id>")
def show(webhook_id: str) -> Json:
    """One webhook."""
    account = simulation().account
    with account.lock:
        return {"webhook": webhook_json(_webhook(account, webhook_id))}


@routes.put("/webhooks/<webhook_id>")
def update(webhook_id: str) -> tuple[str, int]:
    """Replace a webhook's attributes."""
    attributes, account = body("webhook"), simulation().account
    with account.lock:
        webhook = _webhook(account, webhook_id)
        _assign(webhook, attributes)
        webhook.updated_at = account.now()
    return "", 204


@routes.delete("/webhooks/<webhook_id>")
def delete(webhook_id: str) -> tuple[str, int]:
    """Delete a webhook; refused while a trigger sends to it."""
    account = simulation().account
    with account.lock:
        webhook = _webhook(account, webhook_id)
        if any(trigger.webhook_id == webhook.id for trigger in account.triggers.values()):
            raise ApiError(400, "InvalidWebhook", "the webhook is connected to a trigger: delete that first")
        del account.webhooks[webhook.id]
    return "", 204


@routes.route("/webhooks/<webhook_id>/signing_secret", methods=["GET", "POST"])
def signing_secret(webhook_id: str) -> tuple[Json, int]:
    """Show the secret; a POST replaces it at once, so deliveries under way are signed with the new one."""
    account = simulation().account
    with account.lock:
        webhook = _webhook(account, webhook_id)
        if request.method == "POST":
            webhook.secret = _secret()
        shown = {"signing_secret": {"algorithm": "SHA256", "secret": webhook.secret}}
    return shown, 201 if request.method == "POST" else 200


def _webhook(account: Account, webhook_id: str) -> Webhook:
    if webhook_id not in account.webhooks:
        raise not_found()
    return account.webhooks[webhook_id]


def _assign(webhook: Webhook, attributes: Json) -> None:
    """Take over the attributes of a POST or PUT.

    Raises:
        ApiError: 400 when one is missing, or the subscriptions mix the two kinds, which exclude each other.
    """
    name, endpoint = str(attributes.get("name") or ""), str(attributes.get("endpoint") or "")
    subscriptions = attributes.get("subscriptions") or []
    if not name or not endpoint.startswith(("http://", "https://")):
        raise ApiError(400, "InvalidWebhook", "a webhook needs a name and an http(s) endpoint")
    if subscriptions not in ([EVENT_KIND], [TRIGGER_KIND]):
        raise ApiError(400, "InvalidWebhook", f"subscriptions must be ['{EVENT_KIND}'] or ['{TRIGGER_KIND}']")
    if (attributes.get("http_method", "POST"), attributes.get("request_format", "json")) != ("POST", "json"):
        raise ApiError(400, "InvalidWebhook", "the simulator only sends POST with JSON")
    webhook.name, webhook.endpoint, webhook.subscriptions = name, endpoint, list(subscriptions)
    webhook.status = str(attributes.get("status") or "active")


def _secret() -> str:
    return secrets.token_urlsafe(32)
