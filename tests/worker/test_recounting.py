"""Hours before counting began come from Zendesk's export: each ticket once, whatever dies or comes in between."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from integration import counting, outcomes, recounts, settings
from integration.cli import main as presort
from integration.recounts import Filed
from integration.simulator.account import AGENT, CUSTOMER, INTEGRATION
from integration.simulator.api import export
from integration.store import DAY, HOUR, Store
from integration.zendesk.client import Page, Ticket
from model_export.bundle.manifest import Label
from tests.conftest import awaited
from tests.simulator.support import Running
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import reconcile, recounting
from worker.answers import answer_of, value_of

FIELD, ANSWER, CONFIDENCE = ACCOUNT.category_field_id, ACCOUNT.predicted_field_id, ACCOUNT.confidence_field_id
EXPORT = "GET /api/v2/incremental/tickets/cursor"
CATEGORIES = ("refund_request", "delivery_delay", "bug_report")

Hours = dict[tuple[int, str], int]


@pytest.fixture
def late(desk: Desk, zendesk: Running, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk; the present is the account's, and a page of the export holds three tickets."""
    desk.parts.clock = zendesk.clock
    monkeypatch.setattr(export, "MAX_PAGE", 3)  # zenpy names no size when it has a cursor
    return desk


def file(zendesk: Running, weeks_ago: float, fields: dict[int, object], **more: object) -> int:
    """A customer's ticket of that time, with fields by id."""
    values = [{"id": field, "value": value} for field, value in fields.items()]
    present, zendesk.clock.offset_s = zendesk.clock.offset_s, zendesk.clock.offset_s - weeks_ago * 7 * DAY
    attributes = {"subject": SURE[0], "description": SURE[1], "custom_fields": values, **more}
    ticket = zendesk.simulation.create(attributes, actor_id=CUSTOMER.id, channel="web")
    zendesk.clock.offset_s = present
    return ticket.id


def history(zendesk: Running) -> None:
    """Thirty tickets of six weeks, of three categories, as people sorted them; some changed again later."""
    ids = [file(zendesk, 6 - one / 5, {FIELD: CATEGORIES[one % 3]}) for one in range(30)]
    for one in ids[::4]:
        zendesk.simulation.update(one, {"priority": "high"}, actor_id=AGENT.id)


def begin(late: Desk) -> None:
    """Counting begins with a new ticket, in the hour before its first whole one."""
    late.classify(late.file())
    late.settle()


