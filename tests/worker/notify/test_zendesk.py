"""An alert as a ticket, through the real client, in the local Zendesk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from integration.notices import Notice
from integration.receiver.payloads import parse
from integration.settings import Channel
from integration.simulator.account import ADMINS, AGENT, INTEGRATION, SUPPORT
from integration.simulator.payloads import created_event
from integration.simulator.records import Ticket
from integration.zendesk.alert_tickets import AlertTickets
from tests.simulator.support import Running, serving
from tests.worker.conftest import ACCOUNT, Desk
from tests.worker.notify.support import AT, alert, listening, news, over
from worker.notify.errors import SendError
from worker.notify.kinds import KINDS
from worker.notify.news import Target
from worker.parts import Parts
from worker.writing import take_slot

CHANNEL = Channel(name="desk", kind="zendesk", group_id=ADMINS.id)
send = KINDS["zendesk"].send


@pytest.fixture
def to(parts: Parts) -> Target:
    return Target(CHANNEL, listening(parts, CHANNEL))


def tickets(zendesk: Running) -> list[Ticket]:
    """What the account holds now, as it holds it."""
    return list(zendesk.simulation.account.tickets.values())


def test_an_alert_is_one_ticket_of_the_admins_group(to: Target, zendesk: Running) -> None:
    assert send(to, news(alert(severity="critical"))) == "ticket 1 created"
    (ticket,) = tickets(zendesk)
    assert (ticket.group_id, ticket.external_id, ticket.priority, ticket.kind, ticket.tags) == (
        ADMINS.id,
        "presort-alert-a1",
        "urgent",
        "incident",
        ["presort_alert"],
    )
    assert ticket.subject.startswith("Spike (critical): Orders::Refund, 47 tickets")
    (comment,) = ticket.comments
    assert not comment.public
    assert "https://acme.zendesk.com/agent/tickets/7" in comment.body
    assert (ticket.submitter_id, ticket.requester_id) == (INTEGRATION.id, INTEGRATION.id)


def test_it_is_commented_solved_and_opened_again(to: Target, zendesk: Running) -> None:
    fired = alert()
    send(to, news(fired))
    grown = alert(event="grew", revision=2, news=2, observed=90, severity="critical")
    send(to, news(grown, first=False))
    (ticket,) = tickets(zendesk)
    assert (ticket.status, ticket.priority, len(ticket.comments)) == ("new", "urgent", 2)
    assert ticket.comments[1].body.startswith("Growing (critical): Orders::Refund, 90 tickets")
    ended = over(grown)
    assert send(to, news(ended, first=False)) == "ticket 1 updated, solved"
    assert ticket.status == "solved"
    again = alert(event="reopened", revision=4, news=4)
    assert send(to, news(again, first=False)) == "ticket 1 updated, open"
    assert (ticket.status, len(ticket.comments), len(tickets(zendesk))) == ("open", 4, 1)


def test_a_comment_does_not_open_what_a_person_solved(to: Target, zendesk: Running) -> None:
    send(to, news(alert()))
    zendesk.simulation.update(1, {"status": "solved", "assignee_id": INTEGRATION.id}, actor_id=AGENT.id)
    send(to, news(alert(event="grew", revision=2, news=2), first=False))
    assert tickets(zendesk)[0].status == "solved"


def test_however_often_the_same_is_told_it_stands_there_once(to: Target, zendesk: Running) -> None:
    """After a crash, or an answer that got lost, nobody here knows whether Zendesk has heard."""
    for _ in range(3):
        send(to, news(alert(), again=True))
    grown = alert(event="grew", revision=2, news=2)
    assert send(to, news(grown, first=False)) == "ticket 1 updated"
    assert send(to, news(grown, first=False)) == "ticket 1 says so already"
    (ticket,) = tickets(zendesk)
    assert len(ticket.comments) == 2


def test_two_workers_that_create_at_once_create_one(to: Target, zendesk: Running, monkeypatch: Any) -> None:
    """The list by external id does not show a ticket yet that is being made; the key does."""
    monkeypatch.setattr(AlertTickets, "find", lambda *_: None)
    assert {send(to, news(alert())) for _ in range(2)} == {"ticket 1 created"}
    assert len(tickets(zendesk)) == 1


def test_the_end_of_what_has_no_ticket_makes_none(to: Target, zendesk: Running) -> None:
    assert send(to, news(over(alert()))) == "no ticket, so nothing to solve"
    assert tickets(zendesk) == []


def test_a_closed_ticket_is_history(to: Target, zendesk: Running) -> None:
    send(to, news(alert()))
    zendesk.post("/simulator/tickets/1/close")
    assert send(to, news(alert(event="reopened", revision=3, news=3), first=False)) == "ticket 2 created"


def test_alert_tickets_are_never_sorted(to: Target, zendesk: Running, desk: Desk) -> None:
    """Nor counted: an alert that raised an alert would never end."""
    send(to, news(alert()))
    account = zendesk.simulation.account
    _, delivery = parse(created_event(account, account.tickets[1]), received_at=AT)
    desk.classify(delivery)
    assert (desk.record(delivery).outcome, desk.record(delivery).reason) == ("left_alone", "own_ticket")


def test_a_notice_is_a_ticket_too_once(to: Target, zendesk: Running) -> None:
    post = KINDS["zendesk"].post
    assert post is not None
    notice = Notice(id="n1", title="No longer filled: Orders::Refund", body="60 of 100", at=AT)
    assert post(to, notice, again=False) == "ticket 1 created"
    assert post(to, notice, again=True) == "ticket 1 says so already"
    assert [(one.subject, one.group_id) for one in tickets(zendesk)] == [(notice.title, ADMINS.id)]


def test_whoever_pauses_writes_pauses_these_too(to: Target, zendesk: Running) -> None:
    to.parts.controls.throw(paused=True, by="kim")
    with pytest.raises(SendError, match="writes are paused by kim") as caught:
        send(to, news(alert()))
    assert not caught.value.permanent
    assert tickets(zendesk) == []


def test_updates_are_charged_to_the_accounts_budget(to: Target) -> None:
    send(to, news(alert()))
    limits = msgspec.structs.replace(to.parts.config.zendesk, updates_per_minute=1)
    to.parts.config = msgspec.structs.replace(to.parts.config, zendesk=limits)
    while take_slot(to.parts) == 0:
        pass
    with pytest.raises(SendError, match="update budget") as caught:
        send(to, news(over(alert()), first=False))
    assert (caught.value.permanent, (caught.value.retry_after or 0) > 0) == (False, True)


def test_an_unknown_group_is_for_good_and_named(to: Target) -> None:
    wrong = to._replace(channel=msgspec.structs.replace(CHANNEL, group_id=4711))
    with pytest.raises(SendError, match=r"group_id in presort\.toml") as caught:
        send(wrong, news(alert()))
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500}, "Zendesk answered 500"),
        ({"down": True}, "Zendesk answered 503"),
        ({"rate_limited": 60, "retry_after": 17}, "429"),
    ],
)
def test_zendesks_troubles_pass(to: Target, zendesk: Running, fault: dict[str, object], words: str) -> None:
    zendesk.post("/simulator/faults", fault)
    with pytest.raises(SendError, match=words) as caught:
        send(to, news(alert()))
    assert not caught.value.permanent
    assert caught.value.retry_after == (17 if "retry_after" in fault else None)


def test_a_slow_zendesk_may_have_heard(to: Target, zendesk: Running) -> None:
    quick = msgspec.structs.replace(to.parts.config.zendesk, timeout_s=0.1)
    to.parts.config = msgspec.structs.replace(to.parts.config, zendesk=quick)
    zendesk.post("/simulator/faults", {"slow": 0.4})
    with pytest.raises(SendError, match="cannot be reached") as caught:
        send(to, news(alert()))
    assert (caught.value.permanent, caught.value.perhaps_heard) == (False, True)


def test_refused_credentials_wait_for_a_person(to: Target) -> None:
    to.parts.config = msgspec.structs.replace(to.parts.config, zendesk_client_secret="wrong")
    with pytest.raises(SendError, match="PRESORT_ZENDESK_CLIENT_SECRET") as caught:
        send(to, news(alert()))
    assert not caught.value.permanent


@pytest.fixture
def strict(parts: Parts) -> Iterator[Callable[[Channel], Target]]:
    """The worker in an account where solving needs an assignee."""
    with serving(msgspec.structs.replace(ACCOUNT, assign_on_solve=False)) as running:
        limits = msgspec.structs.replace(parts.config.zendesk, url=running.url)
        parts.config = msgspec.structs.replace(parts.config, zendesk=limits)
        yield lambda channel: Target(channel, listening(parts, channel))


def test_an_account_that_assigns_nobody_says_what_to_change(strict: Callable[[Channel], Target]) -> None:
    to = strict(CHANNEL)
    send(to, news(alert()))
    with pytest.raises(SendError, match="Auto-assign tickets upon solve") as caught:
        send(to, news(over(alert()), first=False))
    assert caught.value.permanent


def test_a_group_without_our_user_says_so_at_the_end(to: Target) -> None:
    foreign = to._replace(channel=msgspec.structs.replace(CHANNEL, group_id=SUPPORT.id))
    send(foreign, news(alert()))
    with pytest.raises(SendError, match="Presort's user is in the group"):
        send(foreign, news(over(alert()), first=False))
