"""Tickets through the real client: what is merged, mirrored, dropped and refused."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import Comment, CustomField, Ticket
from zenpy.lib.exception import APIException, RecordNotFoundException

from integration.simulator.account import Account
from integration.simulator.config import SimulatorConfig
from integration.simulator.tickets import create_ticket
from tests.simulator.support import Receiver, Running, eventually


def field_values(ticket: Any) -> dict[int, Any]:
    return {one["id"]: one["value"] for one in ticket.custom_fields}


def change(ticket_id: int, **attributes: Any) -> Ticket:
    return Ticket(id=ticket_id, **attributes)


def test_a_created_ticket_can_be_shown(zenpy: Zenpy) -> None:
    created = zenpy.tickets.create(Ticket(subject="Printer", comment=Comment(body="It is on fire."))).ticket
    shown = zenpy.tickets(id=created.id)
    assert (
        shown.subject,
        shown.description,
        shown.status,
        shown.via.channel,
    ) == ("Printer", "It is on fire.", "new", "api")


def test_a_new_ticket_was_created_and_changed_in_the_same_moment() -> None:
    """Or one that is filed as a second ends would look as if somebody had edited it already."""
    seconds = itertools.count(1_000.0)
    account = Account(SimulatorConfig(), lambda: next(seconds))
    ticket = create_ticket(account, {"description": "It is on fire."}, actor_id=1, channel="web")
    assert ticket.created_at == ticket.updated_at


def test_show_many_leaves_out_what_is_not_there(zenpy: Zenpy, simulator: Running) -> None:
    first, second = simulator.create(), simulator.create()
    assert [first, second] == [ticket.id for ticket in zenpy.tickets(ids=[first, 999, second])]


def test_show_many_takes_a_hundred_ids(simulator: Running) -> None:
    answer = simulator.api("GET", "/tickets/show_many.json?ids=" + ",".join(map(str, range(1, 102))))
    assert (answer.status_code, answer.json()["error"]) == (400, "TooManyValues")


def test_custom_fields_merge(zenpy: Zenpy, simulator: Running) -> None:
    config = simulator.config
    ticket_id = simulator.create()
    zenpy.tickets.update(change(ticket_id, custom_fields=[CustomField(id=config.model_field_id, value="v7")]))
    audit = zenpy.tickets.update(
        change(ticket_id, custom_fields=[CustomField(id=config.category_field_id, value="billing")])
    )
    assert (
        field_values(audit.ticket)[config.model_field_id],
        field_values(audit.ticket)[config.category_field_id],
    ) == ("v7", "billing")


def test_a_choice_is_mirrored_into_the_tags_and_replaces_the_old_one(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    ticket_id = simulator.create()
    zenpy.tickets.update(change(ticket_id, custom_fields=[CustomField(id=field_id, value="billing")]))
    zenpy.tickets.update(change(ticket_id, custom_fields=[CustomField(id=field_id, value="login")]))
    assert list(zenpy.tickets(id=ticket_id).tags) == ["login"]


def test_tags_overwrite_and_take_the_choice_along(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    ticket_id = simulator.create()
    zenpy.tickets.update(change(ticket_id, custom_fields=[CustomField(id=field_id, value="billing")]))
    zenpy.tickets.update(change(ticket_id, tags=["vip"]))
    shown = zenpy.tickets(id=ticket_id)
    assert (list(shown.tags), field_values(shown)[field_id]) == (["vip"], None)


def test_unknown_choices_fields_and_attributes_are_dropped_with_200(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    unknown = [
        CustomField(id=simulator.config.category_field_id, value="no_such_option"),
        CustomField(id=999, value="x"),
    ]
    audit = zenpy.tickets.update(change(ticket_id, custom_fields=unknown, no_such_attribute="x"))
    assert {None} == set(field_values(audit.ticket).values())
    assert list(audit.audit.events) == []


def test_a_safe_update_with_the_present_stamp_goes_through(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    stamp = zenpy.tickets(id=ticket_id).updated_at
    audit = zenpy.tickets.update(change(ticket_id, subject="Phone", safe_update=True, updated_stamp=stamp))
    assert audit.ticket.subject == "Phone"


def test_a_safe_update_with_an_old_stamp_collides(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    stamp = zenpy.tickets(id=ticket_id).updated_at
    simulator.clock.advance(2)
    simulator.post(f"/simulator/tickets/{ticket_id}/agent", {simulator.config.category_title: "login"})
    with pytest.raises(APIException) as raised:
        zenpy.tickets.update(change(ticket_id, subject="Phone", safe_update=True, updated_stamp=stamp))
    assert (raised.value.response.status_code, raised.value.response.json()["error"]) == (409, "UpdateConflict")
    assert zenpy.tickets(id=ticket_id).subject == "Printer"


def test_a_collision_in_the_same_second_goes_unseen(zenpy: Zenpy, simulator: Running) -> None:
    """``updated_at`` has a resolution of one second, here as there."""
    simulator.clock.offset_s = 1.1 - simulator.clock() % 1
    ticket_id = simulator.create()
    stamp = zenpy.tickets(id=ticket_id).updated_at
    simulator.post(f"/simulator/tickets/{ticket_id}/agent", {simulator.config.category_title: "login"})
    zenpy.tickets.update(change(ticket_id, subject="Phone", safe_update=True, updated_stamp=stamp))


def test_metadata_lands_in_the_audit(zenpy: Zenpy, simulator: Running) -> None:
    config = simulator.config
    ticket_id = simulator.create()
    zenpy.tickets.update(
        change(
            ticket_id,
            custom_fields=[CustomField(id=config.predicted_field_id, value="Billing")],
            metadata={"decision": "d-1"},
        )
    )
    audits = simulator.api("GET", f"/tickets/{ticket_id}/audits.json").json()["audits"]
    assert audits[-1]["metadata"]["custom"] == {"decision": "d-1"}
    assert (str(config.predicted_field_id), None, "Billing") == tuple(
        audits[-1]["events"][0][name] for name in ("field_name", "previous_value", "value")
    )
    assert len(list(zenpy.tickets.audits(ticket=ticket_id))) == 2


def test_the_first_comment_is_the_description(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create(description="It is on fire.")
    zenpy.tickets.update(change(ticket_id, comment=Comment(body="Use the extinguisher.", public=True)))
    bodies = [comment.plain_body for comment in zenpy.tickets.comments(ticket=ticket_id)]
    assert bodies == ["It is on fire.", "Use the extinguisher."]


def test_an_update_bumps_updated_at(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    before = zenpy.tickets(id=ticket_id).updated_at
    simulator.clock.advance(5)
    zenpy.tickets.update(change(ticket_id, priority="high"))
    assert before < zenpy.tickets(id=ticket_id).updated_at


def test_a_closed_ticket_refuses_updates(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    simulator.post(f"/simulator/tickets/{ticket_id}/close")
    with pytest.raises(APIException) as raised:
        zenpy.tickets.update(change(ticket_id, subject="Phone"))
    assert (raised.value.response.status_code, raised.value.response.json()["error"]) == (422, "RecordInvalid")


def test_a_deleted_ticket_is_not_found(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    zenpy.tickets.delete(Ticket(id=ticket_id))
    with pytest.raises(RecordNotFoundException):
        zenpy.tickets(id=ticket_id)
    with pytest.raises(RecordNotFoundException):
        zenpy.tickets.update(change(ticket_id, subject="Phone"))


def test_a_ticket_needs_text(simulator: Running) -> None:
    assert simulator.api("POST", "/tickets", {"ticket": {"subject": "Printer"}}).status_code == 422


def test_paths_work_with_and_without_json(simulator: Running) -> None:
    ticket_id = simulator.create()
    for path in (f"/tickets/{ticket_id}", f"/tickets/{ticket_id}.json"):
        assert ticket_id == simulator.api("GET", path).json()["ticket"]["id"]


def test_urls_lead_back_the_way_the_caller_came(zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create()
    assert f"https://acme.zendesk.com/api/v2/tickets/{ticket_id}.json" == zenpy.tickets(id=ticket_id).url
    assert simulator.api("GET", f"/tickets/{ticket_id}").json()["ticket"]["url"].startswith(simulator.url)


def test_an_imported_ticket_keeps_its_time_and_nobody_is_told(simulator: Running, receiver: Receiver) -> None:
    hook = {"name": "n", "endpoint": receiver.url, "subscriptions": ["zen:event-type:ticket.created"]}
    simulator.api("POST", "/webhooks", {"webhook": hook})
    old = {"subject": "s", "comment": {"body": "b"}, "created_at": "2020-01-02T03:04:05Z", "tags": ["imported"]}
    answer = simulator.api("POST", "/imports/tickets", {"ticket": old})
    assert answer.status_code == 201, answer.text
    ticket = answer.json()["ticket"]
    assert (ticket["created_at"], ticket["tags"]) == ("2020-01-02T03:04:05Z", ["imported"])
    assert ticket["updated_at"] > "2025"
    simulator.create()
    eventually(lambda: receiver.received)
    assert [json.loads(one.body)["detail"]["id"] for one in receiver.received] == [str(ticket["id"] + 1)]
    wrong = simulator.api("POST", "/imports/tickets", {"ticket": old | {"created_at": "yesterday"}})
    assert wrong.status_code == 422


def test_what_is_marked_as_spam_is_deleted(simulator: Running) -> None:
    ticket_id = simulator.create()
    assert simulator.api("PUT", f"/tickets/{ticket_id}/mark_as_spam").status_code == 204
    assert simulator.api("GET", f"/tickets/{ticket_id}").status_code == 404
