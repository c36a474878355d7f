"""From a file of tickets to a bundle that serves: the whole way, on a tiny model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")

import onnx  # noqa: E402 - after the check that torch is there

from model_export import factory, registry  # noqa: E402 - see above
from model_export.bundle.manifest import read_manifest  # noqa: E402 - see above
from model_export.bundle.predictor import CPU, CUDA, FP16, FP32, INT8, Predictor, read_golden  # noqa: E402 - see above
from model_export.calibrate import fit_temperature  # noqa: E402 - see above
from model_export.dataset import store  # noqa: E402 - see above
from model_export.export import HALF_TOLERANCE, HalfPrecisionError, check_fp16, export_onnx  # noqa: E402 - see above
from model_export.network import load_network  # noqa: E402 - see above
from model_export.quantize import ROUNDINGS, Rounding, quantize_fp16, quantize_int8  # noqa: E402 - see above
from model_export.range_test import RangeTest  # noqa: E402 - see above
from model_export.report.training import training_curves  # noqa: E402 - see above
from model_export.train import Curves  # noqa: E402 - see above
from tests.model_export import tiny  # noqa: E402 - see above
from tests.model_export.commands import Trained, refusal, run, write_tickets  # noqa: E402 - see above

torch.set_num_threads(1)  # so small a model only waits for its threads to meet


def test_tickets_become_a_bundle_that_serves(trained: Trained) -> None:
    predictor = Predictor(trained.bundle, "cpu")
    manifest = predictor.manifest
    assert (manifest.name, manifest.task) == ("category", "single")
    assert {label.value for label in manifest.labels} == set(tiny.LABELS)
    assert "Orders::Delivery" in {label.name for label in manifest.labels}
    assert manifest.metrics["macro_f1"] > 0.9
    assert manifest.metrics["filled_precision"] >= 0.8
    assert predictor.graph == INT8
    assert {"report/report.html", "report/report.md", "report/metrics.json", INT8, FP32, FP16} <= set(manifest.files)
    (row,) = predictor.predict(["please my parcel tracking is late"])
    assert manifest.labels[int(row.argmax())].value == "delivery"


def test_train_says_its_plan_first_and_the_next_command_last(trained: Trained) -> None:
    plan, _, result = trained.printed.partition("Trained: ")
    assert "630 to train on, 135 to calibrate, 135 to test" in plan
    assert "8 times each, 32 at a time" in plan
    assert re.search(r"macro-F1 +\d", result)
    assert "Orders::Delivery" in result
    assert "Next: presort-model check" in result.splitlines()[-1]


def test_each_threshold_carries_its_proof(trained: Trained) -> None:
    manifest = read_manifest(trained.bundle)
    filled = [label for label in manifest.labels if label.threshold <= 1]
    assert filled
    assert all(label.precision_bound is not None and label.precision_bound >= 0.8 for label in filled)
    assert all(label.precision_bound is None for label in manifest.labels if label.threshold > 1)


def test_the_manifest_has_the_confusions_of_all_rows_that_were_not_trained_on(trained: Trained) -> None:
    manifest = read_manifest(trained.bundle)
    counts = np.array(manifest.confusion)
    assert counts.shape == (3, 3)
    assert counts.sum() == 135 + 135
    assert np.trace(counts) / counts.sum() > 0.9


def test_the_report_shows_how_training_went(trained: Trained) -> None:
    text = (trained.bundle / "report" / "report.md").read_text(encoding="utf-8")
    for title in ("Loss while fine-tuning", "Macro-F1 while fine-tuning", "Learning rate while fine-tuning"):
        assert f"![{title}: " in text
    assert len([*(trained.bundle / "report" / "img").glob("training-*.svg")]) == 3


def test_a_bundle_is_promoted_on_its_figures(trained: Trained, tmp_path: Path) -> None:
    url = str(tmp_path / "registry")
    registry.publish(url, trained.bundle)
    assert registry.promote(url, "category").active == read_manifest(trained.bundle).version


def test_fp16_answers_like_fp32(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, which is told to be a GPU: the graph is the real one."""

    class Session(ort.InferenceSession):  # type: ignore[misc]  # untyped base
        def __init__(self, graph: str, options: ort.SessionOptions, **_: object) -> None:
            super().__init__(graph, options, providers=[CPU])

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    predictor = Predictor(trained.bundle, "auto")
    assert (predictor.graph, predictor.agreement) == (FP16, 1)
    sequences, expected = read_golden(trained.bundle)
    assert 0 < np.abs(predictor.logits(sequences) - expected).max() < HALF_TOLERANCE
    assert (trained.bundle / FP16).stat().st_size < (trained.bundle / FP32).stat().st_size


