"""Held back: a pause with writes under way, the day's cap across midnight, modes, demotions; on the local Zendesk."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from integration import messages
from integration.cli import main as presort
from integration.messages import NewTicket, Writes
from integration.stream import read
from integration.zendesk.client import Update
from integration.zendesk.errors import PermanentError, TemporaryError
from tests.conftest import awaited
from tests.worker.conftest import ACCOUNT, SURE, Desk, read_message
from worker import deferred, writing

CATEGORY, PREDICTED = ACCOUNT.category_title, ACCOUNT.predicted_title
HOUR = 3600
MIDNIGHT = time.time() // 86_400 * 86_400 + 86_400


def updates(desk: Desk) -> int:
    """Tickets that Presort has updated."""
    return int(desk.zendesk.get("/simulator/summary")["updates"])


def limit(desk: Desk, **more: Any) -> None:
    limits = msgspec.structs.replace(desk.parts.config.zendesk, **more)
    desk.parts.config = msgspec.structs.replace(desk.parts.config, zendesk=limits)


def modes(desk: Desk, **more: Any) -> None:
    (classifier,) = desk.parts.config.classifiers
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, classifiers=(msgspec.structs.replace(classifier, **more),)
    )


def throw(desk: Desk, *, paused: bool) -> None:
    """A person's command, in a process of its own."""
    type(desk.parts.controls)(desk.parts.store.redis).throw(paused=paused, by="anna")


def test_while_paused_tickets_are_sorted_and_every_decision_waits_unharmed(desk: Desk) -> None:
    throw(desk, paused=True)
    tickets = [desk.file() for _ in range(3)]
    for ticket in tickets:
        desk.classify(ticket)
    asked = desk.zendesk.get("/simulator/summary")["requests"]
    desk.work(5)
    assert desk.zendesk.get("/simulator/summary")["requests"] == asked
    assert desk.parts.store.depths() == dict.fromkeys(desk.parts.store.depths(), 0) | {"deferred": 3}
    assert {desk.record(one).decision.category for one in tickets} == {SURE[2]}
    assert desk.parts.store.redis.ttl(f"presort:ticket:{tickets[0].ticket_id}:category") > 30 * 24 * HOUR
    throw(desk, paused=False)
    desk.settle()
    assert updates(desk) == 3
    assert [(desk.record(one).outcome, desk.record(one).decision.attempts) for one in tickets] == [("filled", 0)] * 3


def test_what_a_pause_holds_is_not_taken_for_lost(desk: Desk) -> None:
    """Or it would be asked for anew every two minutes, for days."""
    throw(desk, paused=True)
    ticket = desk.file()
    desk.classify(ticket)
    desk.work()
    awaited(desk.parts.store, ticket.ticket_id, time.time() - HOUR)
    deferred.resume(desk.parts)
    assert desk.parts.store.depths() == dict.fromkeys(desk.parts.store.depths(), 0) | {"deferred": 1}


def test_what_waited_is_written_in_its_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    throw(desk, paused=True)
    tickets = [desk.file() for _ in range(20)]
    for half in (tickets[:10], tickets[10:]):
        desk.classify(*half)
        desk.work()
    throw(desk, paused=False)
    sent: list[list[int]] = []
    update_many = desk.parts.zendesk.update_many

    def noted(updates: list[Update]) -> str:
        sent.append([one.ticket_id for one in updates])
        return update_many(updates)

    monkeypatch.setattr(desk.parts.zendesk, "update_many", noted)
    desk.settle(10)
    assert sent == [[one.ticket_id for one in tickets]]


