"""Messaging tickets begin with a line of Zendesk's: the customer's own words are read, or waited for."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from integration import messages
from integration.messages import NewTicket
from integration.records import Deferred
from integration.simulator.account import AGENT, CUSTOMER
from tests.conftest import awaited
from tests.worker.conftest import SURE, Desk
from worker import deferred, reading

STUB = ("Conversation with Web User 5a4e", "Conversation with Web User 5a4e")
COMMENTS = "GET /api/v2/tickets/<int:ticket_id>/comments"


def conversation(desk: Desk, *said: str, by: int = CUSTOMER.id) -> NewTicket:
    ticket = desk.file(*STUB, channel="native_messaging")
    for body in said:
        say(desk, ticket, body, by=by)
    return ticket


def say(desk: Desk, ticket: NewTicket, body: str, *, by: int = CUSTOMER.id) -> None:
    message = {"comment": {"body": body}}
    desk.zendesk.simulation.update(ticket.ticket_id, message, actor_id=by, channel="native_messaging")


def put_aside(desk: Desk) -> list[tuple[NewTicket, float]]:
    """Tickets that wait, with the seconds until they are due; they do not wait any longer."""
    key = f"presort:later:{messages.CLASSIFY}"
    rows: Any = desk.parts.store.redis.zrange(key, 0, -1, withscores=True)
    desk.parts.store.redis.delete(key)
    return [
        (NewTicket.from_json(msgspec.json.decode(raw, type=Deferred).payload), due - time.time()) for raw, due in rows
    ]


def asked(desk: Desk) -> int:
    return int(desk.zendesk.get("/simulator/summary")["requests"].get(COMMENTS, 0))


@pytest.mark.parametrize("channel", ["native_messaging", "chat", "sunshine_conversations_api"])
def test_the_customers_messages_are_read_in_place_of_the_stub(desk: Desk, channel: str) -> None:
    ticket = msgspec.structs.replace(conversation(desk, "Hi", SURE[1]), channel=channel)
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).decision.category) == ("filled", SURE[2])


def test_other_tickets_cost_no_such_request(desk: Desk) -> None:
    desk.classify(desk.file())
    assert asked(desk) == 0


def test_an_agents_words_are_not_the_customers(desk: Desk) -> None:
    ticket = conversation(desk, SURE[1], by=AGENT.id)
    desk.classify(ticket)
    assert desk.parts.store.ticket(ticket.ticket_id, "category") is None
    assert [one.looks for one, _ in put_aside(desk)] == [1]


def test_a_silent_customer_is_waited_for_and_heard(desk: Desk) -> None:
    ticket = conversation(desk)
    desk.classify(ticket)
    say(desk, ticket, SURE[1])
    ((again, _),) = put_aside(desk)
    desk.classify(again)
    desk.settle()
    assert desk.record(ticket).decision.category == SURE[2]


def test_the_wait_grows_and_ends_with_stub_text(desk: Desk) -> None:
    """The stub itself is never classified."""
    ticket = again = conversation(desk)
    delays = []
    for _ in range(reading.LOOKS - 1):
        desk.classify(again)
        ((again, delay),) = put_aside(desk)
        delays.append(round(delay))
    desk.classify(again)
    assert delays == [15, 30, 60, 120]
    record = desk.record(ticket)
    assert (record.outcome, record.reason, record.decision.category) == ("left_alone", "stub_text", None)


def test_who_is_waited_for_is_not_missed(desk: Desk) -> None:
    """Nor does one that waits hide another that is lost."""
    ticket, lost = conversation(desk), desk.file()
    long_ago = time.time() - deferred.MISSED_AFTER_S - 1
    for one in (ticket, lost):
        awaited(desk.parts.store, one.ticket_id, long_ago)
    desk.classify(ticket)
    for _ in range(2):
        deferred.resume(desk.parts)
    assert desk.parts.store.depths()["tickets"] == 1
    assert [one.ticket_id for one, _ in put_aside(desk)] == [ticket.ticket_id]


def test_a_deleted_conversation_is_left_alone(desk: Desk) -> None:
    ticket = conversation(desk, SURE[1])
    desk.zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/delete")
    desk.classify(ticket)
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "ticket_deleted")


def test_an_outage_is_asked_once_and_the_others_are_decided(desk: Desk) -> None:
    conversations = [conversation(desk, SURE[1]) for _ in range(3)]
    known = desk.file()
    assert desk.parts.own_user_id
    desk.zendesk.post("/simulator/faults", {"down": True})
    desk.classify(*conversations, known)
    assert desk.parts.store.ticket(known.ticket_id, "category")
    assert asked(desk) == 1
    assert {one.attempts for one, _ in put_aside(desk)} == {1}


def test_zendesk_is_left_in_peace_for_as_long_as_it_asks(desk: Desk) -> None:
    assert desk.parts.own_user_id
    desk.zendesk.post("/simulator/faults", {"rate_limited": 600, "retry_after": 120})
    desk.classify(conversation(desk, SURE[1]))
    assert desk.parts.store.updates_held() > 100
    ((_, delay),) = put_aside(desk)
    assert delay > 100


def test_a_crowd_of_conversations_does_not_hold_the_batch(desk: Desk) -> None:
    conversations = [conversation(desk, SURE[1]) for _ in range(reading.STUBS_AT_ONCE + 2)]
    desk.classify(*conversations)
    assert asked(desk) == reading.STUBS_AT_ONCE
    waiting = put_aside(desk)
    assert len(waiting) == 2
    desk.classify(*(one for one, _ in waiting))
    desk.settle()
    assert {desk.record(one).outcome for one in conversations} == {"filled"}
