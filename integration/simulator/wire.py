"""Records as Zendesk writes them in JSON."""

from __future__ import annotations

from datetime import UTC, datetime

from integration.simulator.account import Account
from integration.simulator.records import (
    CHOICE_KINDS,
    Audit,
    Comment,
    Field,
    Invocation,
    Job,
    Json,
    Option,
    Ticket,
    Trigger,
    User,
    Webhook,
)


def iso(when: float) -> str:
    """A time in API answers: UTC, to the second, which is also the resolution that safe updates compare."""
    return datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(stamp: str) -> float:
    """Unix seconds of a time that a caller wrote in ISO 8601; UTC where it names no offset.

    Raises:
        ValueError: it is none.
    """
    when = datetime.fromisoformat(stamp)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def ticket_json(account: Account, ticket: Ticket, host: str) -> Json:
    """A ticket as the ticket routes and the export show it; ``host`` is the caller's, as in ``https://x.test``."""
    values = [
        {"id": field.id, "value": ticket.fields.get(field.id) or ([] if field.kind == "multiselect" else None)}
        for field in account.custom_fields()
    ]
    return {
        "id": ticket.id,
        "url": f"{host}/api/v2/tickets/{ticket.id}.json",
        "external_id": ticket.external_id,
        "via": {"channel": ticket.channel, "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": iso(ticket.created_at),
        "updated_at": iso(ticket.updated_at),
        "generated_timestamp": int(ticket.updated_at),
        "type": ticket.kind,
        "subject": ticket.subject,
        "raw_subject": ticket.subject,
        "description": ticket.description,
        "priority": ticket.priority,
        "status": "deleted" if ticket.deleted else ticket.status,
        "requester_id": ticket.requester_id,
        "submitter_id": ticket.submitter_id,
        "assignee_id": ticket.assignee_id,
        "group_id": ticket.group_id,
        "brand_id": ticket.brand_id,
        "tags": ticket.tags,
        "custom_fields": values,
        "fields": values,
    }


def audit_json(ticket: Ticket, audit: Audit) -> Json:
    """An entry of the ticket's history."""
    return {
        "id": audit.id,
        "ticket_id": ticket.id,
        "author_id": audit.author_id,
        "created_at": iso(audit.created_at),
        "via": {"channel": audit.channel, "source": {"from": {}, "to": {}, "rel": None}},
        "events": audit.events,
        "metadata": {"system": {}, "custom": audit.metadata},
    }


def comment_json(comment: Comment) -> Json:
    """A message; ``plain_body`` is what to read, the others carry markup in the real one."""
    return {
        "id": comment.id,
        "type": "Comment",
        "author_id": comment.author_id,
        "body": comment.body,
        "plain_body": comment.body,
        "public": comment.public,
        "attachments": [],
        "created_at": iso(comment.created_at),
    }


def field_json(field: Field, host: str) -> Json:
    """A ticket field; only choices have ``custom_field_options``."""
    body: Json = {
        "id": field.id,
        "url": f"{host}/api/v2/ticket_fields/{field.id}.json",
        "type": field.kind,
        "title": field.title,
        "raw_title": field.title,
        "description": field.description,
        "agent_description": field.agent_description,
        "active": field.active,
        "removable": field.custom,
        "created_at": iso(field.created_at),
        "updated_at": iso(field.updated_at),
    }
    if field.kind in CHOICE_KINDS:
        body["custom_field_options"] = [option_json(option) for option in field.options]
    return body


def option_json(option: Option) -> Json:
    """A choice of a drop-down or a multi-select."""
    return {
        "id": option.id,
        "name": option.name,
        "raw_name": option.name,
        "value": option.value,
        "default": False,
    }


def user_json(user: User) -> Json:
    """A person, or the integration's own user."""
    return {"id": user.id, "name": user.name, "email": user.email, "role": user.role, "active": True}


def webhook_json(webhook: Webhook) -> Json:
    """A webhook, without its secret."""
    return {
        "id": webhook.id,
        "name": webhook.name,
        "description": webhook.description,
        "status": webhook.status,
        "endpoint": webhook.endpoint,
        "http_method": "POST",
        "request_format": "json",
        "subscriptions": webhook.subscriptions,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }


def invocation_json(invocation: Invocation) -> Json:
    """A delivery; ``status_code`` is 0 when nothing answered."""
    answered = invocation.status_code or 0
    return {
        "id": invocation.id,
        "latest_completed_at": iso(invocation.completed_at),
        "status": "success" if answered in range(200, 300) else "failed",
        "status_code": answered,
    }


def trigger_json(trigger: Trigger) -> Json:
    """A trigger with its one condition and its one action."""
    return {
        "id": trigger.id,
        "title": trigger.title,
        "description": trigger.description,
        "active": trigger.active,
        "conditions": {
            "all": [{"field": "update_type", "operator": "is", "value": trigger.update_type}],
            "any": [],
        },
        "actions": [{"field": "notification_webhook", "value": [trigger.webhook_id, trigger.body]}],
        "created_at": iso(trigger.created_at),
        "updated_at": iso(trigger.updated_at),
    }


def job_json(job: Job, host: str) -> Json:
    """A job; ``results`` is null until it completed."""
    return {
        "id": job.id,
        "url": f"{host}/api/v2/job_statuses/{job.id}.json",
        "job_type": job.kind,
        "status": job.status,
        "total": job.total,
        "progress": job.progress,
        "message": "Completed" if job.status == "completed" else None,
        "results": job.results if job.status == "completed" else None,
    }
