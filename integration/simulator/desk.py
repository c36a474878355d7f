"""``/simulator``: what people and scripts do that an integration cannot, and what they want to know."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import msgspec
from flask import Blueprint, request

from integration.simulator import figures
from integration.simulator.account import AGENT, CUSTOMER, Account
from integration.simulator.errors import ApiError, invalid, not_found
from integration.simulator.faults import Faults
from integration.simulator.records import CHOICE_KINDS, Json, Value
from integration.simulator.simulation import Simulation, simulation
from integration.simulator.tickets import as_tags, delete_ticket, pull_trigger

routes = Blueprint("desk", __name__, url_prefix="/simulator")

MAX_TICKETS = 1_000
"""Tickets in one request, either way."""


class NewTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ticket as a customer or a replay sends it; ``fields`` holds values by the fields' titles."""

    subject: str = ""
    description: Annotated[str, msgspec.Meta(min_length=1)]
    channel: str = "web"
    fields: dict[str, Value] = {}
    brand_id: int | None = None


class NewTickets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several of them in one request."""

    tickets: Annotated[list[NewTicket], msgspec.Meta(min_length=1, max_length=MAX_TICKETS)]


@routes.post("/tickets")
def create() -> tuple[Json, int]:
    """Create one ticket, answered ``{"id": 1}``; ``{"tickets": [...]}`` creates many, answered ``{"ids": [1, 2]}``."""
    running, document = simulation(), request.get_json()
    if isinstance(document, dict) and "tickets" in document:
        return {"ids": [_create(running, new) for new in msgspec.convert(document, NewTickets).tickets]}, 201
    return {"id": _create(running, msgspec.convert(document, NewTicket))}, 201


@routes.get("/tickets")
def newest() -> Json:
    """The newest tickets, at most ``limit`` (50) of them."""
    account, limit = simulation().account, request.args.get("limit", 50, type=int)
    with account.lock:
        shown = islice(reversed(account.tickets.values()), max(0, min(limit, MAX_TICKETS)))
        return {"tickets": [figures.ticket_row(account, ticket) for ticket in shown]}


@routes.get("/tickets/<int:ticket_id>")
def show(ticket_id: int) -> Json:
    """A ticket with its history, even when it was deleted."""
    account = simulation().account
    with account.lock:
        if ticket_id not in account.tickets:
            raise not_found()
        return {"ticket": figures.ticket_detail(account, account.tickets[ticket_id])}


@routes.post("/tickets/<int:ticket_id>/agent")
def act_as_agent(ticket_id: int) -> Json:
    """Set fields, given by title, the way an agent does in the browser; it spends the account's update budget too."""
    running, account = simulation(), simulation().account
    with account.lock:
        values = _values(account, msgspec.convert(request.get_json(), dict[str, Value]))
        account.updates_left.take(account.now())
        running.update(ticket_id, {"custom_fields": values}, actor_id=AGENT.id, channel="web")
        return {"ticket": figures.ticket_detail(account, account.ticket(ticket_id))}


@routes.post("/tickets/<int:ticket_id>/trigger")
def act_as_trigger(ticket_id: int) -> Json:
    """Set fields, given by title, the way a trigger does after the latest update."""
    account = simulation().account
    with account.lock:
        values = _values(account, msgspec.convert(request.get_json(), dict[str, Value]))
        pull_trigger(account, account.ticket(ticket_id), {"custom_fields": values})
        return {"ticket": figures.ticket_detail(account, account.ticket(ticket_id))}


@routes.post("/tickets/<int:ticket_id>/close")
def close(ticket_id: int) -> tuple[str, int]:
    """Close a ticket for good: it refuses every update from now on."""
    simulation().update(ticket_id, {"status": "closed"}, actor_id=AGENT.id, channel="web")
    return "", 204


@routes.post("/tickets/<int:ticket_id>/delete")
def delete(ticket_id: int) -> tuple[str, int]:
    """Delete a ticket."""
    account = simulation().account
    with account.lock:
        delete_ticket(account, account.ticket(ticket_id))
    return "", 204


@routes.get("/summary")
def summary() -> Json:
    """What happened so far, in numbers."""
    running = simulation()
    with running.account.lock:
        return figures.summary(running)


@routes.route("/faults", methods=["GET", "POST"])
def faults() -> Json:
    """Show the fault switches; a POST replaces them all, so ``{}`` heals everything."""
    running = simulation()
    if request.method == "POST":
        running.set_faults(msgspec.convert(request.get_json(), Faults))
    shown: Json = msgspec.to_builtins(running.faults)
    return shown


@routes.post("/reset")
def reset() -> tuple[str, int]:
    """Forget everything; the configuration stays."""
    simulation().reset()
    return "", 204


@routes.errorhandler(msgspec.ValidationError)
def refuse(error: msgspec.ValidationError) -> tuple[Json, int]:
    """A body that is not what the route takes; the message names the member."""
    return {"error": "InvalidRequest", "description": str(error)}, 400


def _create(running: Simulation, new: NewTicket) -> int:
    with running.account.lock:
        attributes: Json = {"subject": new.subject, "description": new.description}
        if new.brand_id is not None:
            attributes["brand_id"] = new.brand_id
        attributes["custom_fields"] = _values(running.account, new.fields)
        return running.create(attributes, actor_id=CUSTOMER.id, channel=new.channel).id


def _values(account: Account, by_title: dict[str, Value]) -> list[Json]:
    """Custom field values by id; people are told about a wrong title or choice that the API would drop.

    Raises:
        ApiError: 422, naming it.
    """
    fields = {field.title: field for field in account.custom_fields()}
    values: list[Json] = []
    for title, value in by_title.items():
        if title not in fields:
            raise ApiError(422, "RecordInvalid", f"there is no field '{title}': fields are {', '.join(fields)}")
        field = fields[title]
        tags = as_tags(value or None) if field.kind in CHOICE_KINDS else []
        if unknown := [tag for tag in tags if tag not in field.tags()]:
            raise invalid(title, f"'{unknown[0]}' is not an option of {title}")
        values.append({"id": field.id, "value": value})
    return values
