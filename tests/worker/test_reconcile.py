"""Webhooks get lost and Redis may be; the export finds every ticket, and none is decided or written twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from werkzeug.serving import make_server

from integration import counting, inbox, messages, outcomes, settings
from integration.receiver.app import create_app
from integration.simulator.account import AGENT, CUSTOMER, INTEGRATION
from integration.store import Store
from tests.conftest import SECRET
from tests.simulator.support import Running, eventually, serving
from tests.worker.conftest import ACCOUNT, SURE, Desk, queued
from worker import deferred, reading, reconcile

LAG_S = ACCOUNT.export_lag_s + 1
HOUR = 3600
EXPORT = "GET /api/v2/incremental/tickets/cursor"


@pytest.fixture(scope="module")
def account(redis_url: str) -> Iterator[Running]:
    """An account whose webhook reaches a real receiver."""
    app = create_app(
        settings.Settings(
            zendesk=settings.Zendesk(subdomain="acme", client_id="presort"),
            classifiers=(settings.Classifier(field_id=ACCOUNT.category_field_id, bundle="demo/bundle"),),
            receiver=settings.Receiver(),
            worker=settings.Worker(),
            spikes=settings.Spikes(),
            zendesk_client_secret="c",
            webhook_secrets=(SECRET,),
            redis_url=redis_url,
        )
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.port}/webhooks/zendesk"
    with serving(msgspec.structs.replace(ACCOUNT, webhook_url=url, webhook_secret=SECRET)) as running:
        yield running
    server.shutdown()
    server.server_close()


@pytest.fixture
def late(desk: Desk, zendesk: Running) -> Desk:
    """The desk; what the worker takes for the present is the account's clock, which tests move."""
    desk.parts.clock = zendesk.clock
    return desk


def silence(zendesk: Running, share: float = 1.0) -> None:
    """That share of the webhooks is never delivered."""
    zendesk.post("/simulator/faults", {"drop": share})


def arrived(zendesk: Running) -> None:
    """Wait until every webhook that is not dropped is in the queue."""
    filed = len(zendesk.simulation.account.tickets)
    counts = zendesk.simulation.account.counts
    eventually(lambda: counts["delivered"] + counts["dropped"] == filed)


def other_field(zendesk: Running) -> int:
    """A second drop-down."""
    body = {"ticket_field": {"type": "tagger", "title": "Topic", "custom_field_options": [{"name": "T", "value": "t"}]}}
    return int(zendesk.api("POST", "/ticket_fields", body).json()["ticket_field"]["id"])


def sort(desk: Desk, most: int = 1000) -> None:
    """A worker takes what is in the queue."""
    waiting = queued(desk.parts.store)[:most]
    desk.parts.store.redis.rpop(messages.TICKETS_QUEUE, len(waiting) or 1)
    for start in range(0, len(waiting), 64):
        desk.classify(*waiting[start : start + 64])


def read_export(desk: Desk, zendesk: Running) -> None:
    """Beat's message comes, a minute after everything that happened; and further ones, until there is no more."""
    zendesk.clock.advance(LAG_S)
    redis = desk.parts.store.redis
    redis.delete("presort:export_read")
    while outcomes.caught_up_at(redis) is None:
        reconcile.reconcile(desk.parts)


def decisions_in_audits(zendesk: Running) -> dict[int, int]:
    """How often Presort wrote to each ticket, by its history."""
    tickets = zendesk.simulation.account.tickets.values()
    return {one.id: sum("presort" in audit.metadata for audit in one.audits) for one in tickets}