def test_fp16_is_left_out_unless_asked_for(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    run("export", trained.network, tiny_tickets, "--out", tmp_path / "bundle")
    assert FP16 not in read_manifest(tmp_path / "bundle").files


def break_int8(monkeypatch: pytest.MonkeyPatch, *roundings: Rounding) -> None:
    """int8 whose classifier reads noise, as where a CPU saturates, when rounded in one of these ways."""

    def quantize(source: Path, target: Path, rounding: Rounding) -> None:
        graph = onnx.load(source)
        if rounding in roundings:
            weight = next(one for one in graph.graph.initializer if one.name == "classifier.weight")
            noise = np.random.default_rng(0).normal(size=list(weight.dims)).astype(np.float32)
            weight.CopyFrom(onnx.numpy_helper.from_array(noise, weight.name))
        onnx.save(graph, target.with_suffix(".source"))
        quantize_int8(target.with_suffix(".source"), target, rounding)

    monkeypatch.setattr(factory, "quantize_int8", quantize)


@pytest.mark.parametrize("failing", [1, 2])
def test_int8_is_rounded_more_nearly_where_it_is_not_good_enough(
    trained: Trained, tiny_tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    break_int8(monkeypatch, *ROUNDINGS[:failing])
    printed = run("export", trained.network, tiny_tickets, "--out", tmp_path / "bundle")
    assert [f"rounding to int8, {one.name}\n" in printed for one in ROUNDINGS] == [
        number <= failing for number in range(len(ROUNDINGS))
    ]
    predictor = Predictor(tmp_path / "bundle", "cpu")
    assert predictor.graph == INT8
    assert predictor.manifest.metrics["int8_agreement"] >= 0.98
    floats = {one.name for one in onnx.load(tmp_path / "bundle" / INT8).graph.node if one.op_type == "MatMul"}
    assert sum("/ffn/" in name for name in floats) == 2 * 2 * (failing == 2), "both parts of two layers, or none"


def test_an_int8_graph_that_is_no_good_never_ships(
    trained: Trained, tiny_tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle carries fp32 alone, says so, and serves."""
    break_int8(monkeypatch, *ROUNDINGS)
    printed = run("export", trained.network, tiny_tickets, "--out", tmp_path / "bundle")
    assert "the bundle carries fp32 alone" in printed
    predictor = Predictor(tmp_path / "bundle", "cpu")
    assert predictor.graph == FP32
    assert INT8 not in predictor.manifest.files
    assert "int8_agreement" not in predictor.manifest.metrics
    assert predictor.manifest.metrics["macro_f1"] > 0.9


def test_a_number_that_16_bits_cannot_hold_is_found(trained: Trained, tmp_path: Path) -> None:
    """The classifier's weights a million times as large, and its input as much smaller: the same answers in fp32."""
    model = load_network(trained.network).model
    with torch.no_grad():
        model.classifier.weight *= 1e6
        model.pre_classifier.weight /= 1e6
        model.pre_classifier.bias /= 1e6
    export_onnx(model, tmp_path / FP32)
    quantize_fp16(tmp_path / FP32, tmp_path / FP16)
    sequences, _ = read_golden(trained.bundle)
    with pytest.raises(HalfPrecisionError, match=r"differ from fp32's by .*allowed are 0\.1"):
        check_fp16(tmp_path / FP32, tmp_path / FP16, sequences)


def test_an_fp16_graph_with_other_inputs_is_found(trained: Trained, tmp_path: Path) -> None:
    graph = onnx.load(trained.bundle / FP16)
    graph.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    cast = next(node for node in graph.graph.node if "logits" in node.output)
    cast.attribute[0].i = onnx.TensorProto.FLOAT16
    onnx.save(graph, tmp_path / FP16)
    with pytest.raises(HalfPrecisionError, match=r"tensor\(float16\).*in fp32"):
        check_fp16(trained.bundle / FP32, tmp_path / FP16, [[2, 5, 3]])


def test_a_learning_rate_may_be_given(tiny_tickets: Path, tiny_base: Path, tmp_path: Path) -> None:
    said = refusal(
        "train",
        tiny_tickets,
        "--base",
        tiny_base,
        "--out",
        tmp_path / "x",
        "--learning-rate",
        "1e30",
        "--max-length",
        64,
    )
    assert "train with a lower learning rate" in said


def test_a_model_that_is_sure_of_nothing_becomes_no_bundle(tiny_tickets: Path, tiny_base: Path, tmp_path: Path) -> None:
    said = refusal(
        "train", tiny_tickets, "--base", tiny_base, "--out", tmp_path / "x", "--epochs", "1", "--max-length", 64,
        "--learning-rate", "1e-9",
    )  # fmt: skip
    assert re.search(r"needs 64 tickets with a clear answer, the model has \d+: train it longer", said)
    assert not (tmp_path / "x").exists()


def test_an_existing_bundle_is_never_overwritten(tiny_tickets: Path, tiny_base: Path, tmp_path: Path) -> None:
    assert "choose another --out" in refusal("train", tiny_tickets, "--out", tmp_path, "--base", tiny_base)


def test_a_base_that_is_no_model_is_said(tiny_tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = refusal("train", tiny_tickets, "--out", tmp_path / "x", "--base", tmp_path / "empty")
    assert str(tmp_path / "empty") in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_training_on_one_is_refused(tiny_tickets: Path, tiny_base: Path, tmp_path: Path) -> None:
    said = refusal("train", tiny_tickets, "--base", tiny_base, "--out", tmp_path / "x", "--device", "cuda")
    assert "no GPU can be used" in said
    assert "--device cpu" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume"], "--resume needs the folder to go on from: add --checkpoints"),
        (["--unlabelled", __file__], "finetune does not read --unlabelled: add --strategy adapt_finetune"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    tiny_tickets: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in refusal("train", tiny_tickets, "--out", tmp_path / "x", *options)


def test_rules_for_a_folder_that_was_made_by_its_own_are_refused(
    tiny_tickets: Path, tiny_base: Path, tmp_path: Path
) -> None:
    run("dataset", tiny_tickets, tmp_path / "rows")
    said = refusal("train", tmp_path / "rows", "--base", tiny_base, "--out", tmp_path / "x", "--min-support", "5")
    assert "was made by rules of its own: make it again with `presort-model dataset`" in said


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("the parcel is late", "delivery")] * 30, "every row has the label 'delivery'.*give rows of other labels"),
        ([("", "delivery"), ("", "payment")] * 30, "no text in any row: name another with --column description=NAME"),
        ([("my parcel", "delivery"), ("my card", "payment")] * 3, "no label has enough data.*lower --min-support"),
    ],
    ids=["one label", "no text", "few rows"],
)
def test_tickets_that_no_model_can_be_made_of(
    tmp_path: Path, tiny_base: Path, rows: list[tuple[str, str]], message: str
) -> None:
    texts = [f"{text} {tiny.FILLER[number % 12]}" if text else "" for number, (text, _) in enumerate(rows)]
    path = write_tickets(tmp_path / "tickets.csv", texts, [label for _, label in rows])
    assert re.search(message, refusal("train", path, "--base", tiny_base, "--out", tmp_path / "x"))


def test_a_file_that_is_no_table_is_named(tmp_path: Path, tiny_base: Path) -> None:
    (tmp_path / "tickets.xlsx").write_bytes(b"PK\3\4\x14\0\0\0 and so on")
    said = refusal("train", tmp_path / "tickets.xlsx", "--base", tiny_base, "--out", tmp_path / "x")
    assert "Excel workbook: write UTF-8 CSV" in said


def test_a_label_with_three_tickets_is_named_and_left_out(tiny_tickets: Path, tmp_path: Path) -> None:
    path = shutil.copyfile(tiny_tickets, tmp_path / "tickets.csv")
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{10_000 + n},2026-01-0{n + 1}T00:00:00Z,,the voucher number {n},gift\n" for n in range(3))
    printed = run("dataset", path, tmp_path / "rows")
    assert re.search(r"gift +3", printed)
    assert "Next: presort-model compare" in printed


def by_bot(tickets: Path, path: Path, first: int, every: int) -> Path:
    """The tickets with every so many from ``first`` on labelled "delivery" by Presort, and the others by people."""
    header, *lines = tickets.read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header},label_by_bot\n")
        for number, line in enumerate(lines):
            ours = number >= first and number % every == 0
            file.write(f"{line.rpartition(',')[0]},delivery,true\n" if ours else f"{line},false\n")
    return path


