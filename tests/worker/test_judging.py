"""What agents made of predictions: counted once a ticket, from what Redis remembers or the ticket's history."""

from __future__ import annotations

import msgspec
import pytest

from integration import outcomes
from integration.messages import NewTicket
from integration.outcomes import Counts
from integration.simulator.account import AGENT, INTEGRATION
from integration.store import Store
from tests.simulator.support import Running
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import judging, reconcile
from worker.setbacks import HOLD_S

CATEGORY = ACCOUNT.category_field_id
RIGHT, WRONG = SURE[2], "invoice_question"
AUDITS = "GET /api/v2/tickets/<int:ticket_id>/audits"


@pytest.fixture
def late(desk: Desk, zendesk: Running) -> Desk:
    """The desk, with the account's clock."""
    desk.parts.clock = zendesk.clock
    assert {RIGHT, WRONG} < {tag for tag, _ in ACCOUNT.options}
    return desk


def sorted_ticket(desk: Desk) -> NewTicket:
    """A customer's ticket that Presort has dealt with."""
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    return ticket


def sets(zendesk: Running, ticket: NewTicket, value: str | None, *, channel: str = "web") -> None:
    """An agent in the browser, or whoever comes through the channel, sets the category."""
    values = [{"id": CATEGORY, "value": value}]
    zendesk.simulation.update(ticket.ticket_id, {"custom_fields": values}, actor_id=AGENT.id, channel=channel)


def solve(zendesk: Running, ticket: NewTicket, status: str = "solved") -> None:
    zendesk.simulation.update(ticket.ticket_id, {"status": status}, actor_id=AGENT.id, channel="web")


def look_back(desk: Desk, zendesk: Running) -> dict[str, Counts]:
    """The export is read, solved tickets are looked back at; this month's counts by category."""
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(desk.parts)
    while outcomes.unjudged(desk.parts.store.redis):
        judging.judge(desk.parts)
    found = outcomes.counts(desk.parts.store.redis, "category", outcomes.month_of(zendesk.clock()))
    return {category: counts for (_, category), counts in found.items()}


def test_what_was_written_and_kept(late: Desk, zendesk: Running, store: Store) -> None:
    solve(zendesk, sorted_ticket(late))
    assert look_back(late, zendesk) == {RIGHT: Counts(predicted=1, agreed=1, sure=1, right=1, written=1, kept=1)}
    assert store.funnel()["kept"] == 1
    assert AUDITS not in zendesk.get("/simulator/summary")["requests"], "Redis knew it all"


@pytest.mark.parametrize(("channel", "by"), [("web", "person"), ("rule", "rule"), ("api", "other")])
def test_what_was_changed_into_what_and_by_whom(
    late: Desk, zendesk: Running, store: Store, channel: str, by: str
) -> None:
    ticket = sorted_ticket(late)
    sets(zendesk, ticket, WRONG, channel=channel)
    solve(zendesk, ticket)
    counts = look_back(late, zendesk)[RIGHT]
    assert counts == Counts(predicted=1, sure=1, written=1, changed={(by, WRONG): 1})
    assert outcomes.wrong_examples(store.redis, "category", RIGHT, 5) == [ticket.ticket_id]
    assert store.funnel()["overridden"] == 1


def test_a_trigger_is_told_from_the_agent_who_set_it_off(late: Desk, zendesk: Running) -> None:
    """Its change stands in the audit of the agent's update."""
    ticket = sorted_ticket(late)
    solve(zendesk, ticket)
    zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/trigger", {ACCOUNT.category_title: WRONG})
    assert look_back(late, zendesk)[RIGHT].changed == {("rule", WRONG): 1}


@pytest.mark.parametrize("redis_lost", [False, True])
def test_a_trigger_that_our_own_write_set_off_changed_what_we_wrote(
    late: Desk, zendesk: Running, store: Store, *, redis_lost: bool
) -> None:
    """Both changes stand in the audit of our write."""
    ticket = sorted_ticket(late)
    zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/trigger", {ACCOUNT.category_title: WRONG})
    solve(zendesk, ticket)
    if redis_lost:
        store.redis.flushall()
    assert look_back(late, zendesk)[RIGHT] == Counts(predicted=1, sure=1, written=1, changed={("rule", WRONG): 1})


def test_what_a_trigger_fills_after_our_suggestion_was_not_written_by_us(
    late: Desk, zendesk: Running, store: Store
) -> None:
    suggests = msgspec.structs.replace(late.parts.config.classifiers[0], mode="suggest")
    late.parts.config = msgspec.structs.replace(late.parts.config, classifiers=(suggests,))
    ticket = sorted_ticket(late)
    zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/trigger", {ACCOUNT.category_title: WRONG})
    solve(zendesk, ticket)
    store.redis.flushall()
    assert look_back(late, zendesk)[RIGHT] == Counts(predicted=1, sure=1, instead={("rule", WRONG): 1})


