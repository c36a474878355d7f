"""``presort-model compare`` as it is used: real strategies, a real MLflow file, interruptions and failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities import Run

torch = pytest.importorskip("torch", reason="training needs the train extra")

from model_export.cli import main  # noqa: E402 - after the check that torch is there
from model_export.compare import plan  # noqa: E402 - see above
from model_export.compare.running import perform  # noqa: E402 - see above
from model_export.dataset import store  # noqa: E402 - see above
from model_export.dataset.arrays import assemble, rows_of  # noqa: E402 - see above
from model_export.dataset.rows import Dataset, Split, Task  # noqa: E402 - see above
from model_export.strategies import Settings, finetune, naive_bayes, tfidf_linear  # noqa: E402 - see above
from tests.model_export import tiny  # noqa: E402 - see above

torch.set_num_threads(1)  # so small a model only waits for its threads to meet

MODULES = (naive_bayes, tfidf_linear, finetune)
STRATEGIES = tuple(module.__name__.rpartition(".")[2] for module in MODULES)
SIZES = (60, 150, 300)


class Desk:
    """A folder with a data set, a tiny base and an MLflow file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        self._save("single", tiny.single)
        self._save("multi", tiny.multi)
        tiny.save_bert(folder / "base")

    def _save(self, task: Task, make: Callable[[int, int], Split]) -> None:
        splits = {"train": make(300, 0), "calibration": make(90, 1), "test": make(150, 2)}
        parts = {part: rows_of(split, tiny.LABELS) for part, split in splits.items()}
        store.save(assemble(parts, tiny.LABELS, {}, task), self.folder / task)

    def compare(self, *options: str, task: Task = "single") -> Result:
        """Run the command."""
        arguments = ["compare", str(self.folder / task), "--base", str(self.folder / "base"), "--max-length", "64"]
        arguments += ["--epochs", "4", "--mlflow", self.uri, "--out", str(self.folder / "out"), *options]
        return CliRunner().invoke(main, arguments)

    def runs(self, experiment: str = "presort-compare") -> list[Run]:
        """As another program reads them."""
        client = MlflowClient(self.uri)
        found = client.get_experiment_by_name(experiment)
        assert found
        return list(client.search_runs([found.experiment_id]))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("compare"))