def test_what_presort_labelled_itself_calibrates_nothing(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    path = by_bot(tiny_tickets, tmp_path / "tickets.csv", first=0, every=3)
    run("dataset", path, tmp_path / "rows")
    run("export", trained.network, tmp_path / "rows", "--out", tmp_path / "bundle")
    predictor, rows = Predictor(tmp_path / "bundle", "cpu"), store.load(tmp_path / "rows").calibration
    logits, people = predictor.logits(predictor.tokens(rows.texts)), rows.weights >= 1
    assert 0 < people.sum() < len(people)
    expected = fit_temperature(logits[people], rows.targets[people])
    assert predictor.manifest.temperature == pytest.approx(expected, rel=1e-4)
    assert predictor.manifest.temperature != pytest.approx(fit_temperature(logits, rows.targets), rel=0.1)


def test_what_would_stop_it_in_the_end_stops_it_before_the_training(
    tiny_tickets: Path, tiny_base: Path, tmp_path: Path
) -> None:
    options = ["--base", tiny_base, "--out", tmp_path / "x"]
    ours = by_bot(tiny_tickets, tmp_path / "tickets.csv", first=700, every=1)
    (tmp_path / "compare.json").write_text("{}")
    for said, cause in (
        (refusal("train", ours, *options), "people labelled none of the test rows: take a longer history"),
        (
            refusal("train", tiny_tickets, *options, "--compared", tmp_path / "compare.json"),
            "compare.json is not the compare.json that `presort-model compare` writes",
        ),
    ):
        assert cause in said
        assert "to train on" not in said, "that is the plan, which is said first of all"


def test_unlabelled_tickets_are_read_first(tiny_tickets: Path, tiny_base: Path, tmp_path: Path) -> None:
    """They may come without any other column; the report shows both phases."""
    texts = ["description", *tiny.single(200, seed=9).texts, ""]
    (tmp_path / "more.csv").write_text("\n".join(f'"{text}"' for text in texts), encoding="utf-8")
    options = ["--strategy", "adapt_finetune", "--unlabelled", tmp_path / "more.csv", "--learning-rate", "2e-3"]
    more = ["--base", tiny_base, "--epochs", 3, "--max-length", 64, "--target", 0.8, "--out", tmp_path / "bundle"]
    printed = run("train", tiny_tickets, *options, *more)
    assert re.search(r"630 to train on, after \d+ without labels", printed)
    text = (tmp_path / "bundle" / "report" / "report.md").read_text(encoding="utf-8")
    assert "![Loss while adapting to the tickets: " in text
    assert "![Macro-F1 while fine-tuning: " in text


def test_the_range_test_comes_first_among_the_curves() -> None:
    tried = RangeTest(np.array([1e-5, 1e-3, 1e-1]), np.array([2.0, 1.0, 9.0]), 1e-3)
    phases = {
        "adapt": Curves(loss=[3.0, 2.0], rate=[1e-4, 1e-5]),
        "finetune": Curves(loss=[2.0, 1.0] * 300, rate=[1e-3] * 600, epochs=[{"dev_loss": 1.5, "macro_f1": 0.5}] * 3),
    }
    curves = training_curves(phases, tried)
    assert [curve.title for curve in curves] == [
        "Range test: 1.0e-03 was chosen",
        "Loss while adapting to the tickets",
        "Learning rate while adapting to the tickets",
        "Loss while fine-tuning",
        "Macro-F1 while fine-tuning",
        "Learning rate while fine-tuning",
    ]
    assert curves[0].log_x
    loss = curves[3].series
    assert len(loss["training tickets"]) == 200
    assert [y for _, y in loss["training tickets"]] == pytest.approx([5 / 3, 4 / 3] * 100)
    assert loss["calibration tickets"] == [(200, 1.5), (400, 1.5), (600, 1.5)]
