"""What creating and updating a ticket does: merges, mirrors, silent drops and refusals, as Zendesk does them.

Plain functions; the caller holds the account's lock.
"""

from __future__ import annotations

from contextlib import suppress

from integration.simulator.account import BRAND_ID, INTEGRATION, Account
from integration.simulator.errors import conflict, invalid
from integration.simulator.records import CHOICE_KINDS, TEXT_KINDS, Audit, Comment, Field, Json, Ticket, Value
from integration.simulator.wire import seconds

PLAIN = {name: name for name in ("subject", "status", "priority", "assignee_id", "group_id", "external_id", "brand_id")}
PLAIN["type"] = "kind"
"""Attributes that an update may set, by their names in JSON, and the record's names for them."""
ALLOWED = {
    "status": {"new", "open", "pending", "hold", "solved", "closed"},
    "priority": {"None", "low", "normal", "high", "urgent"},
    "type": {"None", "problem", "incident", "question", "task"},
}
MAX_BODY = 64 * 1024
"""Characters of a comment that Zendesk keeps."""


class Dropped(Exception):  # noqa: N818 - Zendesk does not treat it as an error
    """A value that Zendesk ignores without saying so."""


def create_ticket(account: Account, attributes: Json, *, actor_id: int, channel: str, imported: bool = False) -> Ticket:
    """A new ticket from the attributes of ``POST /tickets``; its first audit holds everything it starts with.

    Args:
        account: where it is filed.
        attributes: of the ticket.
        actor_id: who files it.
        channel: ``via.channel``.
        imported: whether a ``created_at`` among the attributes is kept.

    Raises:
        ApiError: 422 when there is no text, or a value is wrong.
    """
    comment = attributes.get("comment")
    first = comment if isinstance(comment, dict) else {"body": attributes.get("description")}
    body = first.get("body")
    if not body or not isinstance(body, str):
        raise invalid("base", "Description: cannot be blank")
    now = account.now()
    ticket = Ticket(
        id=next(account.ticket_numbers),
        subject="",
        description=body[:MAX_BODY],
        channel=channel,
        requester_id=attributes.get("requester_id") or actor_id,
        submitter_id=actor_id,
        brand_id=attributes.get("brand_id") or BRAND_ID,
        created_at=_imported_time(attributes, now) if imported else now,
        updated_at=now,
    )
    events = _apply(account, ticket, {"subject": "", **attributes, "comment": {**first, "body": body}}, actor_id)
    events += [
        {"id": next(account.numbers), "type": "Create", "field_name": name, "value": value}
        for name, value in _snapshot(account, ticket).items()
        if value
    ]
    _record(account, ticket, events, attributes.get("metadata"), actor_id=actor_id, channel=channel)
    if not imported:
        ticket.created_at = ticket.updated_at  # one moment, also when a second ended in between
    account.tickets[ticket.id] = ticket
    account.counts["created"] += 1
    return ticket


def _imported_time(attributes: Json, now: float) -> float:
    try:
        return seconds(str(attributes["created_at"])) if attributes.get("created_at") else now
    except ValueError:
        raise invalid("created_at", "Created at: is not a time") from None


def update_ticket(account: Account, ticket: Ticket, attributes: Json, *, actor_id: int, channel: str = "api") -> Audit:
    """Apply the attributes of ``PUT /tickets/{id}``; unknown attributes and unknown choices are dropped silently.

    Raises:
        ApiError: 422 for a closed ticket or a wrong value, 409 for a safe update with an old stamp; then nothing
            changed.
    """
    if ticket.status == "closed":
        raise invalid("status", "Status: closed prevents ticket update")
    if attributes.get("safe_update"):
        _check_stamp(account, ticket, attributes.get("updated_stamp"))
    before = _snapshot(account, ticket)
    events = _apply(account, ticket, attributes, actor_id) + _changes(account, ticket, before)
    audit = _record(account, ticket, events, attributes.get("metadata"), actor_id=actor_id, channel=channel)
    if actor_id == INTEGRATION.id:
        account.counts["updates"] += 1
        if ticket.ledger.filled_at is None and ticket.outcome in {"suggested", "filled"}:
            ticket.ledger.filled_at = audit.created_at
            if (seconds := ticket.ledger.seconds()) is not None:
                account.latencies.append(seconds)
    return audit