def test_an_answer_that_nobody_could_choose_is_not_held_against_the_model(late: Desk, zendesk: Running) -> None:
    (classifier,) = late.parts.config.classifiers
    gone = msgspec.structs.replace(classifier, aliases={RIGHT: "an_option_that_is_gone"})
    late.parts.config = msgspec.structs.replace(late.parts.config, classifiers=(gone,))
    ticket = sorted_ticket(late)
    assert late.record(ticket).reason == "option_missing"
    sets(zendesk, ticket, WRONG)
    solve(zendesk, ticket)
    assert look_back(late, zendesk) == {}


def test_an_emptied_field_is_a_correction_too(late: Desk, zendesk: Running) -> None:
    ticket = sorted_ticket(late)
    sets(zendesk, ticket, None)
    solve(zendesk, ticket)
    assert look_back(late, zendesk)[RIGHT].changed == {("person", ""): 1}


def test_a_suggestion_is_held_against_what_an_agent_chose(late: Desk, zendesk: Running) -> None:
    late.parts.config = msgspec.structs.replace(
        late.parts.config,
        classifiers=(msgspec.structs.replace(late.parts.config.classifiers[0], mode="suggest"),),
    )
    agreed, otherwise, empty = (sorted_ticket(late) for _ in range(3))
    sets(zendesk, agreed, RIGHT)
    sets(zendesk, otherwise, WRONG)
    for ticket in (agreed, otherwise, empty):
        solve(zendesk, ticket)
    expected = Counts(predicted=2, agreed=1, sure=2, right=1, instead={("person", WRONG): 1})
    assert look_back(late, zendesk) == {RIGHT: expected}, "an empty field says nothing"


@pytest.mark.parametrize("kept", [True, False])
def test_when_redis_has_forgotten_the_ticket_itself_tells(
    late: Desk, zendesk: Running, store: Store, *, kept: bool
) -> None:
    ticket = sorted_ticket(late)
    if not kept:
        sets(zendesk, ticket, WRONG)
    store.redis.flushall()
    solve(zendesk, ticket, "closed")
    counts = look_back(late, zendesk)[RIGHT]
    assert (counts.sure, counts.written, counts.kept) == (1, 1, int(kept))
    assert counts.changed == ({} if kept else {("person", WRONG): 1})
    (model,) = {model for model, _ in outcomes.counts(store.redis, "category", outcomes.month_of(zendesk.clock()))}
    manifest = late.parts.predictors["category"].manifest
    assert model == f"{manifest.name}@{manifest.version}"


def test_a_ticket_counts_once_however_often_it_is_solved(late: Desk, zendesk: Running) -> None:
    ticket = sorted_ticket(late)
    solve(zendesk, ticket)
    look_back(late, zendesk)
    solve(zendesk, ticket, "open")
    solve(zendesk, ticket)
    look_back(late, zendesk)
    solve(zendesk, ticket, "closed")
    assert look_back(late, zendesk)[RIGHT].predicted == 1


def test_what_is_not_solved_any_more_waits_for_its_end(late: Desk, zendesk: Running) -> None:
    ticket = sorted_ticket(late)
    solve(zendesk, ticket)
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(late.parts)
    solve(zendesk, ticket, "open")
    assert look_back(late, zendesk) == {}
    solve(zendesk, ticket)
    assert look_back(late, zendesk)[RIGHT].predicted == 1


def test_tickets_that_presort_never_saw_are_not_asked_about(late: Desk, zendesk: Running, store: Store) -> None:
    own = zendesk.simulation.create({"subject": "Spike", "description": "Orders"}, actor_id=INTEGRATION.id)
    zendesk.simulation.update(own.id, {"status": "solved"}, actor_id=AGENT.id)
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(late.parts)
    assert outcomes.unjudged(store.redis) == 0


def test_the_budget_for_histories_is_kept(late: Desk, zendesk: Running, store: Store) -> None:
    late.parts.config = msgspec.structs.replace(
        late.parts.config, ledger=msgspec.structs.replace(late.parts.config.ledger, histories_per_minute=8)
    )
    for _ in range(5):
        solve(zendesk, sorted_ticket(late))
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(late.parts)
    judging.judge(late.parts)
    assert outcomes.unjudged(store.redis) == 3, "two a quarter of a minute"


def test_while_zendesk_is_away_nothing_is_forgotten(late: Desk, zendesk: Running, store: Store) -> None:
    solve(zendesk, sorted_ticket(late))
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    reconcile.reconcile(late.parts)
    zendesk.post("/simulator/faults", {"down": True})
    judging.judge(late.parts)
    assert outcomes.unjudged(store.redis) == 1
    assert 0 < store.updates_held() <= HOLD_S, "and nobody asks again at once"
    store.redis.delete("presort:updates_held")
    zendesk.post("/simulator/faults", {"rate_limited": 600, "retry_after": 300})
    judging.judge(late.parts)
    assert store.updates_held() > 290, "for as long as Zendesk asks"
    zendesk.post("/simulator/faults", {})
    store.redis.delete("presort:updates_held")
    assert look_back(late, zendesk)[RIGHT].kept == 1