def test_every_ticket_is_decided_exactly_once_though_webhooks_and_redis_are_lost(
    late: Desk, zendesk: Running, store: Store
) -> None:
    """Four of ten webhooks never come, and Redis is emptied while tickets wait in every place they can wait in."""
    silence(zendesk, 0.4)
    for _ in range(30):
        zendesk.create(*SURE[:2])
    arrived(zendesk)
    sort(late, most=10)
    late.work()  # some are written, or in a bulk job, and some have not even been looked at
    assert store.depths()["tickets"] > 0
    store.redis.flushall()
    for _ in range(30):
        zendesk.create(*SURE[:2])
    arrived(zendesk)
    sort(late)
    late.settle()
    assert set(decisions_in_audits(zendesk).values()) == {0, 1}, "nothing was lost: the test shows nothing"
    for _ in range(2):  # a second look finds nothing more to do
        read_export(late, zendesk)
        sort(late)
        late.settle()
    assert decisions_in_audits(zendesk) == dict.fromkeys(range(1, 61), 1)
    assert {one.fields[ACCOUNT.category_field_id] for one in zendesk.simulation.account.tickets.values()} == {SURE[2]}


def test_a_missed_ticket_is_told_of_as_it_was_filed(late: Desk, zendesk: Running, store: Store) -> None:
    silence(zendesk)
    ticket_id = zendesk.create(*SURE[:2], channel="email")
    read_export(late, zendesk)
    (found,) = queued(store)
    assert (found.ticket_id, found.text_known, found.channel) == (ticket_id, True, "email")
    assert (found.subject, found.description) == SURE[:2]
    assert found.created_at == int(zendesk.simulation.account.tickets[ticket_id].created_at)
    assert store.unanswered(float("inf"), 10) == [(ticket_id, "category", found.received_at)]
    assert store.funnel()["reconciled"] == 1


def test_a_ticket_that_was_parked_is_not_found_missing_again(late: Desk, zendesk: Running, store: Store) -> None:
    """Each time an agent changes it, the export tells of it; it waits for a person, in one copy."""
    silence(zendesk)
    ticket_id = zendesk.create(*SURE[:2])
    read_export(late, zendesk)
    (found,) = queued(store)
    reading.park(late.parts, found, ["category"], "unreadable")
    store.redis.delete(messages.TICKETS_QUEUE)
    zendesk.simulation.update(ticket_id, {"priority": "high"}, actor_id=AGENT.id)
    read_export(late, zendesk)
    assert (queued(store), len(store.parked())) == ([], 1)


