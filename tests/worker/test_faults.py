"""What a worker makes of each thing that goes wrong in the local Zendesk, through the real zenpy."""

from __future__ import annotations

import pytest

from integration import messages
from tests.simulator.support import eventually
from tests.worker.conftest import ACCOUNT, SURE, Desk

CATEGORY = ACCOUNT.category_title


def break_by(desk: Desk, **faults: object) -> None:
    assert desk.zendesk.post("/simulator/faults", faults).status_code == 200


def hasten(desk: Desk) -> None:
    """Make what waits due now, whatever Zendesk asked for."""
    redis = desk.parts.store.redis
    redis.delete("presort:updates_held")
    for member in redis.zrange(f"presort:later:{messages.WRITE}", 0, -1):
        redis.zadd(f"presort:later:{messages.WRITE}", {str(member): 0})


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
    hasten(desk)
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
    hasten(desk)
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
    desk.zendesk.post(f"/simulator/tickets/{persons.ticket_id}/agent", {CATEGORY: "delivery_delay"})
    desk.settle()
    assert (desk.record(persons).outcome, desk.record(persons).reason) == ("left_alone", "person_set_it")
    assert desk.fields(persons)[CATEGORY] == "delivery_delay"
    assert {(desk.record(one).outcome, desk.fields(one)[CATEGORY]) for one in others} <= {("filled", SURE[2])}


def test_a_job_that_fails_for_some_tickets_ends_with_every_decision_written(desk: Desk) -> None:
    tickets = [desk.file() for _ in range(8)]
    break_by(desk, fail_in_jobs=0.5)
    desk.classify(*tickets)

    def settled() -> bool:
        hasten(desk)
        desk.work()
        depths = desk.parts.store.depths()
        return depths["writes"] + depths["deferred"] == 0

    eventually(settled, within_s=20)
    job, *_ = desk.zendesk.simulation.account.jobs.values()
    assert {one["success"] for one in job.results} == {True, False}
    assert {(desk.record(one).outcome, desk.fields(one)[CATEGORY]) for one in tickets} == {("filled", SURE[2])}
    assert desk.zendesk.get("/simulator/summary")["updates"] == len(tickets)
