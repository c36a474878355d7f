"""When decisions come faster than requests may go, full requests carry them."""

from __future__ import annotations

import msgspec

from integration import messages
from integration.messages import Writes
from integration.zendesk.client import BULK
from tests.worker.conftest import ACCOUNT, Desk
from worker import deferred, writing


def test_a_spent_budget_merges_what_waits(desk: Desk) -> None:
    desk.parts.config = msgspec.structs.replace(
        desk.parts.config, zendesk=msgspec.structs.replace(desk.parts.config.zendesk, updates_per_minute=100, share=0.6)
    )
    while desk.parts.store.take_update(60) == 0:
        pass
    tickets = [desk.file() for _ in range(20)]
    for ticket in tickets:
        desk.classify(ticket)
    desk.settle()
    assert {desk.record(one).outcome for one in tickets} == {"filled"}
    requests = desk.zendesk.get("/simulator/summary")["requests"]
    assert sum(count for route, count in requests.items() if route.startswith("PUT")) <= 3


def test_a_crowd_waits_until_its_request_is_full(desk: Desk) -> None:
    """Each request costs four in all, so in a burst few full ones carry what many small ones would."""
    for one in range(deferred.MANY):
        _wait_for_slot(desk, one + 1)
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["writes"] == 0
    for one in range(deferred.MANY, BULK):
        _wait_for_slot(desk, one + 1)
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["writes"] == 1
    assert desk.parts.store.waiting(messages.WRITE) == 0


def test_a_crowd_that_does_not_grow_waits_no_longer(desk: Desk) -> None:
    for one in range(deferred.MANY):
        _wait_for_slot(desk, one + 1, since_s=deferred.FILL_S + 1)
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["writes"] == 1


def test_a_few_do_not_wait_for_more(desk: Desk) -> None:
    for one in range(deferred.MANY - 1):
        _wait_for_slot(desk, one + 1)
    deferred.resume(desk.parts)
    assert desk.parts.store.depths()["writes"] == 1


def test_between_full_requests_single_writes_join_the_next(desk: Desk) -> None:
    for one in range(BULK):
        _wait_for_slot(desk, 1_000 + one)
    deferred.resume(desk.parts)
    desk.parts.store.redis.delete(messages.WRITES_QUEUE)
    ticket = desk.file()
    writing.write(desk.parts, [desk.decision(ticket.ticket_id)], has_slot=False)
    assert desk.parts.store.waiting(messages.WRITE) == 1
    assert desk.fields(ticket)[ACCOUNT.category_title] is None


def _wait_for_slot(desk: Desk, ticket_id: int, *, since_s: float = 0.0) -> None:
    payload = Writes(decisions=(desk.decision(ticket_id),)).to_json()
    desk.parts.store.defer(messages.WRITE, [payload], delay_s=-since_s, reason="update budget")
