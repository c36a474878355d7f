"""Ticket fields and their options: option tags are unique across fields, and a PUT deletes what it omits."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint

from integration.simulator.account import Account
from integration.simulator.api.gate import only_admins_change
from integration.simulator.api.http import body, caller_host, page
from integration.simulator.errors import ApiError, invalid, not_found
from integration.simulator.records import CHOICE_KINDS, CUSTOM_KINDS, Field, Json, Option
from integration.simulator.simulation import simulation
from integration.simulator.tickets import set_field
from integration.simulator.wire import field_json, option_json

routes = Blueprint("fields", __name__)
routes.before_request(only_admins_change)

MAX_OPTIONS = 2_000


@routes.get("/ticket_fields")
def list_fields() -> Json:
    """All fields, the system's own among them."""
    account = simulation().account
    with account.lock:
        return page("ticket_fields", list(account.fields.values()), lambda field: field_json(field, caller_host()))


@routes.get("/ticket_fields/<int:field_id>")
def show(field_id: int) -> Json:
    """One field."""
    account = simulation().account
    with account.lock:
        return {"ticket_field": field_json(account.field(field_id), caller_host())}


@routes.post("/ticket_fields")
def create() -> tuple[Json, int]:
    """Create a custom field, with its options when it has some."""
    attributes, account = body("ticket_field"), simulation().account
    kind, title = str(attributes.get("type") or ""), str(attributes.get("title") or "")
    if kind not in CUSTOM_KINDS:
        raise invalid("type", f"Type: '{kind}' is not one of {', '.join(sorted(CUSTOM_KINDS))}")
    if not title:
        raise invalid("title", "Title: cannot be blank")
    with account.lock:
        now, number = account.now(), next(account.numbers)
        field = Field(360000000200 + number, kind, title, now, now, str(attributes.get("description") or ""))
        field.agent_description = str(attributes.get("agent_description") or "")
        field.options = _options(account, field, attributes.get("custom_field_options") or [])
        account.fields[field.id] = field
        return {"ticket_field": field_json(field, caller_host())}, 201


@routes.put("/ticket_fields/<int:field_id>")
def update(field_id: int) -> Json:
    """Update a field; options that the body's list omits are deleted, and their values leave every ticket."""
    attributes, account = body("ticket_field"), simulation().account
    with account.lock:
        field = account.field(field_id)
        if "custom_field_options" in attributes and field.kind in CHOICE_KINDS:
            kept = _options(account, field, attributes["custom_field_options"] or [])
            gone = field.tags() - {option.value for option in kept}
            field.options = kept
            _forget(account, field, gone)
        field.title = str(attributes.get("title") or field.title)
        field.active = bool(attributes.get("active", field.active))
        field.updated_at = account.now()
        return {"ticket_field": field_json(field, caller_host())}


@routes.delete("/ticket_fields/<int:field_id>")
def delete(field_id: int) -> tuple[str, int]:
    """Delete a custom field, and its values from every ticket."""
    account = simulation().account
    with account.lock:
        field = account.field(field_id)
        if not field.custom:
            raise ApiError(422, "RecordInvalid", "a system field cannot be deleted")
        for ticket in account.tickets.values():
            set_field(ticket, field, None)
            account.recount(ticket)
        del account.fields[field_id]
    return "", 204


@routes.get("/ticket_fields/<int:field_id>/options")
def list_options(field_id: int) -> Json:
    """A drop-down's options."""
    account = simulation().account
    with account.lock:
        return page("custom_field_options", account.field(field_id).options, option_json)


@routes.post("/ticket_fields/<int:field_id>/options")
def create_or_update_option(field_id: int) -> tuple[Json, int]:
    """Add one option, or change the one whose id is given; the others stay."""
    attributes, account = body("custom_field_option"), simulation().account
    with account.lock:
        field = account.field(field_id)
        others = [option for option in field.options if option.id != attributes.get("id")]
        updated = len(others) < len(field.options)
        option = _options(account, field, [attributes], others=others)[0]
        if updated:
            field.options = [option if one.id == option.id else one for one in field.options]
        else:
            field.options.append(option)
        return {"custom_field_option": option_json(option)}, 200 if updated else 201


@routes.delete("/ticket_fields/<int:field_id>/options/<int:option_id>")
def delete_option(field_id: int, option_id: int) -> tuple[str, int]:
    """Delete one option, and its value from every ticket."""
    account = simulation().account
    with account.lock:
        field = account.field(field_id)
        option = next((one for one in field.options if one.id == option_id), None)
        if option is None:
            raise not_found()
        field.options.remove(option)
        _forget(account, field, {option.value})
    return "", 204


def _options(account: Account, field: Field, wanted: list[Json], others: Sequence[Option] = ()) -> list[Option]:
    """Options from their JSON, ids kept where they are known.

    Args:
        account: for the tags of other fields.
        field: the field they belong to.
        wanted: objects of name and value, with an id for one that exists.
        others: the field's options that stay beside them.

    Raises:
        ApiError: 422 for a blank name or tag, a tag that is taken, or too many options.
    """
    if len(wanted) + len(others) > MAX_OPTIONS:
        raise invalid("custom_field_options", f"Options: at most {MAX_OPTIONS}")
    taken = {tag for one in account.fields.values() if one.id != field.id for tag in one.tags()}
    taken |= {option.value for option in others}
    known = {option.id for option in field.options}
    options = []
    for entry in wanted:
        name, value = str(entry.get("name") or ""), str(entry.get("value") or "")
        if not name or not value:
            raise invalid("custom_field_options", "Options: each needs a name and a value")
        if value in taken:
            raise invalid("custom_field_options", f"Options: the tag '{value}' is already used by an option")
        taken.add(value)
        options.append(Option(entry["id"] if entry.get("id") in known else next(account.numbers), name, value))
    return options


def _forget(account: Account, field: Field, gone: set[str]) -> None:
    """Take deleted options out of the tickets; it leaves no audit and bumps no ``updated_at``."""
    for ticket in account.tickets.values():
        value = ticket.fields.get(field.id)
        if isinstance(value, str) and value in gone:
            set_field(ticket, field, None)
        elif isinstance(value, list) and gone.intersection(value):
            set_field(ticket, field, [tag for tag in value if tag not in gone] or None)
        else:
            continue
        account.recount(ticket)
