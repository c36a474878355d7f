"""What passes is waited for; what was read so far is neither lost nor repeated."""

from __future__ import annotations

import stat

import pytest

from integration.export.part import Part, opened
from integration.simulator.api import export
from integration.zendesk.patience import TRIES
from model_export.dataset.options import Options
from model_export.dataset.tickets import read_tickets
from tests.export.conftest import AUDITS, CATEGORY, EXPORT, Desk, waits


def test_it_waits_as_long_as_zendesk_says_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_PAGE", 2)
    ids = [desk.solved() for _ in range(25)]
    result = desk.export()
    assert result.exit_code == 0, result.output
    assert list(desk.rows()) == ids
    assert len(desk.said) == 1
    assert desk.said[0].startswith("Zendesk asks to wait ")


def test_what_passes_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.solved() for _ in range(3)]
    desk.running.post("/simulator/faults", {"down": True})
    waits(desk, monkeypatch, lambda _: None if len(desk.said) < 2 else heal(desk))
    assert desk.export().exit_code == 0
    assert list(desk.rows()) == ids
    assert desk.said == [
        "Zendesk answered 503; trying again in 5 s",
        "Zendesk answered 503; trying again in 10 s",
    ]


def heal(desk: Desk) -> None:
    desk.running.post("/simulator/faults", {})


def test_what_does_not_pass_ends_it_and_the_same_command_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.solved() for _ in range(3)]
    desk.running.post("/simulator/faults", {"down": True})
    waits(desk, monkeypatch, lambda _: None)
    result = desk.export()
    assert (result.exit_code, len(desk.said)) == (1, TRIES - 1)
    assert "Zendesk answered 503. The same command goes on where this one stopped" in result.output
    heal(desk)
    assert desk.export().exit_code == 0
    assert list(desk.rows()) == ids


def test_an_interrupted_export_goes_on_without_losing_or_repeating(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, and the tickets that it had read change before it goes on."""
    monkeypatch.setattr(export, "MAX_PAGE", 2)
    ids = [desk.solved() for _ in range(25)]
    waits(desk, monkeypatch, interrupt)
    result = desk.export()
    part = desk.folder / "tickets.csv.part"
    assert result.exit_code == 1
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert not (desk.folder / "tickets.csv").exists()
    asked_before = desk.requests(EXPORT)
    desk.agent(ids[0], "delivery")
    desk.agent(ids[1], status="open")
    waits(desk, monkeypatch, desk.running.clock.advance)
    result = desk.export()
    assert result.exit_code == 0, result.output
    assert {ticket_id: row.labels for ticket_id, row in desk.rows().items()} == {
        ticket_id: ("delivery" if ticket_id == ids[0] else "billing",) for ticket_id in ids if ticket_id != ids[1]
    }
    assert desk.requests(EXPORT) - asked_before < 13  # 25 tickets, two a page, would take all of them
    assert not part.exists()


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_histories_too_are_not_read_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        ticket_id = desk.file()
        desk.presort(ticket_id, "bug", fill=True)
        desk.agent(ticket_id, status="solved")
    decide = Part.decide

    def decide_two(part: Part, ticket_id: int, *, label_by: str) -> None:
        decide(part, ticket_id, label_by=label_by)
        if part.undecided() == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Part, "decide", decide_two)
    assert desk.export().exit_code == 1
    monkeypatch.setattr(Part, "decide", decide)
    assert desk.export().exit_code == 0
    assert [row.by_bot for row in desk.rows().values()] == [True] * 4
    assert desk.requests(AUDITS) == 4


@pytest.mark.parametrize("name", ["tickets.jsonl", "tickets.csv"])
def test_a_multi_select_gives_several_labels(desk: Desk, name: str) -> None:
    options = [{"name": one.title(), "value": one} for one in ("red", "green", "blue")]
    made = desk.running.api(
        "POST",
        "/ticket_fields",
        {"ticket_field": {"type": "multiselect", "title": "Colours", "custom_field_options": options}},
    ).json()["ticket_field"]["id"]
    desk.settings.write_text(desk.settings.read_text().replace(f"field_id = {CATEGORY}", f"field_id = {made}"))
    for values in (["red"], ["blue", "red"], []):
        ticket_id = desk.file()
        desk.agent(ticket_id, custom_fields=[{"id": made, "value": values}])
        desk.agent(ticket_id, status="solved")
    result = desk.export(name)
    path = desk.folder / name
    rows = desk.rows(name, separator=" " if name == "tickets.csv" else None)
    assert {ticket_id: row.labels for ticket_id, row in rows.items()} == {1: ("red",), 2: ("blue", "red")}
    separator = " --separator ' '" if name == "tickets.csv" else ""
    assert result.output.endswith(f"Next: presort-model train {path} --name category{separator}\n")
    assert separator or read_tickets(path, Options()).task == "multi"


def test_without_a_label_there_is_no_file(desk: Desk) -> None:
    desk.file()
    result = desk.export()
    assert result.exit_code == 1
    assert "not solved yet" in result.output
    assert f"is {CATEGORY} the field_id" in result.output
    assert not (desk.folder / "tickets.csv").exists()


def test_a_file_of_another_run_is_not_mixed_in(desk: Desk) -> None:
    desk.file()
    assert desk.export().exit_code == 1
    result = desk.export("tickets.csv", "--since", "2020-01-01")
    assert result.exit_code == 1
    assert f"holds what was read so far of field {CATEGORY} of {desk.running.url}, not of" in result.output
    assert "filed from 2020-01-01 on" in result.output


def test_two_at_once_and_a_damaged_file_are_told_apart(desk: Desk) -> None:
    desk.solved()
    part = desk.folder / "tickets.csv.part"
    with opened(part, "a test"):
        assert "is another `presort tickets` at it?" in desk.export().output
    part.write_bytes(b"something else " * 100)
    assert "remove it to start anew" in desk.export().output