def test_what_could_not_be_queued_is_read_again(
    late: Desk, zendesk: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the queue and the cursor repeats a page; it never skips one."""
    silence(zendesk)
    zendesk.create(*SURE[:2])
    zendesk.clock.advance(LAG_S)

    def broken(*_: object) -> None:
        raise RedisConnectionError("Redis is away")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "put", broken)
        with pytest.raises(RedisConnectionError):
            reconcile.reconcile(late.parts)
    assert queued(store) == []
    reconcile.reconcile(late.parts)
    assert len(queued(store)) == 1


def test_a_ticket_whose_webhook_came_is_left_to_it(late: Desk, zendesk: Running, store: Store) -> None:
    zendesk.create(*SURE[:2])
    arrived(zendesk)
    read_export(late, zendesk)
    assert len(queued(store)) == 1


def test_a_webhook_that_comes_after_all_changes_nothing(late: Desk, zendesk: Running) -> None:
    silence(zendesk)
    ticket = late.file()
    read_export(late, zendesk)
    sort(late)
    late.settle()
    late.classify(ticket)
    late.settle()
    assert decisions_in_audits(zendesk) == {ticket.ticket_id: 1}
    assert late.parts.store.funnel()["decided"] == 1


def test_what_carries_our_fields_is_decided_even_when_redis_forgot(late: Desk, zendesk: Running, store: Store) -> None:
    zendesk.create(*SURE[:2])
    arrived(zendesk)
    sort(late)
    late.settle()
    store.redis.flushall()
    read_export(late, zendesk)
    assert queued(store) == []


def test_one_classifiers_missing_decision_does_not_make_anothers_again(
    late: Desk, zendesk: Running, store: Store
) -> None:
    """Redis is lost, and of a classifier in shadow mode a ticket tells nothing; what an agent took back stays so."""
    (first,) = late.parts.config.classifiers
    second = settings.Classifier(name="topic", field_id=other_field(zendesk), bundle=first.bundle, mode="shadow")
    late.parts.config = msgspec.structs.replace(late.parts.config, classifiers=(first, second))
    late.parts.predictors["topic"] = late.parts.predictors["category"]
    ticket_id = zendesk.create(*SURE[:2])
    arrived(zendesk)
    sort(late)
    late.settle()
    emptied = {"custom_fields": [{"id": ACCOUNT.category_field_id, "value": None}]}
    zendesk.simulation.update(ticket_id, emptied, actor_id=AGENT.id, channel="web")
    store.redis.flushall()
    read_export(late, zendesk)
    (found,) = queued(store)
    assert found.classifiers == ("topic",)
    sort(late)
    late.settle()
    assert ACCOUNT.category_field_id not in zendesk.simulation.account.tickets[ticket_id].fields
    assert decisions_in_audits(zendesk) == {ticket_id: 1}
    assert [store.ticket(ticket_id, name) is not None for name in ("category", "topic")] == [False, True]


def test_a_ticket_left_alone_is_decided_as_long_as_redis_remembers(late: Desk, zendesk: Running, store: Store) -> None:
    """In shadow mode nothing of ours is on the ticket."""
    late.parts.config = msgspec.structs.replace(
        late.parts.config,
        classifiers=(msgspec.structs.replace(late.parts.config.classifiers[0], mode="shadow"),),
    )
    zendesk.create(*SURE[:2])
    arrived(zendesk)
    sort(late)
    read_export(late, zendesk)
    assert queued(store) == []


def test_closed_deleted_old_and_own_tickets_are_none_of_its_business(
    late: Desk, zendesk: Running, store: Store
) -> None:
    silence(zendesk)
    simulation = zendesk.simulation
    old = zendesk.create(*SURE[:2])
    zendesk.clock.advance(25 * HOUR)
    simulation.update(old, {"priority": "high"}, actor_id=AGENT.id)
    zendesk.post(f"/simulator/tickets/{zendesk.create(*SURE[:2])}/close")
    zendesk.post(f"/simulator/tickets/{zendesk.create(*SURE[:2])}/delete")
    simulation.create({"subject": "Spike", "description": "Orders"}, actor_id=INTEGRATION.id)
    missed = zendesk.create(*SURE[:2])
    read_export(late, zendesk)
    assert [one.ticket_id for one in queued(store)] == [missed]


def test_the_cursor_survives_and_the_next_look_reads_on(
    late: Desk, zendesk: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "PAGE", 2)
    silence(zendesk)
    for _ in range(3):
        zendesk.create(*SURE[:2])
    zendesk.clock.advance(LAG_S)
    reconcile.reconcile(late.parts)
    assert len(queued(store)) == 2
    assert store.waiting(messages.RECONCILE) == 1, "the next page is asked for"
    reconcile.reconcile(late.parts)
    assert [one.ticket_id for one in queued(store)] == [1, 2, 3]
    assert zendesk.get("/simulator/summary")["requests"][EXPORT] == 2


def test_the_next_page_comes_by_itself(late: Desk, zendesk: Running, store: Store) -> None:
    assert zendesk.url
    store.defer(messages.RECONCILE, [{}], delay_s=0, reason="more pages of the export")
    deferred.resume(late.parts)
    (raw,) = store.redis.lrange(messages.UPKEEP_QUEUE, 0, -1)
    assert json.loads(raw)["headers"]["task"] == messages.RECONCILE


def test_a_cursor_that_zendesk_does_not_know_is_rebuilt(late: Desk, zendesk: Running, store: Store) -> None:
    silence(zendesk)
    zendesk.create(*SURE[:2])
    outcomes.save_cursor(store.redis, "nonsense")
    zendesk.clock.advance(LAG_S)
    reconcile.reconcile(late.parts)
    assert queued(store) == []
    reconcile.reconcile(late.parts)
    assert len(queued(store)) == 1


def counted(store: Store) -> int:
    """Tickets in the ticks of the last hours."""
    last = int(time.time() // 60) + 5
    return sum(one.tickets for one in counting.ticks(store.redis, "category", last - 180, last))


def test_spam_and_what_is_tagged_later_count_no_longer_and_once_only(
    late: Desk, zendesk: Running, store: Store
) -> None:
    """Agents mark as spam after a while, when it has counted."""
    spikes = msgspec.structs.replace(late.parts.config.spikes, ignored_tags=("test_ticket",))
    late.parts.config = msgspec.structs.replace(late.parts.config, spikes=spikes)
    kept, spam, tagged = (zendesk.create(*SURE[:2]) for _ in range(3))
    arrived(zendesk)
    sort(late)
    assert counted(store) == 3
    assert zendesk.api("PUT", f"/tickets/{spam}/mark_as_spam").status_code == 204
    zendesk.simulation.update(tagged, {"tags": ["test_ticket"]}, actor_id=AGENT.id, channel="web")
    for _ in range(2):
        zendesk.simulation.update(kept, {"priority": "high"}, actor_id=AGENT.id)
        read_export(late, zendesk)
        outcomes.save_cursor(store.redis, None)  # and the whole horizon is read again
    assert counted(store) == 1
    assert counting.newest(store.redis, "category", SURE[2], limit=10) == [kept]


def test_an_import_with_a_tag_is_sorted_and_counts_for_nothing(late: Desk, zendesk: Running, store: Store) -> None:
    """The export tells of it as of a ticket whose webhook was lost."""
    spikes = msgspec.structs.replace(late.parts.config.spikes, ignored_tags=("imported",))
    late.parts.config = msgspec.structs.replace(late.parts.config, spikes=spikes)
    zendesk.create(*SURE[:2])
    arrived(zendesk)
    ticket = {"subject": SURE[0], "comment": {"body": SURE[1]}, "requester_id": CUSTOMER.id, "tags": ["imported"]}
    made = zendesk.api("POST", "/imports/tickets", {"ticket": ticket}).json()["ticket"]["id"]
    zendesk.simulation.account.tickets[made].submitter_id = CUSTOMER.id
    read_export(late, zendesk)
    sort(late)
    record = store.ticket(made, "category")
    assert record is not None
    assert (record.decision.sure, record.decision.news) == ((SURE[2],), False)
    assert counted(store) == 1, "the other one"


def test_while_our_user_is_no_admin_the_place_is_kept(late: Desk, zendesk: Running, store: Store) -> None:
    """Who mends the rights a week later loses no week."""
    outcomes.save_cursor(store.redis, "MQ==")
    users = zendesk.simulation.account.users
    users[INTEGRATION.id] = replace(INTEGRATION, role="agent")
    reconcile.reconcile(late.parts)
    assert outcomes.cursor(store.redis) == "MQ=="
    assert zendesk.get("/simulator/summary")["requests"][EXPORT] == 1


@pytest.mark.parametrize("trouble", [{"down": True, "drop": 1.0}, {"rate_limited": 60, "drop": 1.0}])
def test_while_zendesk_does_not_answer_the_place_is_kept(
    late: Desk, zendesk: Running, store: Store, trouble: dict[str, object]
) -> None:
    silence(zendesk)
    zendesk.create(*SURE[:2])
    zendesk.clock.advance(LAG_S)
    zendesk.post("/simulator/faults", trouble)
    reconcile.reconcile(late.parts)
    assert queued(store) == []
    silence(zendesk)
    reconcile.reconcile(late.parts)
    assert len(queued(store)) == 1
