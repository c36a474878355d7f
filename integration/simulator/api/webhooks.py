"""Webhooks and their signing secrets."""

from __future__ import annotations

import secrets

import requests
from flask import Blueprint, request

from integration.simulator.account import EVENT_KIND, TRIGGER_KIND, Account
from integration.simulator.api.gate import only_admins
from integration.simulator.api.http import body, page
from integration.simulator.delivery import deliver_test
from integration.simulator.errors import ApiError, not_found
from integration.simulator.records import Json, Webhook
from integration.simulator.simulation import simulation
from integration.simulator.wire import invocation_json, webhook_json
from integration.zendesk.signature import PUBLIC_TEST_SECRET

routes = Blueprint("webhooks", __name__)
routes.before_request(only_admins)


@routes.get("/webhooks")
def list_webhooks() -> Json:
    """All webhooks, by cursor whether the caller asks for that or not; their secrets have a route of their own."""
    account = simulation().account
    with account.lock:
        return page("webhooks", list(account.webhooks.values()), webhook_json, always=True)


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


@routes.route("/webhooks/<webhook_id>", methods=["PUT", "PATCH"])
def update(webhook_id: str) -> tuple[str, int]:
    """Replace a webhook's attributes: all of them by PUT, those named by PATCH."""
    attributes, account = body("webhook"), simulation().account
    with account.lock:
        webhook = _webhook(account, webhook_id)
        _assign(webhook, (webhook_json(webhook) if request.method == "PATCH" else {}) | attributes)
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


@routes.get("/webhooks/<webhook_id>/invocations")
def invocations(webhook_id: str) -> Json:
    """Its deliveries, the latest first."""
    account = simulation().account
    with account.lock:
        found = list(reversed(_webhook(account, webhook_id).invocations.values()))
        return page("invocations", found, invocation_json, always=True)


@routes.post("/webhooks/test")
def test() -> Json:
    """Send a test and show what the endpoint answered; the request's own members override the webhook's."""
    attributes, account = body("request"), simulation().account
    with account.lock:
        webhook_id = request.args.get("webhook_id")
        saved = _webhook(account, webhook_id) if webhook_id else None
        webhook = Webhook("", "", "", [], PUBLIC_TEST_SECRET, 0, 0)
        unsaved: Json = {"name": "Test", "subscriptions": [EVENT_KIND]}
        _assign(webhook, (webhook_json(saved) if saved else unsaved) | attributes)
        if saved and not account.config.tests_signed_publicly:
            webhook.secret = saved.secret
    try:
        answer = deliver_test(account, webhook, str(attributes.get("payload") or "").encode())
    except requests.RequestException as error:
        raise ApiError(422, "WebhookTestFailed", f"no answer: {type(error).__name__}") from None
    headers = [{"key": key, "value": value} for key, value in answer.headers.items()]
    return {"response": {"status": answer.status_code, "headers": headers, "payload": answer.text}}


def _webhook(account: Account, webhook_id: str) -> Webhook:
    if webhook_id not in account.webhooks:
        raise not_found()
    return account.webhooks[webhook_id]


def _assign(webhook: Webhook, attributes: Json) -> None:
    """Take over the attributes of a POST or PUT.

    Raises:
        ApiError: 400 when one is missing, the subscriptions mix the two kinds, which exclude each other, or the kind
            would change, which Zendesk does not do.
    """
    name, endpoint = str(attributes.get("name") or ""), str(attributes.get("endpoint") or "")
    subscriptions = attributes.get("subscriptions") or []
    if not name or not endpoint.startswith(("http://", "https://")):
        raise ApiError(400, "InvalidWebhook", "a webhook needs a name and an http(s) endpoint")
    if subscriptions not in ([EVENT_KIND], [TRIGGER_KIND]):
        raise ApiError(400, "InvalidWebhook", f"subscriptions must be ['{EVENT_KIND}'] or ['{TRIGGER_KIND}']")
    if (attributes.get("http_method", "POST"), attributes.get("request_format", "json")) != ("POST", "json"):
        raise ApiError(400, "InvalidWebhook", "the simulator only sends POST with JSON")
    if webhook.subscriptions and webhook.subscriptions != subscriptions:
        raise ApiError(400, "InvalidWebhook", "a webhook's connection method cannot be changed")
    webhook.description = str(attributes.get("description") or "")
    webhook.name, webhook.endpoint, webhook.subscriptions = name, endpoint, list(subscriptions)
    webhook.status = str(attributes.get("status") or "active")


def _secret() -> str:
    return secrets.token_urlsafe(32)
