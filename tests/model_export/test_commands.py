"""``presort-model evaluate`` and what the commands print, on the demo's bundle; nothing here needs torch."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib", reason="reports need the evaluate extra")

from demo.tickets import CATEGORIES, generate
from model_export.bundle.manifest import MANIFEST, read_manifest
from model_export.bundle.predictor import Predictor
from model_export.bundle.text import prepare_text
from model_export.cli import main
from model_export.commands.rows import Rules, as_typed
from model_export.dataset.rows import DataError
from model_export.evaluate import Interval, class_scores
from model_export.report.compared import read_learning
from model_export.report.findings import LearningPoint
from tests.model_export.commands import refusal, run, write_tickets

BUNDLE = Path("demo/bundle")
ROWS = 200
DAY = 86_400


def tickets(rows: int = ROWS) -> list[dict[str, Any]]:
    """Tickets as a file has them, all categories in turn."""
    rng = random.Random(7)
    found = []
    for number in range(rows):
        category = CATEGORIES[number % len(CATEGORIES)].value
        ticket = generate(rng, category)
        at = 1_780_000_000 + number * DAY // 4
        found.append(
            {
                "ticket_id": number,
                "created_at": at,
                "subject": ticket.subject,
                "description": ticket.description,
                "label": category,
                "label_by_bot": "false",
            }
        )
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def figure(printed: str, name: str) -> str:
    """What stands behind a name, such as ``97.5 % (390 of 400)``."""
    found = re.search(rf"^ *{name} +(.+)$", printed, re.MULTILINE)
    assert found, printed
    return found[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle whose manifest may be edited."""
    return shutil.copytree(BUNDLE, tmp_path / "bundle")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is printed of all tickets, and the report's folder."""
    folder = tmp_path_factory.mktemp("evaluated")
    path = write(folder / "tickets.csv", tickets())
    return run("evaluate", BUNDLE, path, "--out", folder / "report"), folder / "report"


def test_a_bundle_is_scored_as_it_ships(evaluated: tuple[str, Path]) -> None:
    """All rows of the file, at the bundle's own thresholds; the figures are those of a loop written by hand."""
    rows, (printed, _) = tickets(), evaluated
    manifest = read_manifest(BUNDLE)
    values = [label.value for label in manifest.labels]
    likely = Predictor(BUNDLE).predict([prepare_text(row["subject"], row["description"]) for row in rows])
    truth = np.array([values.index(row["label"]) for row in rows])
    best = likely.argmax(axis=1)
    right = int((best == truth).sum())
    sure = likely.max(axis=1) >= np.array([label.threshold for label in manifest.labels])[best]
    correct = int((best == truth)[sure].sum())
    f1 = class_scores(best, truth, len(values)).macro_f1
    assert figure(printed, "macro-F1").startswith(f"{f1 * 100:.1f} % (95 % range ")
    assert figure(printed, "right first time") == f"{right / ROWS * 100:.1f} % ({right} of {ROWS})"
    assert figure(printed, "filled without asking").endswith(f"({sure.sum()} of {ROWS})")
    assert figure(printed, "right among those").endswith(f"({correct} of {sure.sum()})")
    assert printed.index("macro-F1") < printed.index("right first time")
    assert all(label.name in printed for label in manifest.labels)
    assert printed.splitlines()[-1].startswith("Next: presort-model publish")


def test_the_report_promises_nothing_that_was_not_proved(evaluated: tuple[str, Path]) -> None:
    """Nobody knows whether the model saw these rows, and no others are there to solve thresholds on."""
    printed, folder = evaluated
    assert "never seen" not in printed
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "thresholds that the bundle carries" in text
        assert "never seen" not in text
        assert "promise of" not in text
        assert not re.search(r"\bnan\b", text)


def test_labels_the_bundle_does_not_know_are_named_and_counted(tmp_path: Path) -> None:
    rows = tickets()
    for row in rows[:7]:
        row["label"] = "warranty"
    rows[7]["label"] = "loyalty"
    printed = run("evaluate", BUNDLE, write(tmp_path / "tickets.csv", rows))
    assert "does not know, with their tickets, left out: warranty (7), loyalty (1)" in printed
    assert figure(printed, "tickets") == str(ROWS - 8)


def test_what_presort_labelled_itself_proves_nothing(tmp_path: Path) -> None:
    rows = tickets()
    for row in rows[:25]:
        row["label_by_bot"] = "true"
    printed = run("evaluate", BUNDLE, write(tmp_path / "tickets.csv", rows))
    assert "Labelled by Presort itself, left out: 25" in printed
    assert figure(printed, "tickets") == str(ROWS - 25)


def test_of_a_data_set_the_test_rows_are_scored(tmp_path: Path, copy: Path) -> None:
    folder = tmp_path / "rows"
    run("dataset", write(tmp_path / "tickets.csv", tickets()), folder, "--near-duplicates", ROWS)
    rows = int(figure(run("evaluate", copy, folder), "tickets"))
    assert 0.1 * ROWS < rows < 0.2 * ROWS
    fingerprint = json.loads((folder / "dataset.json").read_text())["fingerprint"]
    for data in ({"fingerprint": "of others", "training_rows": 280}, {"fingerprint": fingerprint}):
        edit(copy, data=data)  # trained on other rows, or on who knows which
        assert figure(run("evaluate", copy, folder), "tickets") == str(rows)
    edit(copy, data={"fingerprint": fingerprint, "training_rows": 280})
    assert figure(run("evaluate", copy, folder), "tickets") == f"{rows} it had never seen"


