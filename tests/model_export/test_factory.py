"""From a file of tickets to a bundle that serves: the whole way, on a tiny model."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="training needs the train extra")

from model_export import registry  # noqa: E402 - after the check that torch is there
from model_export.bundle.predictor import Predictor  # noqa: E402 - see above
from model_export.cli import main  # noqa: E402 - see above
from tests.model_export import tiny  # noqa: E402 - see above

ROWS = 900

torch.set_num_threads(1)  # so small a model only waits for its threads to meet


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "tickets.csv"
    rows = tiny.single(ROWS)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket_id", "created_at", "subject", "description", "label"])
        for number, (text, target) in enumerate(zip(rows.texts, rows.targets, strict=True)):
            when = (start + timedelta(hours=number)).isoformat()
            writer.writerow([number, when, "", text, tiny.LABELS[target]])
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny.save_bert(folder)
    return folder


def train(tickets: Path, base: Path, out: Path, *options: str) -> str:
    arguments = ["train", str(tickets), "--out", str(out), "--base", str(base), "--max-length", "64", *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_tickets_become_a_bundle_that_serves(tickets: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    printed = train(tickets, base, out, "--epochs", "8", "--target", "0.8")
    assert "Next: presort-model check" in printed
    predictor = Predictor(out, "cpu")
    manifest = predictor.manifest
    assert (manifest.name, manifest.task) == ("category", "single")
    assert {label.value for label in manifest.labels} == set(tiny.LABELS)
    assert manifest.metrics["macro_f1"] > 0.9
    assert manifest.metrics["filled_precision"] >= 0.8
    assert predictor.graph == "model.int8.onnx"
    assert {"report/report.html", "report/report.md", "report/metrics.json", "model.fp32.onnx"} <= set(manifest.files)
    (row,) = predictor.predict(["please my parcel tracking is late"])
    assert manifest.labels[int(row.argmax())].value == "delivery"
    _is_promoted_on_its_figures(out, tmp_path)


def _is_promoted_on_its_figures(out: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "registry")
    registry.publish(url, out)
    assert registry.promote(url, "category").active == Predictor(out, "cpu").manifest.version


def test_an_existing_bundle_is_never_overwritten(tickets: Path, base: Path, tmp_path: Path) -> None:
    arguments = ["train", str(tickets), "--out", str(tmp_path), "--base", str(base)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "choose another --out" in result.output


def test_a_base_that_is_no_model_is_said(tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ["train", str(tickets), "--out", str(tmp_path / "x"), "--base", str(tmp_path / "empty")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert str(tmp_path / "empty") in result.output
    assert "Traceback" not in result.output