def counted(store: Store, zendesk: Running) -> Hours:
    """What the past hours hold."""
    first, last = int(zendesk.clock() // HOUR) - 9 * 168, int(zendesk.clock() // HOUR) + 2
    rows = counting.hours(store.redis, "category", first, last)
    return {(first + place, one): count for place, row in enumerate(rows) for one, count in row.items()}


def true_hours(zendesk: Running, until: float = float("inf")) -> Hours:
    """The same from the account itself: tickets by their value."""
    tickets = zendesk.simulation.account.tickets.values()
    return Counter(
        (int(one.created_at // HOUR), str(one.fields[FIELD]))
        for one in tickets
        if FIELD in one.fields and one.created_at < until and not one.deleted
    )


def look(late: Desk, zendesk: Running, act: Callable[[], object] = lambda: None) -> None:
    """Beat's next message, while ``reconcile`` keeps up."""
    act()
    zendesk.clock.advance(recounting.EVERY_S)
    outcomes.caught_up(late.parts.store.redis, zendesk.clock())
    recounting.recount(late.parts)


def read_all(late: Desk, zendesk: Running, most: int = 300) -> None:
    """Look until nothing is left to read, over the end of the present hour."""
    redis = late.parts.store.redis
    look(late, zendesk)
    while (run := recounts.current(redis)) is not None:
        most -= 1
        assert most, run
        zendesk.clock.advance(max(0.0, run.not_before - zendesk.clock()))
        look(late, zendesk)


def test_at_the_first_start_the_past_is_what_people_made_of_it(late: Desk, zendesk: Running, store: Store) -> None:
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category")
    assert start is not None
    read_all(late, zendesk)
    assert counted(store, zendesk) == true_hours(zendesk, until=start * HOUR)
    assert sum(counted(store, zendesk).values()) == 31
    since = counting.counting_since(store.redis, "category")
    assert since is not None
    assert 55 * 24 <= start - since <= 57 * 24
    newest, *earlier = counting.changes(store.redis, "category")
    assert (newest.kind, newest.detail) == ("rebuilt", "20 tickets on 11 pages of Zendesk's export")
    by_people = next(one for one in earlier if one.kind == "model")
    assert (by_people.at, by_people.detail[:19]) == (start * HOUR, "people's values -> ")
    recounting.recount(late.parts)
    assert recounts.current(store.redis) is None, "and it is not read again"


def test_two_weeks_are_whole_before_the_weeks_before_are_read(late: Desk, zendesk: Running, store: Store) -> None:
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    for _ in range(60):
        look(late, zendesk, lambda: zendesk.clock.advance(600))
        if counting.counting_since(store.redis, "category") != start:
            break
    since = counting.counting_since(store.redis, "category") or 0
    assert 13 * 24 <= start - since <= 15 * 24
    whole = {key: count for key, count in true_hours(zendesk).items() if since <= key[0] < start}
    found = {key: count for key, count in counted(store, zendesk).items() if since <= key[0] < start}
    assert found == whole
    assert len(whole) > 5


def test_an_account_of_very_many_tickets_keeps_to_its_newest_weeks(
    late: Desk, zendesk: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recounting, "MOST_PAGES", 10)
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    read_all(late, zendesk)
    assert 13 * 24 <= start - (counting.counting_since(store.redis, "category") or 0) <= 15 * 24


def lose_redis(late: Desk, zendesk: Running) -> list[int]:
    """Sorted tickets of the last days, then nothing in Redis but a new ticket's decision; the ids of the sorted."""
    tickets = [late.file() for _ in range(8)]
    late.classify(*tickets)
    late.settle()
    for one in tickets:  # as if they had come earlier
        zendesk.simulation.account.tickets[one.ticket_id].created_at -= one.ticket_id * 5 * HOUR
    late.parts.store.redis.flushall()
    begin(late)
    return [one.ticket_id for one in tickets]


def test_after_a_loss_each_ticket_counts_as_presort_sorted_it(late: Desk, zendesk: Running, store: Store) -> None:
    sorted_ = lose_redis(late, zendesk)
    late.agent_sets(late.file(), {ACCOUNT.category_title: "bug_report"})  # files one more, of this hour
    other = sorted_[0]
    zendesk.simulation.update(
        other, {"custom_fields": [{"id": FIELD, "value": "bug_report"}]}, actor_id=AGENT.id, channel="web"
    )
    start = counting.counting_since(store.redis, "category") or 0
    read_all(late, zendesk)
    past = {key: count for key, count in counted(store, zendesk).items() if key[0] < start - 1}
    assert sum(past.values()) == len(sorted_)
    assert {category for _, category in past} == {SURE[2]}, "what it was taken for, not what became of it"
    assert [one.kind for one in counting.changes(store.redis, "category")] == ["rebuilt", "rebuilt"]


STEPS = [
    (recounts, "count"),
    (recounts, "leave_open"),
    (recounts, "save"),
    (recounts, "drop"),
    (counting, "add"),
    (counting, "reach_back"),
    (counting, "mark"),
]


class Killed(BaseException):
    """The worker's process ends."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place", STEPS, ids=[name for _, name in STEPS])
def test_killed_at_any_step_nothing_counts_twice_and_nothing_is_lost(
    late: Desk, zendesk: Running, monkeypatch: pytest.MonkeyPatch, *, place: tuple[Any, str], after: bool
) -> None:
    """Twice in five times that a worker comes there it dies, before or after it did it; all along both passes."""
    store, (module, step) = late.parts.store, place
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    work, dying = getattr(module, step), cycle([True, False, False, True, False])

    def die(*args: Any, **more: Any) -> Any:
        dies = next(dying)
        found = None if dies and not after else work(*args, **more)
        if dies:
            raise Killed
        return found

    monkeypatch.setattr(module, step, die)
    deaths = 0
    for _ in range(200):
        try:
            look(late, zendesk, lambda: zendesk.clock.advance(120))
        except Killed:
            deaths += 1
        reached = start - (counting.counting_since(store.redis, "category") or 0) >= 55 * 24
        if reached and recounts.current(store.redis) is None:
            break
    assert deaths
    assert reached
    assert counted(store, zendesk) == true_hours(zendesk, until=start * HOUR)


def test_a_second_worker_on_the_same_page_counts_nothing_twice(late: Desk, zendesk: Running, store: Store) -> None:
    """The first is slow: its lock ends while Zendesk answers, and another does all there is to do."""
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    look(late, zendesk)
    ask, slow = late.parts.exporting.export, iter(range(1))

    def export_slowly(place: str | int, per_page: int) -> Page:
        page = ask(place, per_page)
        if next(slow, None) is not None:
            store.redis.delete("presort:lock:recount")
            read_all(late, zendesk)
        return page

    late.parts.exporting.__dict__["export"] = export_slowly
    look(late, zendesk)
    read_all(late, zendesk)
    assert counted(store, zendesk) == true_hours(zendesk, until=start * HOUR)


def test_a_ticket_that_changes_while_the_export_is_read_is_found_at_its_end(
    late: Desk, zendesk: Running, store: Store
) -> None:
    """The oldest ones move away from where they would have been read."""
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    ids = iter(sorted(zendesk.simulation.account.tickets)[:30])

    def move() -> None:
        if one := next(ids, None):
            zendesk.simulation.update(one, {"priority": "low"}, actor_id=AGENT.id)

    for _ in range(40):
        look(late, zendesk, move)
    read_all(late, zendesk)
    assert counted(store, zendesk) == true_hours(zendesk, until=start * HOUR)


def test_what_was_undecided_when_it_was_read_counts_when_it_is_decided(
    late: Desk, zendesk: Running, store: Store
) -> None:
    """In shadow mode nothing on the ticket tells of the decision, and the export not at all."""
    (classifier,) = late.parts.config.classifiers
    shadow = (msgspec.structs.replace(classifier, mode="shadow"),)
    late.parts.config = msgspec.structs.replace(late.parts.config, classifiers=shadow)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    waiting = late.file()
    ticket = zendesk.simulation.account.tickets[waiting.ticket_id]
    ticket.created_at = start * HOUR - 2 * HOUR
    awaited(store, ticket.id, ticket.created_at)
    for _ in range(5):
        look(late, zendesk, lambda: zendesk.clock.advance(HOUR))
    assert counting.counting_since(store.redis, "category") == start, "one is not decided yet"
    late.classify(msgspec.structs.replace(waiting, created_at=ticket.created_at, received_at=ticket.created_at))
    read_all(late, zendesk)
    assert counted(store, zendesk)[start - 2, SURE[2]] == 1
    assert (counting.counting_since(store.redis, "category") or 0) < start


@pytest.fixture
def ignoring(late: Desk) -> Desk:
    spikes = msgspec.structs.replace(late.parts.config.spikes, ignored_tags=("imported",))
    late.parts.config = msgspec.structs.replace(late.parts.config, spikes=spikes)
    return late


def test_spam_imports_and_our_own_tickets_are_no_history_and_a_backfill_is(
    ignoring: Desk, zendesk: Running, store: Store
) -> None:
    file(zendesk, 9.0, {FIELD: "bug_report"})
    file(zendesk, 1.5, {FIELD: "bug_report"}, tags=["bug_report", "imported"])
    own = file(zendesk, 1.4, {FIELD: "bug_report"})
    zendesk.simulation.account.tickets[own].submitter_id = INTEGRATION.id
    kept = file(zendesk, 1.3, {FIELD: "bug_report"})
    backfilled = file(zendesk, 1.2, {FIELD: "bug_report", ANSWER: "refund_request", CONFIDENCE: "0.99"})
    zendesk.post(f"/simulator/tickets/{file(zendesk, 1.1, {FIELD: 'bug_report'})}/delete")
    begin(ignoring)
    start = counting.counting_since(store.redis, "category") or 0
    read_all(ignoring, zendesk)
    tickets = zendesk.simulation.account.tickets
    past = {key: count for key, count in counted(store, zendesk).items() if key[0] < start - 1}
    assert past == {
        (int(tickets[kept].created_at // HOUR), "bug_report"): 1,
        (int(tickets[backfilled].created_at // HOUR), "refund_request"): 1,
    }


def test_new_tickets_come_first(late: Desk, zendesk: Running, store: Store) -> None:
    begin(late)
    recounting.recount(late.parts)
    assert EXPORT not in zendesk.get("/simulator/summary")["requests"], "reconcile has never been through"
    outcomes.caught_up(store.redis, zendesk.clock() - 3 * late.parts.config.ledger.every_s)
    recounting.recount(late.parts)
    assert EXPORT not in zendesk.get("/simulator/summary")["requests"], "nor lately"
    outcomes.caught_up(store.redis, zendesk.clock())
    recounting.recount(late.parts)
    assert zendesk.get("/simulator/summary")["requests"][EXPORT] == 1


def test_when_others_use_up_the_limit_it_waits_as_long_as_zendesk_says(
    late: Desk, zendesk: Running, store: Store
) -> None:
    history(zendesk)
    begin(late)
    look(late, zendesk)
    place = recounts.current(store.redis)
    assert place is not None
    zendesk.post("/simulator/faults", {"rate_limited": 45})
    look(late, zendesk)
    zendesk.post("/simulator/faults", {})
    asked = zendesk.get("/simulator/summary")["requests"][EXPORT]
    for _ in range(2):
        look(late, zendesk)
    assert zendesk.get("/simulator/summary")["requests"][EXPORT] == asked
    assert store.updates_held() == 0, "it is no matter of those who write"
    zendesk.clock.advance(30)
    look(late, zendesk)
    found = recounts.current(store.redis)
    assert found is not None
    assert (found.pages, place.pages) == (2, 1)


def test_a_cursor_that_zendesk_does_not_know_begins_the_pass_again(late: Desk, zendesk: Running, store: Store) -> None:
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    look(late, zendesk)
    run = recounts.current(store.redis)
    assert run is not None
    recounts.save(store.redis, msgspec.structs.replace(run, cursor="nonsense"))
    read_all(late, zendesk)
    assert counted(store, zendesk) == true_hours(zendesk, until=start * HOUR)


def test_how_far_it_is_stands_in_the_status(
    late: Desk, zendesk: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(zendesk)
    begin(late)
    for _ in range(3):
        look(late, zendesk)
    run = recounts.current(store.redis)
    assert run is not None
    text = run.describe(zendesk.clock(), "Europe/Berlin")
    assert re.search(r"Zendesk's export: \d\d%, 3 pages, [5-9] tickets, until about 20", text)
    assert text.endswith(("CET", "CEST"))
    monkeypatch.setattr(settings, "load", lambda: late.parts.config)
    line = next(one for one in CliRunner().invoke(presort, ["status"]).output.splitlines() if "past hours" in one)
    assert "category since 20" in line


def test_several_categories_of_one_ticket_are_one_ticket(store: Store) -> None:
    filed = [Filed(1, 7200.0, ("a", "b", "c")), Filed(2, 7300.0, ("a",))]
    assert recounts.count(store.redis, "category", filed) == {1, 2}
    assert recounts.count(store.redis, "category", [*filed, Filed(900_000, 7201.0, ("b",))]) == {900_000}
    (hour,) = counting.hours(store.redis, "category", 2, 3)
    assert hour == {"a": 2, "b": 2, "c": 1, "": -2}
    assert sum(hour.values()) == 3


def delete(zendesk: Running, *ticket_ids: int) -> None:
    """As spam, some time after the export was read; it tells of a change a minute later."""
    for one in ticket_ids:
        zendesk.post(f"/simulator/tickets/{one}/delete")
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)


def reconciled(late: Desk, zendesk: Running) -> None:
    """Beat's messages, until all that is new in the export is read."""
    redis = late.parts.store.redis
    redis.delete("presort:export_read")
    for _ in range(100):
        zendesk.clock.advance(reconcile.PAGE_S)
        reconcile.reconcile(late.parts)
        if outcomes.caught_up_at(redis) is not None:
            return
    raise AssertionError("the export never ends")


def test_what_is_deleted_after_a_rebuild_is_taken_back_once(late: Desk, zendesk: Running, store: Store) -> None:
    history(zendesk)
    answered = file(zendesk, 1.2, {FIELD: "bug_report", ANSWER: "refund_request", CONFIDENCE: "0.99"})
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    read_all(late, zendesk)
    before = counted(store, zendesk)
    hour = int(zendesk.simulation.account.tickets[answered].created_at // HOUR), "refund_request"
    spam = sorted(zendesk.simulation.account.tickets)[3:12]
    delete(zendesk, answered, *spam)
    for _ in range(3):
        reconciled(late, zendesk)
    after = counted(store, zendesk)
    assert before[hour] - after.get(hour, 0) == 1, "it was counted as Presort had answered, and so it is taken back"
    kept = true_hours(zendesk, until=start * HOUR)
    assert {key: count for key, count in after.items() if count} == kept
    assert sum(before.values()) - sum(after.values()) == 10
    assert min(after.values()) >= 0


def test_what_is_deleted_while_the_export_is_read_does_not_count(late: Desk, zendesk: Running, store: Store) -> None:
    """Whether or not its page was read; and whoever notices first, this pass or ``reconcile``."""
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    doomed = iter(sorted(zendesk.simulation.account.tickets)[:30:2])

    def spoil() -> None:
        if one := next(doomed, None):
            delete(zendesk, one)
            if one % 4 == 1:
                reconciled(late, zendesk)

    for _ in range(20):
        look(late, zendesk, spoil)
    read_all(late, zendesk)
    assert {key: count for key, count in counted(store, zendesk).items() if count} == true_hours(
        zendesk, until=start * HOUR
    )


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_it_takes_back_nothing_is_taken_twice(
    late: Desk, zendesk: Running, store: Store, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    history(zendesk)
    begin(late)
    start = counting.counting_since(store.redis, "category") or 0
    read_all(late, zendesk)
    delete(zendesk, *sorted(zendesk.simulation.account.tickets)[:20])
    work, dying = recounts.take_back, cycle([True, False])

    def die(*args: Any) -> Any:
        dies = next(dying)
        found = None if dies and not after else work(*args)
        if dies:
            raise Killed
        return found

    monkeypatch.setattr(recounts, "take_back", die)
    for _ in range(30):
        with suppress(Killed):
            reconciled(late, zendesk)
    assert {key: count for key, count in counted(store, zendesk).items() if count} == true_hours(
        zendesk, until=start * HOUR
    )


def test_what_a_person_moved_since_it_counted_takes_nothing_below_zero(store: Store) -> None:
    """It counted under one category and tells another now: all tickets are right, and none is less than nothing."""
    assert recounts.count(store.redis, "category", [Filed(1, 7200.0, ("a",)), Filed(2, 7200.0, ("b", "c"))]) == {1, 2}
    assert recounts.take_back(store.redis, "category", [Filed(1, 7200.0, ("c", "d"))]) == {1}
    assert recounts.take_back(store.redis, "category", [Filed(1, 7200.0, ("a",)), Filed(3, 7200.0, ("b",))]) == set()
    (hour,) = counting.hours(store.redis, "category", 2, 3)
    assert hour == {"a": 1, "b": 1, "": -1}
    assert sum(hour.values()) == 1


def test_what_was_restored_while_the_export_is_read_counts_again(store: Store) -> None:
    one = [Filed(1, 7200.0, ("a",))]
    for _ in range(2):
        assert recounts.count(store.redis, "category", one) == {1}
        assert recounts.take_back(store.redis, "category", one) == {1}
    assert counting.hours(store.redis, "category", 2, 3) == [{}]


def test_what_waited_for_a_decision_and_was_deleted_is_not_waited_for(store: Store) -> None:
    recounts.leave_open(store.redis, [1, 2])
    recounts.take_back(store.redis, "category", [Filed(1, 7200.0, ())])
    assert recounts.left_open(store.redis) == [2]


LABELS = [Label("refund", "Refund", 0.8), Label("old_money", "Money", 0.8), Label("never", "Never", 1.01)]
ALIASED = settings.Classifier(
    field_id=1,
    prediction_field_id=2,
    confidence_field_id=3,
    bundle="b",
    aliases={"refund": "money_back", "old_money": "money_back"},
)


@pytest.mark.parametrize(
    ("fields", "answer", "value"),
    [
        ({1: "money_back"}, None, ("refund",)),  # of labels that became one option, the first
        ({1: ["money_back", "unknown"]}, None, ("refund",)),
        ({1: "unknown"}, None, ()),
        ({}, None, ()),
        ({1: "money_back", 2: "money_back"}, None, ("refund",)),  # nobody can tell how sure that was
        ({1: "unknown", 2: "money_back", 3: "0.80"}, ("refund",), ()),
        ({1: "money_back", 2: "money_back", 3: "0.79"}, (), ("refund",)),
        ({2: "money_back", 3: 0.795}, ("refund",), ()),  # 0.80 with two decimals
        ({2: "never", 3: "1.00"}, (), ()),  # a label that is never sure
        ({2: "unknown", 3: "0.99"}, (), ()),  # of a model with other labels
        ({2: "money_back, never", 3: "0.90"}, ("refund", "never"), ()),
    ],
)
def test_what_a_ticket_tells(fields: dict[int, object], answer: tuple[str, ...] | None, value: tuple[str, ...]) -> None:
    ticket = Ticket(
        id=1,
        status="open",
        updated_stamp="",
        created_at=0,
        updated_at=0,
        subject=None,
        description=None,
        channel=None,
        submitter_id=None,
        fields=fields,
    )
    assert answer_of(ticket, ALIASED, LABELS) == answer
    assert value_of(ticket, ALIASED, LABELS) == value