def pull_trigger(account: Account, ticket: Ticket, attributes: Json) -> None:
    """What a trigger's action does: its changes stand in the audit of the update that set it off."""
    before = _snapshot(account, ticket)
    _apply(account, ticket, attributes, INTEGRATION.id)
    via = {"channel": "rule", "source": {"from": {}, "to": {}, "rel": "trigger"}}
    ticket.audits[-1].events += [event | {"via": via} for event in _changes(account, ticket, before)]
    account.changed(ticket)


def delete_ticket(account: Account, ticket: Ticket) -> None:
    """Delete softly: gone for the ticket routes, still in the export with the status ``deleted``."""
    ticket.deleted = True
    account.changed(ticket)


def set_field(ticket: Ticket, field: Field, value: Value) -> None:
    """Set a custom field and mirror its choices into the ticket's tags."""
    if field.kind in CHOICE_KINDS:
        old, new = (as_tags(ticket.fields.get(field.id)), as_tags(value))
        ticket.tags = [tag for tag in ticket.tags if tag not in old]
        ticket.tags += [tag for tag in new if tag not in ticket.tags]
    if value is None:
        ticket.fields.pop(field.id, None)
    else:
        ticket.fields[field.id] = value


def as_tags(value: Value) -> list[str]:
    """The tags that the value of a drop-down or a multi-select stands for."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def accepted(field: Field, value: object) -> Value:
    """What the field makes of a value; of several choices the known ones are kept.

    Raises:
        Dropped: an unknown choice of a drop-down, which Zendesk ignores.
        ApiError: 422 for a number that is none.
    """
    if value is None or value in ("", []):
        return None
    if field.kind in TEXT_KINDS:
        return str(value)
    if field.kind == "decimal":
        try:
            float(str(value))
        except ValueError:
            raise invalid(str(field.id), f"{field.title}: '{value}' is not a number") from None
        return str(value)
    if field.kind == "multiselect":
        chosen = value if isinstance(value, list) else [value]
        return [str(tag) for tag in chosen if str(tag) in field.tags()] or None
    if str(value) not in field.tags():
        raise Dropped
    return str(value)


def _apply(account: Account, ticket: Ticket, attributes: Json, actor_id: int) -> list[Json]:
    """Check everything, then change the ticket; the comment's event, if there is one."""
    changes = _plain_changes(attributes)
    _check_assignment(account, ticket, changes, actor_id)
    fields = _field_changes(account, attributes.get("custom_fields") or attributes.get("fields") or [])
    for name, value in changes.items():
        setattr(ticket, name, value)
    if "tags" in changes:
        _follow_tags(account, ticket)
    for field, value in fields:
        set_field(ticket, field, value)
    comment = attributes.get("comment")
    if isinstance(comment, dict) and comment.get("body"):
        return [_add_comment(account, ticket, comment, actor_id)]
    return []


def _snapshot(account: Account, ticket: Ticket) -> Json:
    """What audits compare: attributes by name, custom fields by id."""
    fields = {str(field.id): ticket.fields.get(field.id) for field in account.custom_fields()}
    return {name: getattr(ticket, name) for name in PLAIN.values()} | {"tags": list(ticket.tags)} | fields


def _changes(account: Account, ticket: Ticket, before: Json) -> list[Json]:
    """Audit events for what differs from an earlier snapshot."""
    return [
        {
            "id": next(account.numbers),
            "type": "Change",
            "field_name": name,
            "value": value,
            "previous_value": before[name],
        }
        for name, value in _snapshot(account, ticket).items()
        if value != before[name]
    ]


