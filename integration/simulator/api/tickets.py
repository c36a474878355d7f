"""Tickets, their comments and audits."""

from __future__ import annotations

from flask import Blueprint, request

from integration.simulator.api.gate import actor, only_admins, spend_updates
from integration.simulator.api.http import bodies, body, caller_host, listing, page
from integration.simulator.errors import ApiError, not_found, too_many_values
from integration.simulator.records import Idempotent, Json, Ticket
from integration.simulator.simulation import Simulation, simulation
from integration.simulator.tickets import create_ticket, delete_ticket
from integration.simulator.wire import audit_json, comment_json, job_json, ticket_json

routes = Blueprint("tickets", __name__)

IDEMPOTENCY_LIFE_S = 2 * 3600

MAX_TICKETS = 100
"""Tickets in one request of the ``_many`` routes."""


@routes.get("/tickets")
def list_tickets() -> Json:
    """Tickets in the order of their ids, by pages; with ``external_id`` those that carry it."""
    account, external_id = simulation().account, request.args.get("external_id")
    with account.lock:
        tickets = [
            ticket
            for ticket in account.tickets.values()
            if not ticket.deleted and external_id in {None, ticket.external_id}
        ]
        return page("tickets", tickets, lambda ticket: ticket_json(account, ticket, caller_host()))


@routes.post("/tickets")
def create() -> tuple[Json, int, dict[str, str]]:
    """Create one ticket; a request with the ``Idempotency-Key`` of an earlier one is answered with what that made.

    Source: developer.zendesk.com, Ticketing API, "Idempotency": keys are forgotten after two hours.

    Raises:
        ApiError: 400 when the same key comes with other attributes.
    """
    running, attributes, key = simulation(), body("ticket"), request.headers.get("Idempotency-Key")
    account = running.account
    with account.lock:
        if key is None:
            return _latest(running, running.create(attributes, actor_id=actor().id)), 201, {}
        earlier = account.idempotent.get(key)
        if earlier is not None and earlier.expires_at > account.now():
            if earlier.asked != attributes:
                description = "Request parameters do not match those of the request with the same Idempotency-Key"
                raise ApiError(400, "IdempotentRequestError", description)
            return _latest(running, account.tickets[earlier.ticket_id]), 201, {"x-idempotency-lookup": "hit"}
        ticket = running.create(attributes, actor_id=actor().id)
        account.idempotent[key] = Idempotent(attributes, ticket.id, account.now() + IDEMPOTENCY_LIFE_S)
        return _latest(running, ticket), 201, {"x-idempotency-lookup": "miss"}


@routes.post("/tickets/create_many")
def create_many() -> Json:
    """Create up to 100 tickets in a job."""
    running, actor_id = simulation(), actor().id

    def work(attributes: Json) -> Json:
        return {"id": running.create(attributes, actor_id=actor_id).id, "action": "create", "status": "Created"}

    job = running.start_job("Bulk Create Ticket", bodies("tickets", MAX_TICKETS), work)
    return {"job_status": job_json(job, caller_host())}


@routes.post("/imports/tickets")
def import_one() -> tuple[Json, int]:
    """Create a ticket that keeps its ``created_at``, for admins.

    No trigger fires; no event is sent either, of which Zendesk says nothing.
    """
    account, attributes = simulation().account, body("ticket")
    only_admins()
    with account.lock:
        ticket = create_ticket(account, attributes, actor_id=actor().id, channel="api", imported=True)
        return {"ticket": ticket_json(account, ticket, caller_host())}, 201


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
    return _delete(ticket_id)


@routes.put("/tickets/<int:ticket_id>/mark_as_spam")
def mark_as_spam(ticket_id: int) -> tuple[str, int]:
    """Delete softly; that the requester is suspended with it is left out."""
    return _delete(ticket_id)


def _delete(ticket_id: int) -> tuple[str, int]:
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
