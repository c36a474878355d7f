"""The faults' own count can fail; and one fault is played, with all of Presort's processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults import tally
from benchmarks.faults.scenarios import SCENARIOS
from benchmarks.faults.tally import CATEGORY, Count
from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Running, serving

ACCOUNT = SimulatorConfig()


@pytest.fixture
def zendesk() -> Iterator[Running]:
    with serving(ACCOUNT) as running:
        yield running


def write(zendesk: Running, ticket_id: int, field_id: int, value: str | None) -> None:
    """As Presort does."""
    fields = [{"id": field_id, "value": value}]
    answer = zendesk.api("PUT", f"/tickets/{ticket_id}", {"ticket": {"custom_fields": fields}})
    assert answer.status_code == 200, answer.text


def fill(zendesk: Running, ticket_id: int, value: str | None = "billing") -> None:
    write(zendesk, ticket_id, ACCOUNT.category_field_id, value)


def choose(zendesk: Running, ticket_id: int, value: str | None) -> None:
    """As an agent does."""
    assert zendesk.post(f"/simulator/tickets/{ticket_id}/agent", {CATEGORY: value}).status_code == 200


def counted(zendesk: Running, *ids: int) -> Count:
    return tally.count(tally.read(zendesk.url, ids))


def test_a_written_ticket_and_one_that_a_person_sorted_are_decided(zendesk: Running) -> None:
    filled, suggested, agents, customers = (
        zendesk.create(),
        zendesk.create(),
        zendesk.create(),
        zendesk.create(fields={CATEGORY: "login"}),
    )
    fill(zendesk, filled)
    write(zendesk, suggested, ACCOUNT.predicted_field_id, "billing")
    choose(zendesk, agents, "login")
    found = counted(zendesk, filled, suggested, agents, customers)
    assert (found, found.clean, tally.waiting(zendesk.url)) == (Count(4, 4, 0, 0, 0), True, 0)


def test_a_ticket_that_nobody_sorted_is_lost(zendesk: Running) -> None:
    found = counted(zendesk, zendesk.create())
    assert (found, found.clean, tally.waiting(zendesk.url)) == (Count(1, 0, 1, 0, 0), False, 1)


def test_a_ticket_that_zendesk_does_not_have_is_lost() -> None:
    assert tally.count([None]) == Count(1, 0, 1, 0, 0)


def test_a_second_write_is_counted_even_if_it_changes_nothing(zendesk: Running) -> None:
    ticket = zendesk.create()
    fill(zendesk, ticket)
    fill(zendesk, ticket)
    found = counted(zendesk, ticket)
    assert (found, found.clean) == (Count(1, 1, 0, 1, 0), False)


@pytest.mark.parametrize("ours", ["billing", None])
def test_a_persons_category_that_presort_replaces_or_empties_is_counted(zendesk: Running, ours: str | None) -> None:
    ticket, other = zendesk.create(), zendesk.create(fields={CATEGORY: "login"})
    choose(zendesk, ticket, "login")
    for one in (ticket, other):
        fill(zendesk, one, ours)
    assert counted(zendesk, ticket, other).over_a_person == 2
    assert not counted(zendesk, ticket).clean


def test_a_correction_that_presort_takes_back_is_counted(zendesk: Running) -> None:
    ticket = zendesk.create()
    fill(zendesk, ticket)
    choose(zendesk, ticket, "login")
    fill(zendesk, ticket)
    assert counted(zendesk, ticket) == Count(1, 1, 0, 1, 1)


def test_a_category_that_an_agent_changed_or_emptied_is_nobodys_loss(zendesk: Running) -> None:
    corrected, emptied, before = zendesk.create(), zendesk.create(), zendesk.create()
    for ticket, value in ((corrected, "login"), (emptied, None)):
        fill(zendesk, ticket)
        choose(zendesk, ticket, value)
    choose(zendesk, before, "login")
    choose(zendesk, before, None)
    fill(zendesk, before)
    assert counted(zendesk, corrected, emptied, before) == Count(3, 3, 0, 0, 0)


def test_doubled_and_shuffled_deliveries_write_once(tmp_path: Path) -> None:
    """The whole command, as one types it."""
    command = ["--json", "--only", "deliveries_doubled", "--scale", "0.1", "--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(done.stdout)
    assert row["sent"] == row["decided"] > 10
    assert (row["lost"], row["written_twice"], row["over_a_person"]) == (0, 0, 0)
    assert (tmp_path / "deliveries_doubled" / "receiver.log").read_text(encoding="utf-8").count("duplicate") > 0


def test_every_scenario_is_listed_and_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--list"], capture_output=True, text=True, timeout=60, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SCENARIOS)
    docs = Path("docs/benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in SCENARIOS if f"`{name}`" not in docs] == []