def _record(
    account: Account, ticket: Ticket, events: list[Json], metadata: object, *, actor_id: int, channel: str
) -> Audit:
    account.changed(ticket)
    kept = metadata if isinstance(metadata, dict) else {}
    audit = Audit(next(account.numbers), actor_id, ticket.updated_at, channel, events, kept)
    ticket.audits.append(audit)
    return audit


def _check_stamp(account: Account, ticket: Ticket, stamp: object) -> None:
    """Refuse when the ticket is newer than the stamp; both to the second, so that the same second collides unseen."""
    if stamp is None:
        return
    try:
        seen = seconds(str(stamp))
    except ValueError:
        raise invalid("updated_stamp", f"Updated stamp: '{stamp}' is not a time") from None
    if int(ticket.updated_at) > seen:
        account.counts["conflicts"] += 1
        raise conflict()


def _plain_changes(attributes: Json) -> Json:
    """The attributes that are not custom fields, checked, under their names in the record."""
    changes = {record: attributes[name] for name, record in PLAIN.items() if name in attributes}
    for name, allowed in ALLOWED.items():
        if name in attributes and str(attributes[name]) not in allowed:
            raise invalid(name, f"{name.capitalize()}: '{attributes[name]}' is not valid")
    if "tags" in attributes:
        tags = attributes["tags"]
        changes["tags"] = list(dict.fromkeys(tags.split() if isinstance(tags, str) else map(str, tags or [])))
    return changes


def _check_assignment(account: Account, ticket: Ticket, changes: Json, actor_id: int) -> None:
    """Who solves what has no assignee becomes it, within ``changes``; no group has an assignee from outside.

    Raises:
        ApiError: 422: an unknown group, an assignee who is not in the group, or solved without an assignee.
    """
    group_id = changes.get("group_id", ticket.group_id)
    if group_id is not None and group_id not in account.groups:
        raise invalid("group", "Group: is invalid")
    if changes.get("status") == "solved" and changes.get("assignee_id", ticket.assignee_id) is None:
        if not account.config.assign_on_solve:
            raise invalid("base", "Assignee: is required when solving a ticket")
        changes["assignee_id"] = actor_id
    assignee_id = changes.get("assignee_id", ticket.assignee_id)
    if group_id is not None and assignee_id is not None and assignee_id not in account.groups[group_id].members:
        raise invalid("assignee", "Assignee: is not a member of the group")


def _field_changes(account: Account, values: object) -> list[tuple[Field, Value]]:
    """The values that are kept: unknown fields and unknown choices fall out here."""
    if not isinstance(values, list):
        raise invalid("custom_fields", "Custom fields: must be a list of id and value")
    kept: list[tuple[Field, Value]] = []
    for entry in values:
        match entry:
            case {"id": int(field_id), "value": value} if field_id in account.fields:
                field = account.fields[field_id]
            case _:
                continue
        if field.custom:
            with suppress(Dropped):
                kept.append((field, accepted(field, value)))
    return kept


def _follow_tags(account: Account, ticket: Ticket) -> None:
    """Overwritten tags carry the choices along: a choice whose tag went is unset, one whose tag came is set."""
    for field in account.custom_fields():
        if field.kind in CHOICE_KINDS:
            present = [tag for tag in ticket.tags if tag in field.tags()]
            value: Value = present if field.kind == "multiselect" else (present[0] if present else None)
            ticket.fields.pop(field.id, None)
            if value:
                ticket.fields[field.id] = value


def _add_comment(account: Account, ticket: Ticket, comment: Json, actor_id: int) -> Json:
    author_id = actor_id if ticket.comments else ticket.requester_id
    public = bool(comment.get("public", True))
    added = Comment(next(account.numbers), author_id, str(comment["body"])[:MAX_BODY], account.now(), public)
    ticket.comments.append(added)
    return {"id": added.id, "type": "Comment", "author_id": author_id, "body": added.body, "public": public}
