"""``presort decisions``: the exported stream of what was decided and what became of it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from integration.store import Store
from integration.stream import PAGE, begins, read
from tests.operating.conftest import Typed
from tests.test_store import decision

TODAY = datetime.now(UTC).date()
TOMORROW = str(TODAY + timedelta(days=1))
YESTERDAY = str(TODAY - timedelta(days=1))


@pytest.fixture
def ended(store: Store) -> Store:
    """A store in which three decisions ended; the times are those of Redis's clock."""
    before = {"101": None, "102": "by hand"}
    several = decision(2, values=("refund", "delivery"), model="m@2@x", language="de")
    store.finish([(decision(1, before=before), "filled", "confident"), (several, "left_alone", "person_set_it")])
    store.finish([(decision(3, category=None, confidence=None, threshold=None, top=()), "left_alone", "no_text")])
    return store


def test_every_fact_of_a_decision_is_in_its_line(ended: Store, presort: Typed) -> None:
    result = presort("decisions", "--since", str(TODAY), "--jsonl")
    first, second, third = (json.loads(line) for line in result.stdout.splitlines())
    assert {name: value for name, value in first.items() if name != "ended_at"} == {
        "ticket_id": 1,
        "classifier": "category",
        "outcome": "filled",
        "outcome_reason": "confident",
        "action": "fill",
        "reason": "confident",
        "category": "refund",
        "answers": ["refund"],
        "confidence": 0.9,
        "threshold": 0.8,
        "top": [["refund", 0.9]],
        "model": "m",
        "version": "1",
        "language": None,
        "before": {"101": None, "102": "by hand"},
        "backfill": False,
        "decision": "d1",
        "created_at": "1970-01-01T00:10:00.000+00:00",
        "received_at": "1970-01-01T00:10:01.000+00:00",
        "decided_at": "1970-01-01T00:10:02.000+00:00",
    }
    assert abs(datetime.fromisoformat(first["ended_at"]).timestamp() - datetime.now(UTC).timestamp()) < 60
    assert (second["answers"], second["outcome_reason"]) == (["refund", "delivery"], "person_set_it")
    assert (third["category"], third["answers"]) == (None, [])
    assert ended.redis.xlen("presort:decisions") == 3


def test_csv_is_what_is_written_unless_told(ended: Store, presort: Typed) -> None:
    assert ended.redis.exists("presort:decisions")
    written = presort("decisions", "--since", str(TODAY)).stdout
    assert written == presort("decisions", "--since", str(TODAY), "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [row["ticket_id"] for row in rows] == ["1", "2", "3"]
    assert json.loads(rows[0]["before"]) == {"101": None, "102": "by hand"}
    assert json.loads(rows[1]["answers"]) == ["refund", "delivery"]
    assert rows[2]["category"] == ""


def test_days_bound_what_is_written(ended: Store, presort: Typed) -> None:
    assert presort("decisions", "--since", TOMORROW).stderr == "0 decisions\n"
    assert presort("decisions", "--since", YESTERDAY, "--until", str(TODAY)).stderr.startswith("0 decisions")
    assert presort("decisions", "--since", str(TODAY), "--until", TOMORROW).stderr.startswith("3 decisions;")
    oldest = begins(ended.redis)
    assert oldest is not None
    assert len(list(read(ended.redis, oldest + 60))) == 0


def test_what_is_kept_no_longer_is_said(ended: Store, presort: Typed) -> None:
    assert begins(ended.redis) is not None
    assert "3 decisions; the oldest that is kept ended at 20" in presort("decisions", "--since", "2020-01-01").stderr


def test_an_empty_stream_is_a_header(presort: Typed) -> None:
    result = presort("decisions", "--since", str(TODAY))
    assert (result.exit_code, result.stdout.count("\n"), result.stderr) == (0, 1, "0 decisions\n")


def test_more_than_a_page_is_read_in_order(store: Store) -> None:
    numbers = list(range(2 * PAGE + 5))
    store.finish([(decision(number), "filled", "confident") for number in numbers])
    assert [one.record.decision.ticket_id for one in read(store.redis, 0)] == numbers


@pytest.mark.parametrize("evil", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_takes_no_label_for_a_formula(store: Store, presort: Typed, evil: str) -> None:
    store.finish([(decision(1, category=evil), "filled", "confident")])
    result = presort("decisions", "--since", str(TODAY), "--csv")
    (line,) = csv.DictReader(io.StringIO(result.stdout))
    assert line["category"] == f"'{evil}"
    assert line["confidence"] == "0.9"
