"""Tickets, their comments and audits."""

from __future__ import annotations

from flask import Blueprint, request

from integration.simulator.api.gate import actor, spend_updates
from integration.simulator.api.http import bodies, body, caller_host, listing, page
from integration.simulator.errors import ApiError, not_found, too_many_values
from integration.simulator.records import Json, Ticket
from integration.simulator.simulation import Simulation, simulation
from integration.simulator.tickets import delete_ticket
from integration.simulator.wire import audit_json, comment_json, job_json, ticket_json

routes = Blueprint("tickets", __name__)

MAX_TICKETS = 100
"""Tickets in one request of the ``_many`` routes."""


@routes.get("/tickets")
def list_tickets() -> Json:
    """Tickets in the order of their ids, by pages."""
    account = simulation().account
    with account.lock:
        tickets = [ticket for ticket in account.tickets.values() if not ticket.deleted]
        return page("tickets", tickets, lambda ticket: ticket_json(account, ticket, caller_host()))


@routes.post("/tickets")
def create() -> tuple[Json, int]:
    """Create one ticket."""
    running, attributes = simulation(), body("ticket")
    with running.account.lock:
        ticket = running.create(attributes, actor_id=actor().id)
        return _latest(running, ticket), 201


@routes.post("/tickets/create_many")
def create_many() -> Json:
    """Create up to 100 tickets in a job."""
    running, actor_id = simulation(), actor().id

    def work(attributes: Json) -> Json:
        return {"id": running.create(attributes, actor_id=actor_id).id, "action": "create", "status": "Created"}

    job = running.start_job("Bulk Create Ticket", bodies("tickets", MAX_TICKETS), work)
    return {"job_status": job_json(job, caller_host())}


@routes.get("/tickets/<int:ticket_id>")
def show(ticket_id: int) -> Json:
    """One ticket."""
    account = simulation().account
    with account.lock:
        return {"ticket": ticket_json(account, account.ticket(ticket_id), caller_host())}


@routes.get("/tickets/show_many")
def show_many() -> Json:
    """Up to 100 tickets; those that are not there are simply absent."""
    ids = [int(part) for part in request.args.get("ids", "").split(",") if part.strip().isdigit()]
    if len(ids) > MAX_TICKETS:
        raise too_many_values(MAX_TICKETS)
    account = simulation().account
    with account.lock:
        found = [account.tickets[id_] for id_ in ids if id_ in account.tickets and not account.tickets[id_].deleted]
        return listing("tickets", [ticket_json(account, ticket, caller_host()) for ticket in found])


@routes.put("/tickets/<int:ticket_id>")
def update(ticket_id: int) -> Json:
    """Update one ticket."""
    running, attributes = simulation(), body("ticket")
    with running.account.lock:
        spend_updates(running.account, [running.account.ticket(ticket_id).id], 1)
        running.update(ticket_id, attributes, actor_id=actor().id)
        return _latest(running, running.account.ticket(ticket_id))


@routes.put("/tickets/update_many")
def update_many() -> Json:
    """Update up to 100 tickets, each with attributes of its own, in a job; always as safe updates.

    A ticket without ``updated_stamp`` has nothing to collide with.
    """
    running, actor_id, items = simulation(), actor().id, bodies("tickets", MAX_TICKETS)
    ids = [item.get("id") for item in items]
    if not all(isinstance(id_, int) for id_ in ids):
        raise ApiError(400, "InvalidRequest", "every ticket needs its id")

    def work(item: Json) -> Json:
        running.update(item["id"], {**item, "safe_update": True}, actor_id=actor_id)
        return {"id": item["id"], "action": "update", "status": "Updated"}

    with running.account.lock:
        each = running.config.update_many_counts_tickets
        spend_updates(running.account, [item["id"] for item in items], len(items) if each else 1)
        job = running.start_job("Bulk Update Ticket", items, work)
        return {"job_status": job_json(job, caller_host())}


@routes.delete("/tickets/<int:ticket_id>")
def delete(ticket_id: int) -> tuple[str, int]:
    """Delete softly."""
    account = simulation().account
    with account.lock:
        delete_ticket(account, account.ticket(ticket_id))
    return "", 204


@routes.get("/tickets/<int:ticket_id>/audits")
def audits(ticket_id: int) -> Json:
    """Who changed what, from what to what, oldest first."""
    account = simulation().account
    with account.lock:
        ticket = account.ticket(ticket_id)
        return page("audits", ticket.audits, lambda audit: audit_json(ticket, audit))


@routes.get("/tickets/<int:ticket_id>/comments")
def comments(ticket_id: int) -> Json:
    """The messages, oldest first; the first is the description."""
    account = simulation().account
    with account.lock:
        return page("comments", account.ticket(ticket_id).comments, comment_json)


@routes.get("/job_statuses/<job_id>")
def job_status(job_id: str) -> Json:
    """How far a job is."""
    account = simulation().account
    with account.lock:
        if job_id not in account.jobs:
            raise not_found()
        return {"job_status": job_json(account.jobs[job_id], caller_host())}


def _latest(running: Simulation, ticket: Ticket) -> Json:
    """A ticket with the audit of what just happened to it, as creating and updating answer."""
    return {
        "ticket": ticket_json(running.account, ticket, caller_host()),
        "audit": audit_json(ticket, ticket.audits[-1]),
    }
