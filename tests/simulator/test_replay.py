"""Playing a file of old tickets."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from integration.simulator.cli import simulate
from integration.simulator.replay import OldTicket, Outcome, parse_time, play
from tests.simulator.support import Running

HEADER = "id,created,title,text\n"
ROWS = (
    '1,2023-05-01 23:59:59 +0000,Printer,"It is\non fire"\n'
    "2,2023-05-02T10:00:00Z,Phone,It rings\n"
    "3,2023-05-02 12:00:00 +0200,Door,It is shut\n"
)


def run(simulator: Running, path: Path, *options: str) -> Result:
    port = simulator.url.rpartition(":")[2]
    return CliRunner().invoke(simulate, ["--replay", str(path), "--port", port, "--speed", "0", *options])


def subjects(simulator: Running) -> list[str]:
    return [row["subject"] for row in reversed(simulator.get("/simulator/tickets")["tickets"])]


def write(path: Path, text: str) -> Path:
    packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".csv": bytes}
    path.write_bytes(packers[path.suffix](text.encode()))
    return path


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.csv.gz", "tickets.csv.xz"])
def test_a_file_is_played_in_the_order_of_its_times(simulator: Running, tmp_path: Path, name: str) -> None:
    result = run(simulator, write(tmp_path / name, HEADER + ROWS))
    assert result.exit_code == 0, result.output
    assert "3 tickets in" in result.output
    assert subjects(simulator) == ["Printer", "Phone", "Door"]
    assert simulator.get("/simulator/tickets/1")["ticket"]["description"] == "It is\non fire"


@pytest.mark.parametrize(
    ("options", "played"),
    [
        (["--day", "2023-05-02"], ["Phone", "Door"]),
        (["--to", "2023-05-02"], ["Printer"]),
        (["--from", "2023-05-02T09:00:00", "--to", "2023-05-02T10:00:00"], []),
    ],
)
def test_a_period_is_chosen(simulator: Running, tmp_path: Path, options: list[str], played: list[str]) -> None:
    result = run(simulator, write(tmp_path / "tickets.csv", HEADER + ROWS), *options)
    assert (result.exit_code, subjects(simulator)) == (0, played)


def test_malformed_rows_are_counted_and_never_fatal(simulator: Running, tmp_path: Path) -> None:
    broken = HEADER + "1,yesterday,Printer,on fire\n2,2023-05-02\n3,2023-05-02,,\n\n5,2023-05-02,Phone,It rings\n"
    result = run(simulator, write(tmp_path / "tickets.csv", broken))
    assert result.exit_code == 0
    assert "3 malformed rows left out" in result.output
    assert "row 1: 'yesterday' is not a time; row 2: has only 2 columns; row 3: has no text" in result.output
    assert subjects(simulator) == ["Phone"]


def test_columns_are_named_by_options(simulator: Running, tmp_path: Path) -> None:
    path = write(tmp_path / "tickets.csv", "when,what,more\n2023-05-02,Printer,on fire\n")
    refused = run(simulator, path)
    assert (refused.exit_code, "--time-column" in refused.output) == (1, True)
    result = run(simulator, path, "--time-column", "when", "--subject-column", "what", "--text-column", "more")
    assert (result.exit_code, subjects(simulator)) == (0, ["Printer"])


def test_a_simulator_that_is_not_there_ends_it(tmp_path: Path) -> None:
    path = write(tmp_path / "tickets.csv", HEADER + ROWS)
    result = CliRunner().invoke(simulate, ["--replay", str(path), "--port", "9"])
    assert (result.exit_code, "127.0.0.1" in result.output) == (1, True)


def test_the_rhythm_is_kept_at_any_speed() -> None:
    tickets = [OldTicket(at, "", "x") for at in (0, 0, 60, 120)]
    batches: list[int] = []
    outcome = play(tickets, lambda batch: batches.append(len(batch)), speed=600, progress=lambda _count, _done: None)
    assert batches == [2, 1, 1]
    assert 0.2 <= outcome.seconds < 0.4
    assert outcome == Outcome(4, 0, outcome.seconds)


def test_tickets_that_the_simulator_does_not_take_are_counted() -> None:
    def send(batch: Sequence[OldTicket]) -> None:
        if batch[0].at:
            raise requests.ConnectionError

    tickets = [OldTicket(0, "", "x"), OldTicket(60, "", "x")]
    outcome = play(tickets, send, speed=600, progress=lambda _count, _done: None)
    assert (outcome.created, outcome.failed) == (1, 1)


@pytest.mark.parametrize(
    "text", ["2023-05-02 10:00:00 +0000", "2023-05-02T12:00:00+02:00", "2023-05-02 10:00", "1683021600"]
)
def test_times_are_read_in_the_usual_spellings(text: str) -> None:
    assert parse_time(text) == 1683021600
