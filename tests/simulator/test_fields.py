"""Ticket fields and options through the real client."""

from __future__ import annotations

from typing import Any

import pytest
from zenpy import Zenpy
from zenpy.lib.api_objects import CustomField, CustomFieldOption, Ticket, TicketField
from zenpy.lib.exception import APIException

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running, serving, zenpy_for


def tags(zenpy: Zenpy, field_id: int) -> list[str]:
    return [option.value for option in zenpy.ticket_fields.options(id=field_id)]


def category_of(simulator: Running, ticket_id: int) -> Any:
    return simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]["fields"]["Category"]


def test_the_seeded_fields_stand_beside_the_systems_own(zenpy: Zenpy) -> None:
    kinds = {field.title: field.type for field in zenpy.ticket_fields()}
    assert kinds == {
        "Subject": "subject",
        "Description": "description",
        "Status": "status",
        "Category": "tagger",
        "Presort category": "text",
        "Presort confidence": "decimal",
        "Presort model": "text",
    }


def test_a_field_is_created_with_its_options(zenpy: Zenpy) -> None:
    options = [{"name": "Gold", "value": "plan_gold"}, {"name": "Free", "value": "plan_free"}]
    field = zenpy.ticket_fields.create(TicketField(type="tagger", title="Plan", custom_field_options=options))
    assert zenpy.ticket_fields(id=field.id).title == "Plan"
    assert tags(zenpy, field.id) == ["plan_gold", "plan_free"]


def test_options_are_added_and_renamed_one_by_one(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    before = tags(zenpy, field_id)
    added = zenpy.ticket_fields.options.create_or_update(field_id, CustomFieldOption(name="Refund", value="refund"))
    zenpy.ticket_fields.options.create_or_update(
        field_id, CustomFieldOption(id=added.id, name="Refunds", value="refund")
    )
    assert tags(zenpy, field_id) == [*before, "refund"]
    assert [one.name for one in zenpy.ticket_fields.options(id=field_id)][-1] == "Refunds"


def test_an_option_tag_is_unique_across_fields(zenpy: Zenpy, simulator: Running) -> None:
    field = zenpy.ticket_fields.create(TicketField(type="tagger", title="Plan"))
    for field_id in (field.id, simulator.config.category_field_id):
        with pytest.raises(APIException, match="already used"):
            zenpy.ticket_fields.options.create_or_update(field_id, CustomFieldOption(name="B", value="billing"))


def test_putting_a_field_deletes_the_options_it_omits_and_their_values(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    lost, kept = (simulator.create(fields={"Category": value}) for value in ("billing", "login"))
    answer = simulator.api(
        "PUT",
        f"/ticket_fields/{field_id}",
        {"ticket_field": {"custom_field_options": [{"name": "Login", "value": "login"}]}},
    )
    assert answer.status_code == 200
    assert tags(zenpy, field_id) == ["login"]
    assert (category_of(simulator, lost), category_of(simulator, kept)) == (None, "login")
    assert list(zenpy.tickets(id=lost).tags) == []


def test_deleting_an_option_clears_it_from_tickets(zenpy: Zenpy, simulator: Running) -> None:
    field_id = simulator.config.category_field_id
    ticket_id = simulator.create(fields={"Category": "billing"})
    option = next(one for one in zenpy.ticket_fields.options(id=field_id) if one.value == "billing")
    zenpy.ticket_fields.options.delete(field_id, option)
    assert category_of(simulator, ticket_id) is None


def test_two_thousand_options_are_the_limit(simulator: Running) -> None:
    options = [{"name": f"Option {number}", "value": f"option_{number}"} for number in range(2_001)]
    body = {"ticket_field": {"type": "tagger", "title": "Many", "custom_field_options": options}}
    assert simulator.api("POST", "/ticket_fields", body).status_code == 422


def test_several_choices_and_numbers(zenpy: Zenpy, simulator: Running) -> None:
    options = [{"name": "Red", "value": "red"}, {"name": "Blue", "value": "blue"}]
    field = zenpy.ticket_fields.create(TicketField(type="multiselect", title="Colours", custom_field_options=options))
    ticket_id = simulator.create()
    values = [
        CustomField(id=field.id, value=["red", "green"]),
        CustomField(id=simulator.config.confidence_field_id, value=0.87),
    ]
    zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=values))
    row = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]
    assert (row["fields"]["Colours"], row["fields"]["Presort confidence"], row["tags"]) == (["red"], "0.87", ["red"])
    wrong = [CustomField(id=simulator.config.confidence_field_id, value="high")]
    with pytest.raises(APIException, match="is not a number"):
        zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=wrong))


