"""What a worker makes of each thing that goes wrong in the local Zendesk, through the real zenpy."""

from __future__ import annotations

import time

import msgspec
import pytest

from integration import messages
from integration.zendesk.client import Update
from integration.zendesk.errors import TemporaryError
from tests.simulator.support import eventually
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import writing
from worker.parts import Parts

CATEGORY = ACCOUNT.category_title


def break_by(desk: Desk, **faults: object) -> None:
    assert desk.zendesk.post("/simulator/faults", faults).status_code == 200


@pytest.mark.parametrize(("retry_after", "least", "most"), [(2.5, 2, 2.5), (None, 9, 10)])
def test_a_429_is_waited_out_with_a_fractional_retry_after_and_without_one(
    desk: Desk, retry_after: float | None, least: float, most: float
) -> None:
    ticket = desk.file()
    break_by(desk, rate_limited=60, retry_after=retry_after)
    desk.classify(ticket)
    desk.work()
    assert least < desk.parts.store.updates_held() <= most
    break_by(desk)
    desk.hasten()
    desk.settle()
    assert (desk.record(ticket).outcome, desk.parts.store.parked()) == ("filled", [])


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_outage_is_waited_out(desk: Desk, status: int) -> None:
    ticket = desk.file()
    break_by(desk, status=status)
    desk.classify(ticket)
    desk.work()
    assert desk.parts.store.waiting(messages.WRITE) == 1
    break_by(desk)
    desk.hasten()
    desk.settle()
    assert (desk.record(ticket).outcome, desk.parts.store.parked()) == ("filled", [])


def test_a_revoked_token_is_renewed_once(desk: Desk) -> None:
    before, after = desk.file(), desk.file()
    desk.classify(before)
    desk.settle()
    old = desk.parts.store.token(ACCOUNT.client_id)
    break_by(desk, revoked=True)
    desk.classify(after)
    desk.settle()
    assert (desk.record(after).outcome, desk.parts.store.parked()) == ("filled", [])
    assert list(desk.zendesk.simulation.account.tokens) == [desk.parts.store.token(ACCOUNT.client_id)] != [old]


@pytest.mark.parametrize("count", [1, 5])
def test_collisions_end_in_a_written_field_or_in_a_persons(desk: Desk, count: int) -> None:
    """Of one ticket in a request of its own, and of several in a job."""
    persons, *others = tickets = [desk.file() for _ in range(count)]
    desk.zendesk.clock.advance(60)  # updated_at has a resolution of a second
    break_by(desk, collide=1)

    def collided() -> bool:
        desk.work()
        return bool(desk.zendesk.get("/simulator/summary")["conflicts"] == count)

    desk.classify(*tickets)
    eventually(collided)
    break_by(desk)
    desk.agent_sets(persons, {CATEGORY: "delivery_delay"})
    desk.settle()
    assert (desk.record(persons).outcome, desk.record(persons).reason) == ("left_alone", "person_set_it")
    assert desk.fields(persons)[CATEGORY] == "delivery_delay"
    assert {(desk.record(one).outcome, desk.fields(one)[CATEGORY]) for one in others} <= {("filled", SURE[2])}


def test_a_job_that_fails_for_some_tickets_ends_with_every_decision_written(desk: Desk) -> None:
    tickets = [desk.file() for _ in range(8)]
    break_by(desk, fail_in_jobs=0.5)
    desk.classify(*tickets)

    def settled() -> bool:
        desk.hasten()
        desk.work()
        depths = desk.parts.store.depths()
        return depths["writes"] + depths["deferred"] == 0

    eventually(settled, within_s=20)
    job, *_ = desk.zendesk.simulation.account.jobs.values()
    assert {one["success"] for one in job.results} == {True, False}
    assert {(desk.record(one).outcome, desk.fields(one)[CATEGORY]) for one in tickets} == {("filled", SURE[2])}
    assert desk.zendesk.get("/simulator/summary")["updates"] == len(tickets)


def test_while_zendesk_is_down_decisions_wait(desk: Desk) -> None:
    tickets = [desk.file() for _ in range(3)]
    desk.zendesk.post("/simulator/faults", {"down": True})
    desk.classify(*tickets)
    desk.work()
    assert desk.parts.store.depths()["deferred"] == 3
    assert desk.record(tickets[0]).outcome is None
    assert desk.parts.store.updates_held() > 0
    desk.zendesk.post("/simulator/faults", {})
    desk.hasten()
    desk.settle()
    assert {desk.record(one).outcome for one in tickets} == {"filled"}