@pytest.mark.parametrize("count", [1, 4])
def test_a_pause_stops_what_was_read_but_not_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Single updates and bulk jobs alike: the switch is looked at last of all."""
    tickets = [desk.file() for _ in range(count)]
    show_many = desk.parts.zendesk.show_many

    def read_then_pause(ids: list[int]) -> object:
        found = show_many(ids)
        throw(desk, paused=True)
        return found

    monkeypatch.setattr(desk.parts.zendesk, "show_many", read_then_pause)
    desk.classify(*tickets)
    desk.work()
    assert not any(route.startswith("PUT") for route in desk.zendesk.get("/simulator/summary")["requests"])
    assert desk.parts.store.waiting(messages.WRITE) == count
    monkeypatch.undo()
    throw(desk, paused=False)
    desk.settle()
    assert updates(desk) == count


def test_a_bulk_job_that_zendesk_took_before_the_pause_is_followed_to_its_end(desk: Desk) -> None:
    tickets = [desk.file() for _ in range(3)]
    desk.classify(*tickets)
    desk.work()
    assert desk.parts.store.waiting(messages.CONFIRM) == 1
    throw(desk, paused=True)
    desk.settle()
    assert {desk.record(one).outcome for one in tickets} == {"filled"}


def test_a_pause_in_the_settings_holds_too(desk: Desk) -> None:
    limit(desk, paused=True)
    desk.classify(desk.file())
    desk.work(3)
    assert (updates(desk), desk.parts.store.waiting(messages.WRITE)) == (0, 1)


def test_an_idle_worker_keeps_a_pause_that_redis_lost(desk: Desk) -> None:
    throw(desk, paused=True)
    deferred.resume(desk.parts)
    desk.parts.store.redis.flushall()
    desk.classify(desk.file())
    desk.work()
    assert updates(desk) == 0


def test_the_days_cap_ends_at_midnight_and_loses_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    limit(desk, writes_per_day=4)
    desk.parts.clock = lambda: MIDNIGHT - 1
    tickets = [desk.file() for _ in range(11)]
    desk.classify(*tickets[:3])
    _quiet(desk)
    desk.classify(*tickets[3:])
    _quiet(desk)
    assert updates(desk) == 4
    assert desk.parts.store.waiting(messages.WRITE) == 7
    assert caplog.text.count("the cap of 4 tickets a day is reached: decisions wait until 00:00 UTC") == 1
    desk.parts.clock = lambda: MIDNIGHT
    _quiet(desk)
    assert updates(desk) == 8
    desk.parts.clock = lambda: MIDNIGHT + 24 * HOUR
    desk.settle()
    assert updates(desk) == 11
    assert {desk.record(one).outcome for one in tickets} == {"filled"}
    assert {desk.record(one).decision.attempts for one in tickets} == {0}


@pytest.mark.parametrize("error", [TemporaryError("Zendesk answered 503"), PermanentError("Zendesk refused it: 422")])
def test_what_the_cap_held_back_has_no_part_in_a_request_that_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    limit(desk, writes_per_day=2)
    tickets = [desk.file() for _ in range(5)]

    def fail(_: object) -> str:
        raise error

    monkeypatch.setattr(desk.parts.zendesk, "update_many", fail)
    desk.classify(*tickets)
    _, payload = read_message(str(desk.parts.store.redis.rpop(messages.WRITES_QUEUE)))
    writing.write(desk.parts, Writes.from_json(payload).decisions, has_slot=True)
    rows = [json.loads(str(row)) for row in desk.parts.store.redis.zrange("presort:later:presort.write", 0, -1)]
    waiting = [Writes.from_json(row["payload"]).decisions[0] for row in rows]
    assert sorted(one.ticket_id for one in waiting) == sorted(one.ticket_id for one in tickets)
    assert sum(one.attempts + one.collisions > 0 for one in waiting) == 2


def test_a_ticket_tried_twice_counts_once_for_the_day(desk: Desk) -> None:
    limit(desk, writes_per_day=2)
    ticket, other = desk.file(), desk.file()
    desk.zendesk.post("/simulator/faults", {"rate_limited": 0.2})
    desk.classify(ticket)
    desk.work()
    desk.zendesk.post("/simulator/faults", {})
    desk.settle()
    desk.classify(other)
    desk.settle()
    assert {desk.record(one).outcome for one in (ticket, other)} == {"filled"}


@pytest.mark.parametrize("told", [True, False])
def test_a_brand_has_its_own_mode(desk: Desk, *, told: bool) -> None:
    """Whether the webhook tells the brand or the worker reads it."""
    modes(desk, brands={77: "shadow", 78: "suggest"})
    tickets = [desk.file(brand_id=brand) for brand in (77, 78, 79)]
    messages_ = [
        msgspec.structs.replace(ticket, brand_id=brand)
        if told
        else NewTicket(ticket_id=ticket.ticket_id, received_at=time.time())
        for ticket, brand in zip(tickets, (77, 78, 79), strict=True)
    ]
    desk.classify(*messages_)
    desk.settle()
    assert [(desk.record(one).outcome, desk.record(one).reason) for one in tickets] == [
        ("left_alone", "shadow_mode"),
        ("suggested", "suggest_mode"),
        ("filled", "confident"),
    ]
    assert [desk.fields(one)[CATEGORY] for one in tickets] == [None, None, SURE[2]]


def test_a_webhook_that_tells_no_brand_is_held_to_the_tickets_own(desk: Desk) -> None:
    modes(desk, brands={77: "suggest"})
    ticket = desk.file(brand_id=77)
    desk.classify(ticket)
    assert desk.record(ticket).decision.action == "fill"
    desk.settle()
    assert (desk.record(ticket).outcome, desk.fields(ticket)[CATEGORY]) == ("suggested", None)


def test_a_category_has_its_own_mode(desk: Desk) -> None:
    modes(desk, mode="shadow", categories={SURE[2]: "suggest"})
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.fields(ticket)[PREDICTED]) == ("suggested", SURE[2])


def test_a_demoted_category_is_suggested_until_it_is_restored(desk: Desk) -> None:
    desk.parts.controls.demote("category", SURE[2], "50 of 90 right")
    desk.parts.controls.demote("topic", SURE[2], "another classifier's")
    before, after = desk.file(), desk.file()
    desk.classify(before)
    desk.settle()
    assert (desk.record(before).outcome, desk.record(before).reason) == ("suggested", "demoted")
    assert desk.parts.controls.restore("category", SURE[2], by="anna")
    desk.classify(after)
    desk.settle()
    assert desk.record(after).outcome == "filled"


def test_what_waits_obeys_the_modes_of_the_day_it_is_written(desk: Desk) -> None:
    """A pause is for this: a category went wrong, is demoted, and what was decided before must not be filled."""
    throw(desk, paused=True)
    ticket = desk.file()
    desk.classify(ticket)
    desk.work()
    desk.parts.controls.demote("category", SURE[2], "50 of 90 right")
    throw(desk, paused=False)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("suggested", "demoted")
    assert desk.fields(ticket)[CATEGORY] is None


@pytest.mark.parametrize("others", [0, 2])
def test_the_audit_and_the_stream_tell_the_whole_decision(desk: Desk, others: int) -> None:
    ticket, *rest = [desk.file(fields={ACCOUNT.model_title: "typed by hand" + "." * 200}) for _ in range(1 + others)]
    desk.classify(ticket, *rest)
    desk.settle()
    history = desk.zendesk.get(f"/simulator/tickets/{ticket.ticket_id}")["ticket"]["history"]
    (audit,) = [one["metadata"]["presort"]["category"] for one in history if one["metadata"]]
    ended = next(one for one in read(desk.parts.store.redis, 0) if one.record.decision.ticket_id == ticket.ticket_id)
    decision = ended.record.decision
    assert ended.record.outcome == "filled"
    assert audit == {
        "decision": decision.id,
        "model": decision.model,
        "action": "fill",
        "reason": "confident",
        "threshold": decision.threshold,
        "answers": [SURE[2]],
        "top": [list(pair) for pair in decision.top],
        "before": decision.before,
        "backfill": False,
    }
    assert len(decision.top) == 3
    assert decision.before == {
        str(ACCOUNT.category_field_id): None,
        str(ACCOUNT.predicted_field_id): None,
        str(ACCOUNT.confidence_field_id): None,
        str(ACCOUNT.model_field_id): ("typed by hand" + "." * 200)[:100],
    }


def test_what_zendesk_dropped_is_parked_with_its_message_and_can_be_sent_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes(desk, prediction_field_id=999)
    ticket, other = desk.file(), desk.file()
    desk.classify(ticket, other)
    desk.settle()
    (row,) = desk.parts.store.parked()
    assert "Zendesk dropped our value of field 999" in row.reason
    assert [one["ticket_id"] for one in row.payload["decisions"]] == [ticket.ticket_id, other.ticket_id]
    assert {desk.record(one).outcome for one in (ticket, other)} == {"parked"}
    modes(desk, prediction_field_id=ACCOUNT.predicted_field_id)
    _retry_all(tmp_path, monkeypatch, desk)
    desk.settle()
    assert {desk.record(one).outcome for one in (ticket, other)} == {"filled"}
    assert desk.parts.store.parked() == []


def test_a_parked_write_that_is_delivered_again_is_parked_once(desk: Desk) -> None:
    modes(desk, field_id=999)
    ticket = desk.file()
    desk.classify(ticket)
    raw = str(desk.parts.store.redis.lindex(messages.WRITES_QUEUE, 0))
    for _ in range(3):
        desk.work()
        desk.parts.store.redis.lpush(messages.WRITES_QUEUE, raw)
    assert len(desk.parts.store.parked()) == 1
    assert desk.parts.store.funnel()["parked"] == 1


def _retry_all(folder: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """A person types it."""
    path = folder / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    monkeypatch.setenv("PRESORT_CONFIG", str(path))
    monkeypatch.setenv("PRESORT_REDIS_URL", desk.parts.config.redis_url)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "c")
    assert "1 sent again, 0 left alone" in CliRunner().invoke(presort, ["parked", "retry", "--all"]).output


def _quiet(desk: Desk) -> None:
    """Work until everything but what the day's cap holds is done."""
    deadline = time.monotonic() + 6
    desk.work(3)
    while desk.parts.store.depths()["writes"] or desk.parts.store.waiting(messages.CONFIRM):
        assert time.monotonic() < deadline
        desk.work()