def test_an_empty_multiselect_is_an_empty_list_and_an_empty_drop_down_null(zenpy: Zenpy, simulator: Running) -> None:
    field = zenpy.ticket_fields.create(TicketField(type="multiselect", title="Colours"))
    values = {one["id"]: one["value"] for one in zenpy.tickets(id=simulator.create()).custom_fields}
    assert (values[field.id], values[simulator.config.category_field_id]) == ([], None)


def test_the_category_may_be_a_multiselect() -> None:
    """Everything that a drop-down category does, with several tags."""
    with serving(SimulatorConfig(category_kind="multiselect", updates_per_minute=1000)) as simulator:
        zenpy, field_id = zenpy_for(simulator), simulator.config.category_field_id
        assert zenpy.ticket_fields(id=field_id).type == "multiselect"
        ticket_id = simulator.create(fields={"Category": ["bug", "billing"]})
        row = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]
        assert (row["fields"]["Category"], sorted(row["tags"])) == (["bug", "billing"], ["billing", "bug"])
        assert row["category"] == "Billing, Something is broken"
        assert simulator.get("/simulator/summary")["tickets"]["filled"] == 1
        refused = simulator.post(f"/simulator/tickets/{ticket_id}/agent", {"Category": ["bug", "bugs"]})
        assert (refused.status_code, "'bugs' is not an option of Category" in refused.text) == (422, True)
        zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=[CustomField(id=field_id, value=["login", "bugs"])]))
        assert category_of(simulator, ticket_id) == ["login"]
        simulator.post(f"/simulator/tickets/{ticket_id}/agent", {"Category": []})
        row = simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]
        assert (row["fields"]["Category"], row["category"], row["tags"]) == (None, None, [])


def test_a_field_of_an_unknown_kind_is_refused_by_name(simulator: Running) -> None:
    answer = simulator.api("POST", "/ticket_fields", {"ticket_field": {"type": "lookup", "title": "Asset"}})
    assert (answer.status_code, "'lookup'" in answer.text) == (422, True)


def test_deleting_a_field_takes_its_values_along(zenpy: Zenpy, simulator: Running) -> None:
    options = [{"name": "Gold", "value": "plan_gold"}]
    field = zenpy.ticket_fields.create(TicketField(type="tagger", title="Plan", custom_field_options=options))
    ticket_id = simulator.create(fields={"Plan": "plan_gold"})
    assert list(zenpy.tickets(id=ticket_id).tags) == ["plan_gold"]
    zenpy.ticket_fields.delete(TicketField(id=field.id))
    assert "Plan" not in simulator.get(f"/simulator/tickets/{ticket_id}")["ticket"]["fields"]
    assert list(zenpy.tickets(id=ticket_id).tags) == []
    with pytest.raises(APIException, match="system field"):
        zenpy.ticket_fields.delete(TicketField(id=360000000091))


def test_a_field_says_to_agents_what_it_is_for(zenpy: Zenpy) -> None:
    field = zenpy.ticket_fields.create(TicketField(type="text", title="Ours", agent_description="For agents"))
    assert [one.agent_description for one in zenpy.ticket_fields(cursor_pagination=2) if one.id == field.id] == [
        "For agents"
    ]
