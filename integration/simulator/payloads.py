"""What a delivery carries: the event envelope, or the trigger's own template."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from integration.simulator.account import Account
from integration.simulator.records import Json, Ticket, Trigger
from integration.simulator.wire import iso


def created_event(account: Account, ticket: Ticket) -> bytes:
    """The body of ``zen:event-type:ticket.created``.

    Ids inside ``detail`` are strings, status, priority and type are upper case or null, the time has nanoseconds,
    and there are no custom fields: whoever needs them reads the ticket.
    """
    seconds = int(ticket.created_at)
    nanoseconds = int((ticket.created_at - seconds) * 1e9)
    detail: Json = {
        "actor_id": str(ticket.submitter_id),
        "assignee_id": _text(ticket.assignee_id),
        "brand_id": str(ticket.brand_id),
        "created_at": iso(ticket.created_at),
        "custom_status": None,
        "description": ticket.description,
        "external_id": ticket.external_id,
        "form_id": None,
        "group_id": _text(ticket.group_id),
        "id": str(ticket.id),
        "is_public": True,
        "organization_id": None,
        "priority": _upper(ticket.priority),
        "requester_id": str(ticket.requester_id),
        "status": _upper(ticket.status),
        "subject": ticket.subject,
        "submitter_id": str(ticket.submitter_id),
        "tags": ticket.tags,
        "type": _upper(ticket.kind),
        "updated_at": iso(ticket.updated_at),
        "via": {"channel": ticket.channel},
    }
    envelope: Json = {
        "account_id": account.config.account_id,
        "detail": detail,
        "event": {"meta": {"sequence": {"id": uuid.uuid4().hex.upper(), "position": 1}}},
        "id": str(uuid.uuid4()),
        "subject": f"zen:ticket:{ticket.id}",
        "time": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z",
        "type": "zen:event-type:ticket.created",
        "zendesk_event_version": "2022-11-06",
    }
    return json.dumps(envelope).encode()


def filled(trigger: Trigger, ticket: Ticket) -> bytes:
    """The trigger's body with the placeholders of ids and times filled; others stay as they stand."""
    body = trigger.body
    for name, value in (
        ("ticket.id", str(ticket.id)),
        ("ticket.created_at_with_timestamp", iso(ticket.created_at)),
        ("ticket.updated_at_with_timestamp", iso(ticket.updated_at)),
    ):
        body = body.replace("{{" + name + "}}", value)
    return body.encode()


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _upper(word: str | None) -> str | None:
    return word and word.upper()
