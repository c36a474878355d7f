"""One ticket's way, step by step; and the messages that wait for a person."""

from __future__ import annotations

import re
import time

import msgspec
import pytest

from integration import counting, feedback, messages, outcomes
from integration.console.tickets import Seen, story, ticket_id
from integration.controls import Controls
from integration.feedback import Feedback
from integration.messages import Decision, NewTicket
from integration.records import Record
from integration.settings import Classifier
from integration.store import Store
from tests.conftest import awaited
from tests.console.conftest import EVIL, LABELS, Visitor
from tests.console.test_categories import MODEL, judgement
from tests.console.test_pages import words
from tests.operating.test_parked import TICKET, park_write, queued
from tests.test_store import decision

CLASSIFIER = Classifier(field_id=1, bundle="b")
AT = 1_780_000_000.0


def told(ticket: int = 7, **more: object) -> Decision:
    """Sure of a refund; filed, heard of 2 s later, decided 1.5 s after that."""
    times = {"created_at": AT, "received_at": AT + 2, "decided_at": AT + 3.5}
    return decision(ticket, top=(("refund", 0.9), ("login", 0.06)), **(times | more))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("4711", 4711),
        ("#4711", 4711),
        ("https://acme.zendesk.com/agent/tickets/4711", 4711),
        ("https://acme.zendesk.com/agent/tickets/4711/", 4711),
        ("", None),
        ("refund", None),
        ("0", None),
        ("47a", None),
        ("99999999999999999999", None),
        ("9223372036854775808", None),
    ],
)
def test_a_number_or_an_address(typed: str, found: int | None) -> None:
    assert ticket_id(typed) == found


def test_the_whole_way_in_its_order() -> None:
    record = Record(decision=told(), outcome="filled", reason="confident", finished_at=AT + 9)
    said = Feedback(
        ticket_id=7,
        classifier="category",
        model="m@1",
        answers=("refund",),
        verdict="corrected",
        into=("login",),
        agent_id=5,
        at=AT + 60,
    )
    found = story(CLASSIFIER, record, Seen(said=said, wrong=True, taken_back=True), LABELS, "done")
    assert [(step.at and step.at - AT, step.what, step.more) for step in found.steps] == [
        (0.0, "The customer filed it", ""),
        (2.0, "Presort heard of it", "2 s later"),
        (3.5, "Decided", "Orders::Refund; m@1, 1.5 s later"),
        (9.0, "Category filled", "the model was sure enough"),
        (60.0, "Agent 5 corrected it to login", "in the sidebar"),
        (None, "Taken back from the counts", "it was spam or an import after all"),
        (None, "Solved, and looked back at", "the answer did not stand in the end"),
    ]
    assert found.now == "Category filled: the model was sure enough."
    assert found.why == "The model was sure enough: 90.0% where 80.0% are needed."
    assert [(one.name, one.probability, one.answered) for one in found.chances] == [
        ("Orders::Refund", 0.9, True),
        ("Login", 0.06, False),
    ]


def test_one_that_was_parked_and_sent_again_has_both_ends() -> None:
    parked = Record(decision=told(), outcome="parked", reason="Zendesk forbids it (403)", finished_at=AT + 9)
    filled = Record(decision=told(), outcome="filled", reason="confident", finished_at=AT + 900)
    found = story(CLASSIFIER, filled, Seen(ends=(parked, filled)), LABELS, None)
    assert [step.what for step in found.steps[3:]] == ["Parked for a person", "Category filled"]


def test_what_is_not_done_yet() -> None:
    waits = story(CLASSIFIER, None, Seen(awaited_since=AT), LABELS, None)
    assert (waits.now, [step.what for step in waits.steps]) == ("It waits to be sorted.", ["The webhook came"])
    assert story(CLASSIFIER, Record(decision=told()), Seen(), LABELS, None).now == "Decided; it waits to be written."
    never = story(CLASSIFIER, Record(decision=told(threshold=1.01)), Seen(), LABELS, None)
    assert never.why.endswith("90.0%, and this category is never filled.")


# The pages


def test_a_search_leads_to_the_ticket(anna: Visitor, store: Store) -> None:
    store.publish_model("category", MODEL)
    store.record([told()], tick_s=60)
    store.finish([(told(), "filled", "confident")])
    feedback.give(
        store.redis,
        Feedback(
            ticket_id=7,
            classifier="category",
            model="m@1",
            answers=("refund",),
            verdict="accepted",
            into=("refund",),
            agent_id=5,
            at=time.time(),
        ),
    )
    outcomes.count(store.redis, [judgement(7, into="login")])
    counting.uncount(store.redis, [told()], tick_s=60)
    answer = anna.get("/tickets/?ticket=%237")
    text = words(answer)
    assert answer.url.endswith("/tickets/7")
    assert "2026-05-28 22:26:40 CEST The customer filed it" in text
    assert "Agent 5 accepted it" in text
    assert "Taken back from the counts" in text
    assert "the answer did not stand" in text
    assert "Orders::Refund the answer 90.0%" in text
    assert 'href="https://acme.zendesk.com/agent/tickets/7"' in answer.text


