"""``presort parked``: what waits for a person is shown without its text, sent again once, or dropped."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

import msgspec
import pytest

from integration import messages
from integration.messages import NewTicket, Writes
from integration.parking import message_of, tickets_of
from integration.records import Parked
from integration.store import Store
from tests.operating.conftest import Typed
from tests.test_store import decision

TICKET = NewTicket(ticket_id=5, received_at=1.0, subject="My card 4111", description="is lost").to_json()


def queued(store: Store, queue: str) -> list[Any]:
    """Payloads in a queue."""
    rows = store.redis.lrange(queue, 0, -1)
    return [json.loads(base64.b64decode(json.loads(row)["body"]))[0][0] for row in rows]


def park_write(store: Store, *ids: int, reason: str = "Zendesk forbids it (403)") -> Writes:
    """Decisions that a worker gave up on."""
    tired = tuple(decision(one, attempts=3, collisions=9) for one in ids)
    store.record(tired, tick_s=60)
    writes = Writes(decisions=tired)
    store.park(messages.WRITE, writes.to_json(), reason)
    store.finish([(one, "parked", reason) for one in tired])
    return writes


def test_the_list_says_since_when_what_and_why_and_no_text(store: Store, presort: Typed) -> None:
    store.park(messages.CLASSIFY, TICKET, "RuntimeError while classifying")
    park_write(store, *range(10, 17))
    shown = presort("parked", "list")
    first, second, last = shown.output.splitlines()
    assert shown.exit_code == 0
    assert re.match(r"[0-9a-f]{12}  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T \(0 min ago\)  presort.classify", first)
    assert first.endswith("ticket 5  RuntimeError while classifying")
    assert second.endswith("ticket 10, 11, 12, 13, 14 and 2 more  Zendesk forbids it (403)")
    assert last == "2 parked"
    assert "My card" not in shown.output


def test_one_is_shown_whole_but_for_its_text(store: Store, presort: Typed) -> None:
    store.park(messages.CLASSIFY, [TICKET], "RuntimeError")
    (row,) = store.parked()
    shown = presort("parked", "show", row.id).output
    assert '"ticket_id": 5' in shown
    assert "My card" not in shown
    assert "is lost" not in shown
    assert "subject" not in shown


def test_what_has_no_form_is_not_shown_at_all(store: Store, presort: Typed) -> None:
    store.park("?", "My card 4111", "an entry of a queue that is no JSON")
    store.park("presort.of_a_newer_release", {"ticket_id": 5, "text": "My card 4111"}, "a task this release ...")
    for row in store.parked():
        shown = presort("parked", "show", row.id).output
        assert "My card" not in shown
        assert "may hold a ticket's text" in shown
    assert "is not parked" in presort("parked", "show", "0" * 12).output


def test_one_is_sent_again_once_with_nothing_counted_against_it(store: Store, presort: Typed) -> None:
    writes = park_write(store, 5)
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    name = next(row.id for row in store.parked() if row.task == messages.WRITE)
    assert presort("parked", "retry", name, name).output == "1 sent again, 0 left alone\n"
    again = presort("parked", "retry", name)
    assert f"{name}: not parked" in again.output
    assert "0 sent again, 1 left alone" in again.output
    (payload,) = queued(store, messages.WRITES_QUEUE)
    (sent,) = Writes.from_json(payload).decisions
    assert sent == msgspec.structs.replace(writes.decisions[0], attempts=0, collisions=0)
    assert store.unfinished([sent]) == [sent]
    assert [row.task for row in store.parked()] == [messages.CLASSIFY]


def test_all_are_sent_again_that_can_be(store: Store, presort: Typed) -> None:
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    store.park(messages.CLASSIFY, [TICKET | {"ticket_id": 6}], "RuntimeError in a batch")
    body = json.dumps([[TICKET | {"ticket_id": 7}], {}, {"callbacks": None}])
    store.park(messages.CLASSIFY, body, "a task this release does not know")
    store.park(messages.WRITE, {"decisions": [{"id": 5}]}, "unreadable message")
    store.park("presort.of_a_newer_release", TICKET, "a task this release does not know")
    store.park("?", "no form", "an unreadable message")
    result = presort("parked", "retry", "--all")
    assert "4 sent again, 2 left alone" in result.output
    assert result.output.count("it stays parked") == 2
    assert sorted(one["ticket_id"] for one in queued(store, messages.TICKETS_QUEUE)) == [5, 6, 7]
    assert len(queued(store, messages.WRITES_QUEUE)) == 1
    assert presort("parked", "retry", "--all").output.endswith("0 sent again, 2 left alone\n")


def test_one_retry_at_a_time(store: Store, presort: Typed) -> None:
    """Two people who press the same key must not send everything twice."""
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    with store.lock("parked", 10):
        result = presort("parked", "retry", "--all")
    assert result.exit_code == 1
    assert "somebody else sends or drops parked messages" in result.output
    assert queued(store, messages.TICKETS_QUEUE) == []


def test_dropped_is_forgotten(store: Store, presort: Typed) -> None:
    park_write(store, 5)
    (row,) = store.parked()
    assert "1 dropped, 1 left alone" in presort("parked", "drop", row.id, "absent").output
    assert presort("parked", "list").output == "0 parked\n"
    record = store.ticket(5, "category")
    assert record is not None
    assert record.outcome == "parked"


@pytest.mark.parametrize("words", [["retry"], ["drop"], ["retry", "--all", "x"]])
def test_what_is_meant_must_be_said(presort: Typed, words: list[str]) -> None:
    assert presort("parked", *words).exit_code == 2


@pytest.mark.parametrize(
    ("payload", "ids"),
    [
        (TICKET, [5]),
        ({"id": "job", "decisions": [{"ticket_id": 2}, {"ticket_id": 1}, {"ticket_id": 2}, 7]}, [1, 2]),
        ([TICKET], [5]),
        ([[TICKET], {}, {}], [5]),
        (json.dumps([[TICKET], {}, {}]), [5]),
        ("no JSON", []),
        ("[" * 100_000, []),
        ([], []),
        (None, []),
        ({"ticket_id": "5", "decisions": 3}, []),
    ],
)
def test_messages_are_found_however_they_were_parked(payload: object, ids: list[int]) -> None:
    row = Parked(id="x", task="t", payload=payload, reason="r", parked_at=time.time())
    assert tickets_of(row) == ids
    assert (message_of(row) is None) is (payload in ("no JSON", "[" * 100_000, [], None))
