"""What is in the file that ``presort tickets`` writes, and what the command says."""

from __future__ import annotations

import stat

import pytest

from integration.export.part import Row, opened
from integration.export.writing import table
from integration.simulator.account import INTEGRATION
from model_export.dataset.build import build
from model_export.dataset.options import Options
from model_export.dataset.rows import Dataset
from tests.export.conftest import Desk
from tests.model_export.dataset_support import text


def weights(dataset: Dataset) -> dict[int, tuple[str, float]]:
    """Label and weight by ticket id."""
    return {
        int(ticket_id): (dataset.labels[target], round(float(weight), 2))
        for split in (dataset.train, dataset.calibration, dataset.test)
        for ticket_id, target, weight in zip(split.ticket_ids, split.targets, split.weights, strict=True)
    }


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.jsonl", "tickets.csv.gz", "tickets.jsonl.xz"])
def test_the_file_is_what_a_model_learns_from(desk: Desk, name: str) -> None:
    expected = {desk.solved("bug" if number % 3 else "billing"): 1.0 for number in range(12)}
    for _ in range(3):
        ticket_id = desk.file()
        desk.presort(ticket_id, "bug", fill=True)
        desk.agent(ticket_id, status="closed")
        expected[ticket_id] = 0.3
    result = desk.export(name)
    assert result.exit_code == 0, result.output
    dataset, _ = build(desk.folder / name, Options(min_support=2))
    labels = {ticket_id: "bug" if ticket_id > 12 or (ticket_id - 1) % 3 else "billing" for ticket_id in expected}
    assert weights(dataset) == {ticket_id: (labels[ticket_id], weight) for ticket_id, weight in expected.items()}
    first = desk.rows(name)[1]
    assert (first.subject, first.description) == ("Subject 1", text(1))
    created_at = desk.running.get("/simulator/tickets/1")["ticket"]["created_at"]
    assert first.created_at == int(created_at)


def test_texts_survive_as_they_were_written(desk: Desk) -> None:
    written = 'Grüße,\r\n"quoted", a\ttab; 🙂\n\n= 1 + 1'
    for name in ("tickets.csv", "tickets.jsonl"):
        ticket_id = desk.running.create("", written)
        desk.agent(ticket_id, "bug")
        desk.agent(ticket_id, status="solved")
        assert desk.export(name).exit_code == 0
        assert (desk.rows(name)[ticket_id].subject, desk.rows(name)[ticket_id].description) == ("", written)


def test_what_is_left_out_is_counted_with_its_reason(desk: Desk) -> None:
    kept = desk.solved()
    desk.agent(desk.file(), "bug")
    desk.agent(desk.file(), status="solved")
    deleted = desk.solved()
    desk.running.post(f"/simulator/tickets/{deleted}/delete")
    desk.solved(channel="native_messaging")
    own = desk.running.simulation.create(
        {"subject": "Spike", "description": "Delivery, 12 tickets"}, actor_id=INTEGRATION.id
    )
    desk.agent(own.id, "delivery")
    desk.agent(own.id, status="solved")
    result = desk.export()
    assert list(desk.rows()) == [kept]
    counted = {line[:40].strip(): line[40:].split() for line in result.output.splitlines() if "16.7" in line}
    assert counted == {
        "not solved yet": ["1", "16.7"],
        "no value in the field": ["1", "16.7"],
        "deleted, spam among them": ["1", "16.7"],
        "messaging, not the customer's words": ["1", "16.7"],
        "filed by Presort's own user": ["1", "16.7"],
    }


def test_the_file_is_for_its_owner_and_no_text_is_shown(desk: Desk) -> None:
    desk.solved()
    result = desk.export()
    assert stat.S_IMODE((desk.folder / "tickets.csv").stat().st_mode) == 0o600
    assert sorted(one.name for one in desk.folder.iterdir()) == ["presort.toml", "tickets.csv"]
    assert "holds your customers' words" in result.output
    assert not set(text(1).split()) & set(result.output.split())


def test_it_ends_with_a_table_and_the_next_command(desk: Desk) -> None:
    for number in range(4):
        desk.solved("bug" if number else "billing")
    ticket_id = desk.file()
    desk.presort(ticket_id, "bug", fill=True)
    desk.agent(ticket_id, status="solved")
    desk.file()
    lines = desk.export("my tickets.csv").output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:1] == ["label"])
    assert [" ".join(line.split()) for line in lines[start : start + 10]] == [
        "label tickets %",
        "bug 4 80.0",
        "billing 1 20.0",
        "",
        "written by tickets %",
        "people, forms and rules 4 80.0",
        "Presort, and nobody changed it 1 20.0",
        "",
        "left out tickets %",
        "not solved yet 1 16.7",
    ]
    assert lines[-1] == f"Next: presort-model train '{desk.folder / 'my tickets.csv'}' --name category"


def test_only_the_ten_most_frequent_labels_are_shown(desk: Desk) -> None:
    with opened(desk.folder / "part", "a test") as part:
        part.add((Row(id=n, label=f"label{min(n, 11)}", label_by="") for n in range(13)), "c")
        shown = table(part.totals()).splitlines()
    assert (len(shown), shown[1].split()[:2], shown[-1]) == (12, ["label11", "2"], "  and 2 labels more")


def test_a_period_is_when_tickets_were_filed(desk: Desk) -> None:
    desk.running.clock.advance(86_400 * 2)
    before = desk.solved()
    desk.running.clock.advance(86_400 * 2)
    within = desk.solved()
    desk.running.clock.advance(86_400 * 2)
    desk.solved()
    desk.agent(before, "bug")  # changed within the period, not filed in it
    days = [desk.running.get(f"/simulator/tickets/{one}")["ticket"]["created"][:10] for one in (within, within + 1)]
    result = desk.export("tickets.csv", "--since", days[0], "--until", days[1])
    assert list(desk.rows()) == [within]
    assert "filed outside --since and --until" in result.output


def test_closed_tickets_alone_if_asked_for(desk: Desk) -> None:
    desk.solved()
    closed = desk.solved(status="closed")
    result = desk.export("tickets.csv", "--closed")
    assert list(desk.rows()) == [closed]
    assert "not closed yet" in result.output