def test_an_older_one_is_found_among_the_decisions_that_ended(anna: Visitor, store: Store) -> None:
    for one in (told(70), told(7), told(71)):
        store.finish([(one, "suggested", "below_threshold")])
        store.redis.delete(f"presort:ticket:{one.ticket_id}:category")
    text = words(anna.get("/tickets/7"))
    assert "Suggested: the model was not sure enough to fill it." in text
    assert text.count("Suggested") == 2, "as it stands, and as a step"


def test_one_that_waits(anna: Visitor, store: Store) -> None:
    awaited(store, 7, time.time())
    assert "It waits to be sorted." in words(anna.get("/tickets/7"))


def test_nothing_is_known_or_nothing_is_a_number(anna: Visitor) -> None:
    answer = anna.get("/tickets/99")
    assert (answer.status_code, "Presort remembers nothing of it" in words(answer)) == (404, True)
    assert anna.get(f"/tickets/{2**63}").status_code == 404
    answer = anna.get("/tickets/", params={"ticket": f'"><{EVIL}'})
    assert answer.status_code == 400
    assert "it looks like 12345, or the address of a ticket." in words(answer)
    assert EVIL not in answer.text


def test_values_of_fields_are_never_markup(anna: Visitor, store: Store) -> None:
    one = told(before={"101": EVIL}, category=EVIL, model=EVIL)
    store.record([one], tick_s=60)
    store.finish([(one, "parked", EVIL)])
    text = anna.get("/tickets/7").text
    assert text.count("&lt;script&gt;document") >= 4
    assert EVIL not in text


# Parked


def test_parked_ones_are_shown_without_their_text(anna: Visitor, store: Store) -> None:
    assert "Nothing is parked" in words(anna.get("/tickets/"))
    store.park(messages.CLASSIFY, TICKET, f"RuntimeError {EVIL}")
    store.park("?", "My card 4111", "an entry of a queue that is no JSON")
    park_write(store, *range(10, 17))
    answer = anna.get("/tickets/")
    text = words(answer)
    assert "Parked for a person 3" in text
    assert "write decisions , tickets 10 , 11 , 12 , 13 , 14 and 2 more" in text
    assert "It is not shown: it has no form that Presort knows" in text
    assert "&#34;ticket_id&#34;: 5" in answer.text or '"ticket_id": 5' in answer.text
    for secret in ("My card", "is lost", EVIL):
        assert secret not in answer.text
    assert "sort a ticket" in words(anna.get("/tickets/5"))


def test_one_is_sent_again_and_one_is_dropped(anna: Visitor, store: Store) -> None:
    park_write(store, 5)
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    by_task = {row.task: row.id for row in store.parked()}
    text = words(anna.post("/tickets/parked/retry", page="/tickets/", name=by_task[messages.WRITE]))
    assert "1 sent again." in text
    assert [one["decisions"][0]["ticket_id"] for one in queued(store, messages.WRITES_QUEUE)] == [5]
    text = words(anna.post("/tickets/parked/drop", page="/tickets/", name=by_task[messages.CLASSIFY]))
    assert "1 dropped." in text
    assert store.parked() == []
    assert [(one.by, one.what) for one in Controls(store.redis).changes(2)] == [
        ("Anna (console)", f"parked messages dropped: {by_task[messages.CLASSIFY]}"),
        ("Anna (console)", f"parked messages sent again: {by_task[messages.WRITE]}"),
    ]
    again = words(anna.post("/tickets/parked/drop", page="/tickets/", name=by_task[messages.CLASSIFY]))
    assert "0 dropped, 1 not parked any longer." in again


def test_all_are_sent_again_but_what_has_no_form(anna: Visitor, store: Store) -> None:
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    store.park("presort.of_a_newer_release", {"ticket_id": 5}, "a task this release does not know")
    text = words(anna.post("/tickets/parked/retry", page="/tickets/", all="yes"))
    assert "1 sent again, 1 left parked: this release knows no such message." in text
    (sent,) = queued(store, messages.TICKETS_QUEUE)
    assert NewTicket.from_json(sent) == msgspec.convert(TICKET, NewTicket)


def test_nothing_happens_without_a_choice_a_token_or_while_somebody_else_is_at_it(anna: Visitor, store: Store) -> None:
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    (row,) = store.parked()
    assert "Nothing was chosen." in words(anna.post("/tickets/parked/retry", page="/tickets/"))
    assert anna.http.post(f"{anna.url}/tickets/parked/drop", data={"name": row.id}, timeout=10).status_code == 400
    with store.lock("parked", 10) as held:
        assert held
        text = words(anna.post("/tickets/parked/drop", page="/tickets/", name=row.id))
    assert re.search(r"Nothing was done: somebody else sends or drops", text)
    assert store.parked() == [row]
