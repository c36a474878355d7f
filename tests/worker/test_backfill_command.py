"""``presort backfill``, as a person types it, with a worker beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integration import backfills, settings
from integration.backfill import cli, plan
from integration.cli import main
from integration.simulator.account import INTEGRATION
from integration.zendesk import client
from integration.zendesk.patience import Patience
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import backfilling

SEARCH = "GET /api/v2/search/export"
SETTINGS = f"""
[zendesk]
subdomain = "acme"
client_id = "{ACCOUNT.client_id}"
url = "URL"
[[classifier]]
field_id = {ACCOUNT.category_field_id}
prediction_field_id = {ACCOUNT.predicted_field_id}
bundle = "demo/bundle"
mode = "prefill"
"""


class Person:
    """Types commands; while one waits, the worker works."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.said: list[str] = []

    def type(self, *arguments: str, answer: str | None = None) -> Result:
        """The command with its options; ``answer`` is typed when it asks."""
        return CliRunner().invoke(main, ["backfill", *arguments], input=answer)

    def period(self, *more: str, answer: str | None = None) -> Result:
        """For tickets filed since yesterday."""
        today = datetime.now(UTC)
        since, until = (f"{datetime.fromtimestamp(today.timestamp() + d, UTC):%Y-%m-%d}" for d in (-86_400, 86_400))
        return self.type("--from", since, "--to", until, *more, answer=answer)

    def running(self) -> backfills.Backfill:
        """How far it is."""
        found = backfills.current(self.desk.parts.store.redis)
        assert found is not None
        return found


