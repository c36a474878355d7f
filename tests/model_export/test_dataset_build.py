"""The rules from file to data set: what each takes, what the report says, and when there is nothing to learn."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_export.dataset.build import build
from model_export.dataset.options import Columns, Options
from model_export.dataset.report import Report
from model_export.dataset.rows import DataError, Dataset, Split
from tests.model_export.dataset_support import DAY, START, text, ticket, tickets, write_csv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickets.csv"


def took(report: Report) -> dict[str, int]:
    """The rules that took or changed a row."""
    return {rule.name: rule.rows for rule in report.rules if rule.rows}


def splits(dataset: Dataset) -> tuple[Split, Split, Split]:
    return dataset.train, dataset.calibration, dataset.test


def test_a_clean_history_is_kept_whole_and_split_by_time(path: Path) -> None:
    dataset, report = build(write_csv(path, reversed(tickets(100))))
    assert dataset.labels == ("a", "b")
    assert [len(split.texts) for split in splits(dataset)] == [70, 15, 15]
    assert [int(i) for split in splits(dataset) for i in split.ticket_ids] == list(range(100))
    assert dataset.train.texts[0] == text(0)
    assert dataset.train.targets.tolist() == [0, 1] * 35
    assert dataset.test.created_at[-1] == START + 99 * DAY
    assert took(report) == {}
    assert report.kept == (70, 15, 15)
    assert report.supports == {"a": (35, 8, 7), "b": (35, 7, 8)}


def test_each_rule_says_what_it_took(path: Path) -> None:
    rows = [
        *tickets(200),
        ticket(200, created_at="soon"),
        ticket(201, label=""),
        ticket(0, label="b"),
        *(ticket(n, label="old") for n in range(202, 206)),
        *(ticket(n, label="gone") for n in range(206, 211)),
        ticket(211, description="\u200b \n"),
        *(ticket(n, label="rare") for n in range(212, 216)),
        ticket(300, description=text(3)),
        *(ticket(n, description=f"{text(400)} {n}") for n in range(400, 413)),
    ]
    options = Options(aliases={"old": "a"}, allowed=("a", "b", "rare"), near_duplicates=3)
    dataset, report = build(write_csv(path, rows), options)
    assert took(report) == {
        "malformed": 1,
        "older state of a ticket": 1,
        "no label": 1,
        "label renamed or merged (kept)": 4,
        "label not offered by the field": 5,
        "no text": 1,
        "label without enough data": 4,
        "near-duplicate of a row in an earlier part": 1,
        "near-duplicate, 3 kept of its kind": 10,
    }
    assert report.read == len(rows) == sum(report.kept) + sum(rule.rows for rule in report.rules if not rule.keeps)
    assert report.problems == ("row 201: created_at 'soon' is not a time",)
    assert report.unknown_labels == {"gone": 5}
    assert report.not_enough == {"rare": 4}
    ids = [i for split in splits(dataset) for i in split.ticket_ids]
    assert {"202", "410", "411", "412", "3"} <= set(ids)
    assert not {"300", "409"} & set(ids)
    assert dataset.train.targets[dataset.train.ticket_ids.index("0")] == 1, "the ticket's newest state counts"


def test_two_names_can_be_swapped(path: Path) -> None:
    write_csv(path, tickets())
    assert build(path, Options(aliases={"a": "b", "b": "a"}))[1].supports == {"a": (35, 7, 8), "b": (35, 8, 7)}


@given(by_bot=st.lists(st.booleans(), min_size=60, max_size=60), weight=st.sampled_from([0.3, 0.5, 1.0]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_label_presort_wrote_itself_counts_less(path: Path, by_bot: list[bool], weight: float) -> None:
    rows = [ticket(number, label_by_bot=bot) for number, bot in enumerate(by_bot)]
    dataset, report = build(write_csv(path, rows), Options(bot_weight=weight))
    for split in splits(dataset):
        believed = [weight if by_bot[int(i)] else 1.0 for i in split.ticket_ids]
        assert split.weights.tolist() == pytest.approx(believed)
    assert took(report).get(f"label written by Presort (kept, weight {weight:g})", 0) == sum(by_bot)


def test_a_label_presort_wrote_itself_can_be_left_out(path: Path) -> None:
    rows = [ticket(number, label_by_bot="true" if number % 4 < 2 else "false") for number in range(100)]
    dataset, report = build(write_csv(path, rows), Options(bot_weight=0))
    assert took(report) == {"label written by Presort": 50}
    assert {int(i) % 4 for split in splits(dataset) for i in split.ticket_ids} == {2, 3}


def test_of_near_duplicates_the_rows_of_people_are_kept_first(path: Path) -> None:
    alike = [ticket(n, description=text(0), label_by_bot=n > 1) for n in range(10)]
    others = [ticket(n, label_by_bot=False) for n in range(10, 110)]
    dataset, _ = build(write_csv(path, alike + others), Options(near_duplicates=3))
    assert dataset.train.ticket_ids[:3] == ["0", "1", "9"]


def test_several_labels(path: Path) -> None:
    rows = [
        ticket(n, label=("a|b", "b", "a|rare" if n < 30 else "a", "rare" if n < 30 else "b")[n % 4]) for n in range(100)
    ]
    dataset, report = build(write_csv(path, rows), Options(separator="|", names={"a": "Apples", "c": "Cherries"}))
    assert dataset.task == "multi"
    assert dataset.labels == ("a", "b")
    assert dataset.names == {"a": "Apples", "b": "b"}
    assert report.not_enough == {"rare": 14}
    assert took(report) == {"label without enough data": 7}, "with another label a row stays"
    by_id = dict(zip(dataset.train.ticket_ids, dataset.train.targets.tolist(), strict=True))
    assert (by_id["0"], by_id["1"], by_id["2"]) == ([1, 1], [0, 1], [1, 0])
    assert "3" not in by_id
    assert dataset.test.targets.shape == (len(dataset.test.texts), 2)


def test_a_label_that_is_only_in_the_newest_rows_is_not_enough(path: Path) -> None:
    rows = [ticket(n, label="new" if n >= 80 else "ab"[n % 2]) for n in range(110)]
    _, report = build(write_csv(path, rows))
    assert report.not_enough == {"new": 30}
    assert sum(report.kept) == 80
    assert report.kept == (56, 12, 12), "the shares are those of what is kept"


def test_without_times_a_random_split_is_possible(path: Path) -> None:
    rows = [{"text": text(number), "label": "ab"[number % 2]} for number in range(200)]
    columns = Columns(ticket_id=None, created_at=None, subject=None, description="text")
    dataset, report = build(write_csv(path, rows), Options(columns=columns, split="random"))
    assert report.supports == {"a": (70, 15, 15), "b": (70, 15, 15)}
    assert report.periods == ()
    assert "months" not in report.render()
    again, _ = build(write_csv(path, reversed(rows)), Options(columns=columns, split="random"))
    other, _ = build(path, Options(columns=columns, split="random", seed=1))
    assert again.train.texts == dataset.train.texts != other.train.texts
    assert again.fingerprint == dataset.fingerprint
    assert other.fingerprint != dataset.fingerprint, "the test rows are others"


def history(seed: int) -> list[dict[str, Any]]:
    """Tickets with repeated texts, days, labels and writers."""
    rng = random.Random(seed)
    kinds, days = rng.choice([20, 200]), rng.choice([30, 1000])
    return [
        ticket(
            number,
            created_at=str(START + rng.randrange(days) * DAY),
            description=f"{text(rng.randrange(kinds))} {rng.randrange(9)}",
            label=rng.choice("aaabbc"),
            label_by_bot=rng.choice(["true", "false"]),
        )
        for number in range(150)
    ]


@given(seed=st.integers(0, 2**32), cap=st.integers(1, 5), split=st.sampled_from(["time", "random"]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_holds_for_any_history(path: Path, seed: int, cap: int, split: Any) -> None:
    rows = history(seed)
    options = Options(near_duplicates=cap, min_support=2, split=split)
    dataset, report = build(write_csv(path, rows), options)

    said = [{text.rpartition(" ")[0] for text in part.texts} for part in splits(dataset)]
    assert len(set.union(*said)) == sum(map(len, said)), "no near-duplicate in another part"
    kinds = Counter(text.rpartition(" ")[0] for part in splits(dataset) for text in part.texts)
    assert max(kinds.values()) <= cap
    if split == "time":
        assert dataset.train.created_at.max() < dataset.calibration.created_at.min()
        assert dataset.calibration.created_at.max() < dataset.test.created_at.min()
    assert all((np.diff(part.created_at) >= 0).all() for part in splits(dataset))
    assert all(counts[0] >= 1 and sum(counts) >= 2 for counts in report.supports.values())
    assert report.read == sum(report.kept) + sum(rule.rows for rule in report.rules if not rule.keeps)

    random.Random(seed).shuffle(rows)
    shuffled, _ = build(write_csv(path, rows), options)
    assert shuffled.fingerprint == dataset.fingerprint
    for ours, theirs in zip(splits(dataset), splits(shuffled), strict=True):
        assert ours.ticket_ids == theirs.ticket_ids


@pytest.mark.parametrize(
    "change", [{"ticket_id": "x"}, {"description": text(999)}, {"label": "b"}, {"label_by_bot": "true"}]
)
def test_the_fingerprint_tells_a_changed_row(path: Path, change: dict[str, str]) -> None:
    by_people = [row | {"label_by_bot": "false"} for row in tickets()]
    before, _ = build(write_csv(path, by_people))
    after, _ = build(write_csv(path, [by_people[0] | change, *by_people[1:]]))
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [ticket(n, label="") for n in range(50)],
            {},
            r"column 'label' is empty in every row: name another with --column",
        ),
        (
            [ticket(n, description=" ") for n in range(50)],
            {},
            "column 'description' has no text in any row: name another",
        ),
        (
            [ticket(n, label="a") for n in range(50)],
            {},
            "every row has the label 'a', and a classifier chooses between two",
        ),
        (
            [*(ticket(n, label="a") for n in range(50)), *(ticket(n, label="b") for n in range(50, 53))],
            {},
            r"only 'a' has enough data: at least 20 rows, .* The others: 'b' 3\. Collect more, merge .* or lower",
        ),
        (tickets(10), {}, r"no label has enough data: .* The others: 'a' 5, 'b' 5\."),
        (tickets(), {"allowed": ("A", "B")}, "offers none of the labels in the file: 'a', 'b' there, 'A', 'B' allowed"),
        (
            [ticket(n, label_by_bot="true") for n in range(50)],
            {"bot_weight": 0},
            "Presort wrote every label itself, people none",
        ),
        (
            [ticket(n, created_at="2026-03-02") for n in range(100)],
            {"min_support": 1},
            "at 1 different times.*--split random",
        ),
        (
            [ticket(n, description=f"the same {n}") for n in range(100)],
            {"min_support": 1},
            "no row is left for calibration and test: there are 100 rows, .* only 5 are kept",
        ),
    ],
    ids=["no-label", "no-text", "one-class", "too-few", "all-too-few", "not-allowed", "bot-only", "one-time", "alike"],
)
def test_what_no_model_can_be_made_from(
    path: Path, rows: list[dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        build(write_csv(path, rows), Options(**options))


def test_the_report_is_readable(path: Path) -> None:
    rows = [*tickets(100), ticket(100, created_at="soon"), ticket(101, label="rare"), ticket(102, label="Gone")]
    _, report = build(write_csv(path, rows), Options(allowed=("a", "b", "rare")))
    blocks = report.render().split("\n\n")
    assert blocks[0].startswith(f"{path}: 103 rows read, 100 kept with 2 labels (single), in ")
    assert blocks[1].splitlines()[:2] == [
        "rule                                         rows     %",
        "malformed                                       1   1.0",
    ]
    assert blocks[1].splitlines()[-1] == "kept                                          100  97.1"
    assert blocks[2] == "Malformed, for example:\n  row 101: created_at 'soon' is not a time"
    assert blocks[3] == "Not among the field's labels:\n  Gone  1"
    assert blocks[4] == "Not enough data (under 20 rows, or none in train):\n  rare  1"
    assert blocks[5].splitlines() == [
        "part         rows     %        from          to  months",
        "train          70  70.0  2023-11-14  2024-01-22       3",
        "calibration    15  15.0  2024-01-23  2024-02-06       2",
        "test           15  15.0  2024-02-07  2024-02-21       1",
    ]
    assert blocks[6].splitlines() == [
        "label  train  calibration  test  total     %",
        "a         35            8     7     50  50.0",
        "b         35            7     8     50  50.0",
    ]
    assert blocks[7] == f"fingerprint {report.fingerprint}"
