"""Never over a person, never what is not offered, nothing lost: against the local Zendesk, through the real zenpy."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from integration import messages, taxonomy
from integration.messages import Job, Writes
from integration.zendesk.client import Update
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import jobs, setbacks, writing

CATEGORY, PREDICTED = ACCOUNT.category_title, ACCOUNT.predicted_title


def test_a_sure_category_is_filled_with_its_reasons(desk: Desk) -> None:
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    fields = desk.fields(ticket)
    record = desk.record(ticket)
    assert (record.outcome, record.reason) == ("filled", "confident")
    assert fields[CATEGORY] == fields[PREDICTED] == SURE[2]
    assert float(str(fields[ACCOUNT.confidence_title])) == pytest.approx(record.decision.confidence, abs=0.005)
    assert fields[ACCOUNT.model_title] == record.decision.model
    (audit,) = [one for one in _history(desk, ticket.ticket_id) if one["metadata"]]
    assert audit["metadata"]["presort"]["category"]["decision"] == record.decision.id
    assert audit["metadata"]["presort"]["category"]["top"][0][0] == SURE[2]


def test_an_unsure_category_is_only_suggested(desk: Desk) -> None:
    ticket = desk.file()
    writing.write(
        desk.parts, [msgspec.structs.replace(desk.decision(ticket.ticket_id), action="suggest")], has_slot=True
    )
    assert desk.fields(ticket)[CATEGORY] is None
    assert desk.fields(ticket)[PREDICTED] == SURE[2]
    assert desk.record(ticket).outcome == "suggested"


def test_a_persons_value_wins(desk: Desk) -> None:
    ticket = desk.file(fields={CATEGORY: "cancel_subscription" if SURE[2] != "cancel_subscription" else "other"})
    desk.classify(ticket)
    desk.settle()
    assert desk.fields(ticket)[CATEGORY] != SURE[2]
    assert desk.fields(ticket)[PREDICTED] is None
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "person_set_it")


def test_a_person_who_sets_it_between_reading_and_writing_wins(desk: Desk) -> None:
    """The safe update collides (409), is decided again on the ticket as it then stands, and leaves it alone."""
    ticket = desk.file()
    desk.zendesk.clock.advance(5)  # updated_at has a resolution of a second
    desk.after_reading(lambda: desk.agent_sets(ticket, {CATEGORY: "delivery_delay"}))
    desk.classify(ticket)
    desk.settle()
    assert desk.fields(ticket)[CATEGORY] == "delivery_delay"
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "person_set_it")
    assert desk.zendesk.get("/simulator/summary")["conflicts"] == 1


def test_a_collision_over_something_else_is_written_on_the_second_try(desk: Desk) -> None:
    ticket = desk.file()
    desk.zendesk.clock.advance(5)
    desk.after_reading(lambda: desk.agent_sets(ticket, {ACCOUNT.model_title: "touched"}))
    desk.classify(ticket)
    desk.settle()
    assert desk.fields(ticket)[CATEGORY] == SURE[2]
    assert desk.record(ticket).outcome == "filled"


def test_writing_twice_changes_nothing(desk: Desk) -> None:
    ticket = desk.file()
    decision = desk.decision(ticket.ticket_id)
    for _ in range(3):
        writing.write(desk.parts, [decision], has_slot=True)
    assert desk.zendesk.get("/simulator/summary")["updates"] == 1
    assert desk.parts.store.funnel()["filled"] == 1


def test_several_tickets_go_in_one_request(desk: Desk) -> None:
    tickets = [desk.file() for _ in range(30)]
    desk.classify(*tickets)
    desk.settle()
    assert {desk.record(one).outcome for one in tickets} == {"filled"}
    requests = desk.zendesk.get("/simulator/summary")["requests"]
    assert sum(count for route, count in requests.items() if route.startswith("PUT")) == 1


@pytest.mark.parametrize(("act", "reason"), [("close", "ticket_closed"), ("delete", "ticket_deleted")])
@pytest.mark.parametrize("others", [0, 2])
def test_a_ticket_that_was_closed_or_deleted_meanwhile(desk: Desk, act: str, reason: str, others: int) -> None:
    ticket, *rest = [desk.file() for _ in range(1 + others)]
    desk.zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/{act}")
    desk.classify(ticket, *rest)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", reason)
    assert {desk.record(one).outcome for one in rest} <= {"filled"}


@pytest.mark.parametrize(("act", "reason"), [("close", "ticket_closed"), ("delete", "ticket_deleted")])
def test_a_ticket_that_goes_between_reading_and_bulk_writing(desk: Desk, act: str, reason: str) -> None:
    ticket, other = desk.file(), desk.file()
    desk.after_reading(lambda: desk.zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/{act}"))
    desk.classify(ticket, other)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", reason)
    assert desk.record(other).outcome == "filled"


def test_a_category_that_the_field_does_not_offer_is_never_written_and_is_reported(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = desk.file()
    decision = msgspec.structs.replace(desk.decision(ticket.ticket_id), category="no_such_option")
    writing.write(desk.parts, [decision], has_slot=True)
    assert (desk.fields(ticket)[CATEGORY], desk.fields(ticket)[PREDICTED]) == (None, None)
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "option_missing")
    assert "category: its field no longer offers no_such_option (1)" in caplog.text
    assert taxonomy.gone(desk.parts.store.redis, "category") == {"no_such_option": 1}


def test_a_renamed_option_is_filled_through_its_alias(desk: Desk) -> None:
    (classifier,) = desk.parts.config.classifiers
    options = desk.zendesk.simulation.account.fields[ACCOUNT.category_field_id].options
    next(one for one in options if one.value == SURE[2]).value = "money_back"
    aliased = msgspec.structs.replace(classifier, aliases={SURE[2]: "money_back"})
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=(aliased,))
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    assert (desk.fields(ticket)[CATEGORY], desk.fields(ticket)[PREDICTED]) == ("money_back", "money_back")
    assert desk.record(ticket).outcome == "filled"


def test_a_value_that_zendesk_dropped_is_an_error_people_see(desk: Desk) -> None:
    """Zendesk answers 200 to a field it does not know; reading back tells."""
    (classifier,) = desk.parts.config.classifiers
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, classifiers=(msgspec.structs.replace(classifier, prediction_field_id=999),)
    )
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    record = desk.record(ticket)
    assert record.outcome == "parked"
    assert "field 999" in (record.reason or "")


def test_an_update_that_fails_for_ever_is_parked(desk: Desk) -> None:
    """A bot that edits the ticket all the time must not keep a message going round."""
    ticket = desk.file()
    desk.parts.store.record([desk.decision(ticket.ticket_id)], tick_s=60)
    tired = msgspec.structs.replace(desk.decision(ticket.ticket_id), collisions=setbacks.TRIES - 1)
    stale = desk.parts.zendesk.show_many([ticket.ticket_id])
    desk.zendesk.clock.advance(5)
    desk.agent_sets(ticket, {ACCOUNT.model_title: "touched"})
    desk.parts.zendesk.__dict__["show_many"] = lambda _: stale
    writing.write(desk.parts, [tired], has_slot=True)
    (parked,) = desk.parts.store.parked()
    assert "10 times" in parked.reason
    assert desk.record(ticket).outcome == "parked"


def test_a_field_that_does_not_exist_parks_with_the_cure(desk: Desk) -> None:
    """And is not taken for a ticket that was deleted."""
    (classifier,) = desk.parts.config.classifiers
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, classifiers=(msgspec.structs.replace(classifier, field_id=999),)
    )
    ticket = desk.file()
    desk.classify(ticket)
    desk.work()
    (parked,) = desk.parts.store.parked()
    assert "field 999 does not exist" in parked.reason
    assert desk.record(ticket).outcome == "parked"


def test_a_classifier_that_was_taken_out_of_the_settings_parks_its_decisions(desk: Desk) -> None:
    ticket, other = desk.file(), desk.file()
    old = msgspec.structs.replace(desk.decision(other.ticket_id), classifier="topic")
    writing.write(desk.parts, [desk.decision(ticket.ticket_id), old], has_slot=True)
    assert desk.record(ticket).outcome == "filled"
    (parked,) = desk.parts.store.parked()
    assert "'topic' is no longer in presort.toml" in parked.reason


def test_what_breaks_one_write_does_not_take_the_others_along(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tickets = [desk.file() for _ in range(6)]
    poison = tickets[3].ticket_id
    update_many, update = desk.parts.zendesk.update_many, desk.parts.zendesk.update

    def fragile_many(updates: list[Update]) -> str:
        if any(one.ticket_id == poison for one in updates):
            raise KeyError("whatever")
        return update_many(updates)

    def fragile(one: Update) -> object:
        if one.ticket_id == poison:
            raise KeyError("whatever")
        return update(one)

    monkeypatch.setattr(desk.parts.zendesk, "update_many", fragile_many)
    monkeypatch.setattr(desk.parts.zendesk, "update", fragile)
    desk.classify(*tickets)
    desk.settle(15)
    assert {desk.record(one).outcome for one in tickets if one.ticket_id != poison} == {"filled"}
    assert desk.record(tickets[3]).outcome == "parked"
    assert len(desk.parts.store.parked()) == 1


def test_a_decision_that_ended_is_not_written_again(desk: Desk) -> None:
    """The agent cleared the field; the same message again must not fill it."""
    ticket = desk.file()
    decision = desk.decision(ticket.ticket_id)
    writing.write(desk.parts, [decision], has_slot=True)
    desk.zendesk.clock.advance(5)
    cleared = {CATEGORY: None, PREDICTED: None, ACCOUNT.confidence_title: None, ACCOUNT.model_title: None}
    desk.agent_sets(ticket, cleared)
    writing.write(desk.parts, [decision], has_slot=True)
    assert desk.fields(ticket)[CATEGORY] is None


def test_two_workers_write_a_decision_once(desk: Desk) -> None:
    ticket = desk.file()
    decision = desk.decision(ticket.ticket_id)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: writing.write(desk.parts, [decision], has_slot=True), range(8)))
    assert desk.zendesk.get("/simulator/summary")["updates"] == 1
    desk.hasten()
    desk.settle()
    assert desk.zendesk.get("/simulator/summary")["updates"] == 1


@pytest.mark.parametrize("ahead_s", [0, 3600])
def test_a_ticket_edited_this_second_is_left_to_settle(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """``updated_at`` counts seconds: within one, a safe update does not notice the person who came between.

    Whatever the worker's own clock says.
    """
    monkeypatch.setattr(writing, "time", SimpleNamespace(time=lambda: time.time() + ahead_s))
    ticket = desk.file()
    desk.zendesk.clock.advance(-60)
    created = desk.file()
    desk.zendesk.clock.offset_s = 0
    desk.agent_sets(created, {ACCOUNT.model_title: "touched"})
    desk.after_reading(lambda: desk.agent_sets(created, {CATEGORY: "delivery_delay"}))
    desk.classify(ticket, created)
    desk.settle(12)
    assert desk.record(ticket).outcome == "filled"
    assert desk.fields(created)[CATEGORY] == "delivery_delay"
    assert desk.record(created).reason == "person_set_it"


def test_without_fields_of_our_own_there_may_be_nothing_to_write(desk: Desk) -> None:
    (classifier,) = desk.parts.config.classifiers
    bare = msgspec.structs.replace(classifier, prediction_field_id=None, confidence_field_id=None, model_field_id=None)
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=(bare,))
    ticket, other = desk.file(), desk.file()
    unoffered = msgspec.structs.replace(desk.decision(ticket.ticket_id), category="no_such_option")
    unsure = msgspec.structs.replace(desk.decision(other.ticket_id), action="suggest", reason="below_threshold")
    writing.write(desk.parts, [unoffered, unsure], has_slot=True)
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "option_missing")
    assert (desk.record(other).outcome, desk.record(other).reason) == ("left_alone", "nothing_to_write")


def test_one_classifiers_wrong_field_does_not_stop_another(desk: Desk) -> None:
    (classifier,) = desk.parts.config.classifiers
    broken = msgspec.structs.replace(classifier, name="topic", field_id=999)
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=(classifier, broken))
    ticket, other = desk.file(), desk.file()
    lost = msgspec.structs.replace(desk.decision(other.ticket_id), classifier="topic")
    writing.write(desk.parts, [desk.decision(ticket.ticket_id), lost], has_slot=True)
    assert desk.record(ticket).outcome == "filled"
    (parked,) = desk.parts.store.parked()
    assert "field 999 does not exist" in parked.reason


def test_a_single_ticket_closed_between_reading_and_writing(desk: Desk) -> None:
    ticket = desk.file()
    desk.after_reading(lambda: desk.zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/close"))
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "ticket_closed")


def test_an_unreadable_waiting_message_is_parked_and_the_others_go_on(desk: Desk) -> None:
    ticket = desk.file()
    desk.parts.store.defer(messages.WRITE, [{"decisions": [{"id": 5}]}], delay_s=-9, reason="x")
    writes = Writes(decisions=(desk.decision(ticket.ticket_id),)).to_json()
    desk.parts.store.defer(messages.WRITE, [writes], delay_s=-1, reason="x")
    desk.settle()
    assert desk.record(ticket).outcome == "filled"
    assert len(desk.parts.store.parked()) == 1


def test_a_slow_job_is_asked_after_less_and_less_often(desk: Desk) -> None:
    delays = []
    for attempts in range(6):
        desk.parts.store.redis.delete(f"presort:later:{messages.CONFIRM}")
        jobs.poll(desk.parts, Job(id="a", decisions=(), attempts=attempts))
        rows: Any = desk.parts.store.redis.zrange(f"presort:later:{messages.CONFIRM}", 0, -1, withscores=True)
        delays += [round(due - time.time()) for _, due in rows]
    assert delays == [1, 2, 4, 8, 8, 8]


def _history(desk: Desk, ticket_id: int) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = desk.zendesk.get(f"/simulator/tickets/{ticket_id}")["ticket"]["history"]
    return history