def test_a_429_stops_all_writes_for_as_long_as_zendesk_said(desk: Desk) -> None:
    ticket = desk.file()
    desk.zendesk.post("/simulator/faults", {"rate_limited": 1.2})
    desk.classify(ticket)
    desk.work()
    assert desk.parts.store.take_update(60) > 0
    desk.settle()
    assert desk.record(ticket).outcome == "filled"


def test_a_closed_door_is_no_tickets_fault(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Wrong credentials: everything waits, the log says what to mend, and nothing is parked."""
    good = desk.parts.config
    desk.parts.config = msgspec.structs.replace(good, zendesk_client_secret="wrong")
    ticket = desk.file()
    writing.write(desk.parts, [desk.decision(ticket.ticket_id)], has_slot=True)
    assert desk.parts.store.parked() == []
    assert desk.parts.store.updates_held() > 50
    assert "PRESORT_ZENDESK_CLIENT_SECRET" in caplog.text
    mended = Parts(good)
    mended.__dict__["predictors"] = desk.parts.predictors
    desk.parts = mended
    desk.hasten()
    desk.settle()
    assert desk.record(ticket).outcome == "filled"


def test_a_token_that_is_refused_parks_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """All legacy tokens end on one day: what then waits goes on with the OAuth client that takes their place."""
    monkeypatch.setattr("integration.zendesk.session._ClientCredentials._renew", lambda _, response, **__: response)
    desk.parts.store.save_token(ACCOUNT.client_id, "revoked", 60)
    ticket, other = desk.file(), desk.file()
    writing.write(desk.parts, [desk.decision(ticket.ticket_id)], has_slot=True)
    assert desk.parts.store.updates_held() > 50
    desk.parts.store.redis.delete("presort:updates_held")
    desk.classify(msgspec.structs.replace(other, text_known=False))
    assert (desk.parts.store.parked(), desk.parts.store.waiting(messages.CLASSIFY)) == ([], 1)
    desk.parts.store.drop_token(ACCOUNT.client_id)
    desk.hasten()
    desk.work(2)
    assert desk.record(ticket).outcome == "filled"


def test_an_expired_token_is_renewed_once(desk: Desk) -> None:
    ticket = desk.file()
    desk.parts.store.save_token(ACCOUNT.client_id, "stale", 60)
    desk.classify(ticket)
    desk.settle()
    assert desk.record(ticket).outcome == "filled"
    assert desk.parts.store.token(ACCOUNT.client_id) != "stale"


def test_one_ticket_that_zendesk_fails_on_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = desk.file()

    def failing(_: Update) -> object:
        raise TemporaryError("Zendesk answered 500")

    monkeypatch.setattr(desk.parts.zendesk, "update", failing)
    writing.write(desk.parts, [desk.decision(ticket.ticket_id)], has_slot=True)
    assert desk.parts.store.updates_held() == 0
    assert desk.parts.store.waiting(messages.WRITE) == 1


def test_a_silent_zendesk_is_asked_once_not_by_every_batch(desk: Desk) -> None:
    """Who asks waits for the time-out; while it holds, everybody else puts aside at once."""
    tickets = [desk.file() for _ in range(250)]
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, zendesk=msgspec.structs.replace(desk.parts.config.zendesk, timeout_s=0.5)
    )
    desk.zendesk.post("/simulator/faults", {"slow": 30})
    began = time.monotonic()
    writing.write(desk.parts, [desk.decision(one.ticket_id) for one in tickets], has_slot=True)
    assert time.monotonic() - began < 3
    desk.zendesk.post("/simulator/faults", {})
    assert desk.parts.store.waiting(messages.WRITE) == 250


def test_outages_do_not_count_as_failures_of_the_ticket(desk: Desk) -> None:
    ticket = desk.file()
    patient = msgspec.structs.replace(desk.decision(ticket.ticket_id), attempts=50)
    desk.zendesk.post("/simulator/faults", {"down": True})
    writing.write(desk.parts, [patient], has_slot=True)
    assert desk.parts.store.parked() == []
    desk.zendesk.post("/simulator/faults", {})
    desk.hasten()
    desk.settle()
    assert desk.record(ticket).outcome == "filled"