class Counter:
    """Counts fits; at the given one the person presses Ctrl-C."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, interrupt_at: int | None = None) -> None:
        self.fits: list[tuple[str, int]] = []
        self.interrupt_at = interrupt_at
        for module in MODULES:
            monkeypatch.setattr(module, "fit", self._counted(module.__name__.rpartition(".")[2], module.fit))

    def _counted(self, strategy: str, fit: Callable[..., Any]) -> Callable[..., Any]:
        def counted(train: Split, *arguments: Any, **options: Any) -> Any:
            self.fits.append((strategy, len(train.texts)))
            if len(self.fits) == self.interrupt_at:
                raise KeyboardInterrupt
            return fit(train, *arguments, **options)

        return counted


def options(*strategies: str, sizes: str = "60,150,all") -> tuple[str, ...]:
    return ("--strategies", ",".join(strategies), "--sizes", sizes)


def with_ours(people: Split, ours: Split) -> Split:
    """Rows that people labelled, and further ones that Presort labelled, all of them wrongly."""
    wrong = 1 - ours.targets if ours.targets.ndim == 2 else (ours.targets + 1) % len(tiny.LABELS)
    ours = ours._replace(targets=wrong, weights=np.full(len(wrong), 0.3, dtype=np.float32))
    return Split(
        people.texts + ours.texts,
        np.concatenate([people.targets, ours.targets]),
        np.concatenate([people.weights, ours.weights]),
        np.concatenate([people.created_at, ours.created_at]),
        people.ticket_ids + ours.ticket_ids,
    )


@pytest.mark.parametrize(("task", "make"), [("single", tiny.single), ("multi", tiny.multi)])
def test_what_presort_labelled_itself_neither_scores_nor_sets_a_threshold(
    task: Task, make: Callable[[int, int], Split]
) -> None:
    train, calibration, test, ours = (make(rows, seed) for seed, rows in enumerate((200, 60, 60, 60)))
    people = Dataset(
        task=task, labels=tiny.LABELS, names={}, train=train, calibration=calibration, test=test, fingerprint="f"
    )
    mixed = msgspec.structs.replace(
        people, calibration=with_ours(calibration, ours), test=with_ours(test, ours), fingerprint="g"
    )
    settings = Settings(task=task, labels=len(tiny.LABELS))
    run = plan.Run("naive_bayes", 200, 0)
    expected, found = (perform(run, data, settings, progress=False) for data in (people, mixed))
    assert np.array_equal(found.answers, expected.answers)
    assert found.metrics["macro_f1"] == expected.metrics["macro_f1"] > 0


def test_an_interrupted_comparison_goes_on_and_repeats_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [(strategy, rows) for rows in SIZES for strategy in STRATEGIES]
    with monkeypatch.context() as patch:
        first = Counter(patch, interrupt_at=5)
        interrupted = desk.compare(*options(*STRATEGIES))
    assert interrupted.exit_code == 130
    assert "the same command goes on from there" in interrupted.output
    assert first.fits == everything[:5]
    assert sorted(run.info.status for run in desk.runs()) == ["FINISHED"] * 4 + ["KILLED"]

    with monkeypatch.context() as patch:
        second = Counter(patch)
        resumed = desk.compare(*options(*STRATEGIES))
    assert resumed.exit_code == 0, resumed.output
    assert second.fits == everything[4:]
    assert "9 runs: naive_bayes, tfidf_linear, finetune x 60, 150, 300 of 300 rows x 1 seed" in resumed.stderr
    assert "4 are in" in resumed.stderr
    assert " left\n" in resumed.stderr

    with monkeypatch.context() as patch:
        third = Counter(patch)
        again = desk.compare(*options(*STRATEGIES))
    assert third.fits == []
    assert again.stdout == resumed.stdout
    _is_told(desk, resumed.stdout)
    _is_in_mlflow(desk)


def _is_told(desk: Desk, printed: str) -> None:
    lines = printed.splitlines()
    assert " ".join(lines[0].split()) == "strategy rows macro-F1 (95 % range) accuracy fit s predict ms/1000"
    assert [tuple(line.split()[:2]) for line in lines[1:10]] == [(s, str(n)) for s in STRATEGIES for n in SIZES]
    command = f"presort-model train {desk.folder / 'single'} --strategy finetune --base {desk.folder / 'base'}"
    assert f"Next: {command} --epochs 4 --max-length 64" in printed
    out = desk.folder / "out"
    kept = msgspec.json.decode((out / "compare.json").read_bytes())
    assert kept["test_rows"] == 150
    assert len(kept["points"]) == 9
    assert kept["next"].startswith(command)
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    for answer in kept["answers"].values():
        assert answer in page
        assert answer in printed
    assert "](img/learning.svg)" in (out / "compare.md").read_text(encoding="utf-8")
    assert (out / "img" / "learning.svg").read_text(encoding="utf-8").count("#0072b2")


def _is_in_mlflow(desk: Desk) -> None:
    """Every finished run once, with what a person would sort by; no ticket's text anywhere, and no word to anybody."""
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    finished = [run for run in desk.runs() if run.info.status == "FINISHED"]
    keys = [(run.data.params["strategy"], int(run.data.params["rows"])) for run in finished]
    assert sorted(keys) == sorted((strategy, rows) for rows in SIZES for strategy in STRATEGIES)
    for run in finished:
        assert run.data.metrics.keys() >= {"macro_f1", "macro_f1_low", "accuracy", "fit_seconds", "predict_ms"}
        assert run.data.params["base"] == str(desk.folder / "base")
    by_key = {key: run.data.metrics["macro_f1"] for key, run in zip(keys, finished, strict=True)}
    for point in msgspec.json.decode((desk.folder / "out" / "compare.json").read_bytes())["points"]:
        assert point["macro_f1"]["value"] == by_key[point["strategy"], point["rows"]]
    kept = b"".join(path.read_bytes() for path in (desk.folder / "runs").rglob("*") if path.is_file())
    assert b"finetune" in kept
    assert b"parcel" not in kept
    assert b"courier" not in kept


