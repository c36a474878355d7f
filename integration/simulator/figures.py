"""What happened, in numbers: a row for each ticket, and the summary of them all."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from integration.simulator.account import Account
from integration.simulator.records import Json, Ticket
from integration.simulator.simulation import Simulation
from integration.simulator.tickets import as_tags
from integration.simulator.wire import audit_json, iso

UNREMARKABLE = {"subject", "status", "brand_id"}
"""What every ticket starts with; its history on the page leaves them out."""


def ticket_row(account: Account, ticket: Ticket) -> Json:
    """A ticket's fields by title and the ledger of its webhook; ``…_at`` in Unix seconds.

    ``category`` is the chosen options' names, for people; under ``fields`` stand their tags.
    """
    fields = {field.title: ticket.fields.get(field.id) for field in account.custom_fields()}
    category = account.fields[account.config.category_field_id]
    tags = as_tags(ticket.fields.get(category.id))
    return {
        "id": ticket.id,
        "subject": ticket.subject,
        "channel": ticket.channel,
        "status": "deleted" if ticket.deleted else ticket.status,
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
        "fields": fields,
        "category": ", ".join(option.name for option in category.options if option.value in tags) or None,
        "sent_at": ticket.ledger.first_sent_at,
        "attempts": ticket.ledger.attempts,
        "last_status": ticket.ledger.last_status,
        "filled_at": ticket.ledger.filled_at,
        "seconds": ticket.ledger.seconds(),
    }


def ticket_detail(account: Account, ticket: Ticket) -> Json:
    """A row with the description, the tags and the history, newest first, fields under their titles."""
    titles = {str(field.id): field.title for field in account.fields.values()}
    history = []
    for audit in reversed(ticket.audits):
        user = account.users.get(audit.author_id)
        changes = [
            {
                "field": titles.get(event["field_name"], event["field_name"]),
                "from": event.get("previous_value"),
                "to": event["value"],
            }
            for event in audit.events
            if event["type"] == "Change" or (event["type"] == "Create" and event["field_name"] not in UNREMARKABLE)
        ]
        history.append(
            {
                "by": user.name if user else str(audit.author_id),
                "at": audit.created_at,
                "channel": audit.channel,
                "changes": changes,
                "metadata": audit_json(ticket, audit)["metadata"]["custom"],
            }
        )
    return ticket_row(account, ticket) | {
        "description": ticket.description,
        "tags": ticket.tags,
        "created": iso(ticket.created_at),
        "history": history,
    }


def summary(running: Simulation) -> Json:
    """Counts since the start or the last reset, and the time from a webhook's first sending to our first update."""
    account = running.account
    latencies = sorted(account.latencies)
    return {
        "tickets": {
            "created": account.counts["created"],
            "delivered": account.counts["delivered"],
            **{outcome: account.outcomes[outcome] for outcome in ("filled", "suggested", "waiting", "deleted")},
        },
        "deliveries": {"queued": running.courier.waiting(), "dropped": account.counts["dropped"]},
        "updates": account.counts["updates"],
        "conflicts": account.counts["conflicts"],
        "limited": account.counts["limited"],
        "requests": dict(sorted(account.requests.items())),
        "latency_s": {
            "count": len(latencies),
            "p50": quantile(latencies, 0.5),
            "p99": quantile(latencies, 0.99),
        },
        "faults": msgspec.to_builtins(running.faults),
    }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of them do not exceed (nearest rank); None of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
