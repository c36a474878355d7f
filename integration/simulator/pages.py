"""The pages people look at; everything that moves comes from ``/simulator`` by way of one script."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from integration.simulator.account import Account
from integration.simulator.errors import not_found
from integration.simulator.records import Field
from integration.simulator.simulation import simulation

routes = Blueprint("pages", __name__, static_folder="static", template_folder="templates", static_url_path="/static")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Ticket text is a stranger's: no inline script, nothing from elsewhere, no frames."""


@routes.get("/")
def overview() -> str:
    """Write a ticket, and watch all of them."""
    account = simulation().account
    with account.lock:
        endpoints = [webhook.endpoint for webhook in account.webhooks.values() if webhook.status == "active"]
        return render_template("overview.html", fields=_fields(account), endpoints=endpoints)


@routes.get("/tickets/<int:ticket_id>")
def ticket(ticket_id: int) -> str:
    """One ticket and its history.

    Raises:
        ApiError: 404.
    """
    account = simulation().account
    with account.lock:
        if ticket_id not in account.tickets:
            raise not_found()
        return render_template("ticket.html", fields=_fields(account), ticket_id=ticket_id)


def _fields(account: Account) -> dict[str, Field]:
    """The four fields that the pages show, by what they are for."""
    config = account.config
    return {
        "category": account.field(config.category_field_id),
        "predicted": account.field(config.predicted_field_id),
        "confidence": account.field(config.confidence_field_id),
        "model": account.field(config.model_field_id),
    }


@routes.after_request
def protect(response: Response) -> Response:
    """Headers of every page."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