def test_a_failed_run_is_a_line_with_its_reason_and_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.delitem(sys.modules, "model_export.strategies.tfidf_lightgbm", raising=False)
    command = (*options("naive_bayes", "tfidf_lightgbm", sizes="all"), "--experiment", "broken")
    for times in (1, 2):
        result = desk.compare(*command)
        assert result.exit_code == 0, result.output
        assert "failed: tfidf_lightgbm, 300 rows, seed 0: tfidf_lightgbm needs lightgbm: pip install" in result.stdout
        page = (desk.folder / "out" / "compare.html").read_text(encoding="utf-8")
        assert "What failed" in page
        failed = [run for run in desk.runs("broken") if run.info.status == "FAILED"]
        assert len(failed) == times
        assert "needs lightgbm" in failed[0].data.tags["presort.reason"]
    only = desk.compare(*options("tfidf_lightgbm", sizes="all"), "--experiment", "broken")
    assert only.exit_code == 1
    assert "all 1 runs failed" in only.output


def test_tags_are_compared_with_micro_f1_and_seeds_with_their_spread(desk: Desk) -> None:
    command = (*options("naive_bayes", "tfidf_linear", sizes="40,all"), "--seeds", "2", "--experiment", "tags")
    result = desk.compare(*command, task="multi")
    assert result.exit_code == 0, result.output
    assert "micro-F1" in result.stdout.splitlines()[0]
    points = msgspec.json.decode((desk.folder / "out" / "compare.json").read_bytes())["points"]
    assert [point["seeds"] for point in points] == [2] * 4
    assert all(point["spread"][0] <= point["macro_f1"]["value"] <= point["spread"][1] for point in points)
    assert points[1]["macro_f1"]["value"] > 0.9
    assert points[0]["accuracy"]["value"] < points[0]["micro_f1"]["value"], "right means right with all of its tags"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--strategies", "bert"), "no strategy 'bert': choose from naive_bayes"),
        (("--sizes", "9999"), "there are 300 to train on: say `all`"),
        (("--mlflow", "nonsense://x"), "name another place with --mlflow"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(desk: Desk, wrong: tuple[str, str], said: str) -> None:
    result = desk.compare(*wrong)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_deleted_experiment_is_not_written_to(desk: Desk) -> None:
    client = MlflowClient(desk.uri)
    client.delete_experiment(client.create_experiment("gone"))
    result = desk.compare(*options("naive_bayes"), "--experiment", "gone")
    assert result.exit_code == 1
    assert "choose another --experiment" in result.output


def test_word_vectors_stand_in_for_the_encoder(desk: Desk, tmp_path: Path) -> None:
    """The base is not even looked for; other vectors are other runs."""
    path = tmp_path / "glove.txt"
    places = {word: label for label, words in tiny.WORDS.items() for word in words}
    rows = {word: [float(label == other) for other in tiny.LABELS] for word, label in places.items()}
    given = ["--strategies", "frozen", "--sizes", "all", "--base", str(tmp_path / "nowhere"), "--vectors", str(path)]
    for sign, done in ((1, 0), (-1, 0), (1, 1)):
        path.write_text("\n".join(" ".join([word, *(str(sign * each) for each in row)]) for word, row in rows.items()))
        result = desk.compare(*given, "--experiment", "vectors")
        assert result.exit_code == 0, result.output
        assert f"{done} are in {desk.uri} already" in result.output
    assert len(desk.runs("vectors")) == 2