def test_a_field_of_several_values_is_scored_too(tmp_path: Path, copy: Path) -> None:
    edit(copy, task="multi")
    rows = tickets()
    for row in rows:
        row["label"] = f"{row['label']}|gone"
    printed = run("evaluate", copy, write(tmp_path / "tickets.csv", rows), "--separator", "|", "--out", tmp_path / "r")
    assert figure(printed, "micro-F1")
    assert f"gone ({ROWS})" in printed
    assert "likelier than not" in (tmp_path / "r" / "report.md").read_text(encoding="utf-8")


def test_labels_can_be_renamed_on_the_way(tmp_path: Path) -> None:
    rows = tickets()
    first = CATEGORIES[0].value
    for row in rows:
        row["label"] = row["label"].replace(first, "old name")
    (tmp_path / "aliases.toml").write_text(f'"old name" = "{first}"')
    printed = run("evaluate", BUNDLE, write(tmp_path / "t.csv", rows), "--aliases", tmp_path / "aliases.toml")
    assert figure(printed, "tickets") == str(ROWS)
    assert "does not know" not in printed


def test_a_promise_that_the_manifest_names_is_quoted(tmp_path: Path, copy: Path) -> None:
    edit(copy, metrics={"target_precision": 0.85})
    run("evaluate", copy, write(tmp_path / "tickets.csv", tickets(60)), "--out", tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert "at a promise of 85 %" in text


def test_other_labels_altogether_are_refused(tmp_path: Path) -> None:
    rows = [row | {"label": "warranty"} for row in tickets(5)]
    said = refusal("evaluate", BUNDLE, write(tmp_path / "tickets.csv", rows))
    assert "'warranty' there" in said
    assert "--aliases" in said


def test_several_labels_do_not_fit_a_model_that_gives_one(tmp_path: Path) -> None:
    path = write(tmp_path / "tickets.csv", tickets(5))
    assert "leave --separator out" in refusal("evaluate", BUNDLE, path, "--separator", "_")


def test_options_for_a_folder_are_refused(tmp_path: Path) -> None:
    run("dataset", write(tmp_path / "tickets.csv", tickets()), tmp_path / "rows", "--near-duplicates", ROWS)
    said = refusal("evaluate", BUNDLE, tmp_path / "rows", "--column", "description=body")
    assert "was made by rules of its own" in said


def test_a_bundle_that_must_not_serve_is_not_scored(tmp_path: Path, copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    said = refusal("evaluate", copy, write(tmp_path / "tickets.csv", tickets(5)))
    assert "named in the manifest but missing" in said


def test_the_way_of_a_model_is_all_there() -> None:
    flow = ["dataset", "compare", "train", "export", "check", "evaluate", "publish", "promote", "rollback", "list"]
    assert list(main.commands) == flow
    words = re.findall(r"[a-z]+", main.help or "")
    assert [word for word in words if word in flow][:8] == [*flow[:8]]


def test_each_command_names_the_next(tmp_path: Path) -> None:
    url = tmp_path / "registry"
    assert f"Next: presort-model promote demo --registry {url}" in run("publish", BUNDLE, "--registry", url)
    assert "Next: presort-model promote demo" in run("list", "demo", "--registry", url)
    assert "presort-model rollback demo" in run("promote", "demo", "--registry", url, "--force")


def test_options_are_typed_again_for_the_next_command() -> None:
    """Those that say something: what is at its default is left out."""
    given = Rules(
        columns=("description=body", "created_at="),
        separator=None,
        aliases=Path("a.toml"),
        offered=None,
        names=None,
        bot_weight=0.3,
        near_duplicates=2,
        min_support=20,
        split="random",
    )
    expected = "--column description=body --column created_at= --aliases a.toml --near-duplicates 2 --split random"
    assert as_typed(given) == expected.split()


def test_labels_that_the_field_no_longer_offers_are_left_out(tmp_path: Path) -> None:
    rng, labels = random.Random(3), [category.value for category in CATEGORIES[:3]] * 40
    texts = [generate(rng, label).description for label in labels]
    tickets, offered = write_tickets(tmp_path / "t.csv", texts, labels), tmp_path / "offered.txt"
    offered.write_text(f"{labels[0]}\n\n {labels[1]} \nnew\n", encoding="utf-8")
    printed = run("dataset", tickets, tmp_path / "rows", "--offered", offered)
    assert re.search(r"label not offered by the field +40\b", printed)
    assert labels[2] in printed
    offered.write_text("other\n", encoding="utf-8")
    said = refusal("dataset", tickets, tmp_path / "again", "--offered", offered)
    assert "the field offers none of the labels in the file" in said


def test_values_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    tickets = write_tickets(tmp_path / "t.csv", ["a text"], ["refund"])
    (tmp_path / "empty.txt").touch()
    said = refusal("dataset", tickets, tmp_path / "rows", "--offered", tmp_path / "empty.txt")
    assert "is empty: write the field's values into it, one a line" in said


def test_a_learning_curve_joins_the_report_of_the_same_tickets_only(tmp_path: Path) -> None:
    point = {"strategy": "finetune", "rows": 100, "macro_f1": {"value": 0.5, "low": 0.4, "high": 0.6}}
    path = tmp_path / "compare.json"
    path.write_text(json.dumps({"fingerprint": "f", "points": [point], "more": 1}), encoding="utf-8")
    assert read_learning(path, "f") == (LearningPoint("finetune", 100, Interval(0.5, 0.4, 0.6)),)
    with pytest.raises(DataError, match="compares strategies on other tickets"):
        read_learning(path, "g")
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match=r"is not the compare\.json"):
        read_learning(path, "f")


def test_a_language_is_a_code(tmp_path: Path) -> None:
    tickets = write_tickets(tmp_path / "t.csv", ["a text"], ["refund"])
    result = CliRunner().invoke(main, ["train", str(tickets), "--language", "English"])
    assert result.exit_code == 2
    assert "English is no ISO 639 code: write en, de, pt" in result.output