@pytest.fixture
def person(desk: Desk, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    (tmp_path / "presort.toml").write_text(SETTINGS.replace("URL", desk.zendesk.url))
    monkeypatch.setenv("PRESORT_CONFIG", str(tmp_path / "presort.toml"))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", ACCOUNT.client_secret)
    person = Person(desk)

    def work(_: float) -> None:
        backfilling.go_on(desk.parts, time.time())
        desk.settle()

    waits(person, monkeypatch, work)
    return person


def waits(person: Person, monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    monkeypatch.setattr(cli, "PATIENCE", Patience(say=person.said.append, sleep=sleep))


def old(person: Person, subject: str = SURE[0], description: str = SURE[1], **more: object) -> int:
    return person.desk.zendesk.create(subject, description, **more)


def test_the_plan_says_what_it_costs_and_asks(person: Person) -> None:
    for _ in range(3):
        old(person)
    result = person.period(answer="n\n")
    assert "to sort: 3 tickets, some 6 Zendesk requests, at least 1 min at the allowed rate" in result.output
    assert "Begin?" in result.output
    assert result.exit_code == 1
    assert backfills.current(person.desk.parts.store.redis) is None


def test_it_runs_to_its_end_under_a_bar(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click._termui_impl.isatty", lambda _: True)
    monkeypatch.setattr(backfilling, "BULK", 1)
    ids = [old(person) for _ in range(3)]
    result = person.period(answer="y\n")
    assert result.exit_code == 0, result.output
    assert re.search(r" 1/3  [\d,]+ a minute, 1 min left", result.output)
    assert " 3/3" in result.output
    assert "done, 3 of 3 (100.0%)" in result.output
    assert result.output.rstrip().endswith("filled 3")
    assert all(person.desk.parts.store.ticket(one, "category") for one in ids)


def test_only_open_tickets_of_the_period_with_an_empty_field(person: Person) -> None:
    wanted = old(person)
    old(person, fields={"Category": SURE[2]})
    closed = old(person)
    person.desk.zendesk.post(f"/simulator/tickets/{closed}/close")
    own = {"comment": {"body": "an alert"}}
    person.desk.zendesk.simulation.create(own, actor_id=INTEGRATION.id)
    person.desk.zendesk.clock.advance(3 * 86_400)
    old(person)
    result = person.period("--yes")
    assert "left out: 1, the field has a value" in result.output
    assert "left out: 1, filed by Presort's own user" in result.output
    assert person.running().tickets == 1
    assert person.desk.parts.store.ticket(wanted, "category")


def test_a_query_narrows_it(person: Person) -> None:
    old(person)
    old(person, "Printer", "It is on fire.")
    result = person.period("--yes", "--query", "printer")
    assert "1 of 1" in result.output
    assert "that match 'printer'" in result.output


def test_many_tickets_come_page_by_page_and_limits_are_waited_for(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FOUND", 2)
    for _ in range(5):
        old(person)
    person.desk.zendesk.simulation.account.searches_left.limit = 2
    waits(person, monkeypatch, person.desk.zendesk.clock.advance)
    result = person.period(answer="n\n")
    assert "to sort: 5 tickets" in result.output
    assert "Zendesk asks to wait 60 s" in person.said[0]


def test_nothing_to_do_begins_nothing(person: Person) -> None:
    assert "no ticket to sort" in person.period().output
    assert backfills.current(person.desk.parts.store.redis) is None


def test_ctrl_c_ends_the_watching_only(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    old(person)
    waits(person, monkeypatch, interrupt)
    result = person.period("--yes")
    assert "the workers go on" in result.output
    assert person.running().state == "running"
    assert "one is under way" in person.period("--yes").output


def test_it_is_stopped_and_goes_on(person: Person) -> None:
    backfills.start(person.desk.parts.store.redis, "a test", [old(person) for _ in range(3)], time.time())
    stopped = person.type("--cancel")
    assert "stopped, 0 of 3 (0.0%)" in stopped.output
    assert "`presort backfill --resume` goes on with it" in stopped.output
    assert "stopped, 0 of 3" in person.type("--status").output
    assert "in place of a test: stopped, 0 of 3" in person.period(answer="n\n").output
    resumed = person.type("--resume")
    assert "done, 3 of 3" in resumed.output
    assert "done, 3 of 3" in person.type("--cancel").output  # what is done stays done


@pytest.mark.parametrize(
    "arguments",
    [(), ("--from", "2026-01-01"), ("--status", "--cancel"), ("--from", "2026-01-02", "--to", "2026-01-01")],
)
def test_a_wrong_use_is_explained(person: Person, arguments: tuple[str, ...]) -> None:
    assert person.type(*arguments).exit_code == 2


def test_without_one_it_says_how_to_begin(person: Person) -> None:
    assert "begin one with --from and --to" in person.type("--status").output


@pytest.mark.parametrize(
    ("tickets", "classifiers", "per_minute", "requests", "minutes"),
    [(1, 1, 100, 6, 0.05), (10_000, 1, 100, 600, 5.0), (10_000, 2, 100, 1_200, 10.0), (10_000, 1, 20, 600, 100 / 12)],
)
def test_the_cost_follows_from_the_limits(
    tickets: int, classifiers: int, per_minute: float, requests: int, minutes: float
) -> None:
    limits = settings.Zendesk(subdomain="a", client_id="b", updates_per_minute=per_minute)
    cost = plan.cost(tickets, classifiers, limits)
    assert cost.requests == requests
    assert cost.minutes == pytest.approx(minutes)


def test_the_plan_never_sends_more_requests_than_it_says(person: Person) -> None:
    for _ in range(3):
        old(person)
    person.period("--yes")
    asked = dict(person.desk.zendesk.get("/simulator/summary")["requests"])
    searches = asked.pop(SEARCH)
    assert searches == 1
    once = sum(asked.pop(route, 0) for route in ("GET /api/v2/users/me", "GET /api/v2/ticket_fields/<int:field_id>"))
    assert once > 0
    assert sum(asked.values()) <= plan.REQUESTS_A_BATCH


def test_the_query_is_in_utc() -> None:
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    expected = "created>=2026-01-01T00:00:00Z created<2026-02-01T00:00:00Z status<closed"
    assert plan.query(since, until, None) == expected
    assert plan.query(since, until, "tags:vip") == f"{expected} tags:vip"
