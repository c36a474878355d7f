"""The model contract: what loads, what is refused and in which words, and what the predictor promises."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer

from demo.tickets import CATEGORIES, generate
from model_export.bundle.manifest import GOLDEN, MANIFEST, TOKENIZER, BundleError, describe_files, read_manifest
from model_export.bundle.predictor import CPU, CUDA, FP16, FP32, GOLDEN_BYTES, INT8, Predictor, read_golden
from model_export.bundle.text import TEXT_VERSION, prepare_text
from model_export.cli import main

BUNDLE = Path(__file__).parents[1] / "demo" / "bundle"
WIDTH = 128


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(BUNDLE, "cpu")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Prepared tickets of all lengths."""
    rng = random.Random(4)
    tickets = [generate(rng, rng.choice(CATEGORIES).value) for _ in range(200)]
    return [prepare_text(ticket.subject, ticket.description) for ticket in tickets]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle to tamper with."""
    return shutil.copytree(BUNDLE, tmp_path / "bundle")


def edit(folder: Path, **changes: Any) -> None:
    """Change the manifest by hand; None removes an entry."""
    path = folder / MANIFEST
    entries = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in entries.items() if value is not None}))


def publish(folder: Path) -> None:
    """Hash the files as they are now, as their maker would: what is wrong with them is inside."""
    edit(folder, files={name: {"sha256": f.sha256, "size": f.size} for name, f in describe_files(folder).items()})


def twist_golden(folder: Path) -> None:
    """Golden answers of another model: every label is the next one."""
    golden = dict(np.load(folder / GOLDEN))
    np.savez(folder / GOLDEN, **golden | {"logits": np.roll(golden["logits"], 1, axis=1)})


def twist_graph(folder: Path, graph: str) -> None:
    """A graph that loads and answers nonsense: its int8 word embeddings backwards."""
    rows = Tokenizer.from_file(str(folder / TOKENIZER)).get_vocab_size()
    size = rows * WIDTH
    varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    raw = (folder / graph).read_bytes()
    start = raw.index(b"\x4a" + varint) + 1 + len(varint)  # TensorProto.raw_data: field 9, length-delimited
    (folder / graph).write_bytes(raw[:start] + raw[start : start + size][::-1] + raw[start + size :])


def test_the_demo_bundle_reads() -> None:
    manifest = read_manifest(BUNDLE)
    assert manifest.text_version == TEXT_VERSION
    assert set(manifest.files) == {INT8, TOKENIZER, GOLDEN}


def test_a_missing_folder_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read .*point `bundle` at a bundle's folder"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("protocol", [0, 2, "1", None])
def test_another_protocol_is_refused_by_name(copy: Path, protocol: Any) -> None:
    edit(copy, protocol=protocol)
    with pytest.raises(BundleError, match=rf"has protocol {protocol!r}, this worker reads 1: export .* again"):
        read_manifest(copy)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'{"protocol": 1}', b'{"protocol": 1, "name": "\xff"}'])
def test_what_is_no_manifest_is_refused(copy: Path, raw: bytes) -> None:
    (copy / MANIFEST).write_bytes(raw)
    with pytest.raises(BundleError, match="is not a bundle manifest"):
        read_manifest(copy)


@pytest.mark.parametrize("field", ["name", "labels", "max_length", "text_version", "files", "task"])
def test_a_missing_field_is_named(copy: Path, field: str) -> None:
    edit(copy, **{field: None})
    with pytest.raises(BundleError, match=f"missing required field `{field}`"):
        read_manifest(copy)


@pytest.mark.parametrize("values", [["refund", "*"], ["refund", ""], ["refund", "refund"]])
def test_labels_are_tags_each_once(copy: Path, values: list[str]) -> None:
    edit(copy, labels=[{"value": one, "name": "Some"} for one in values])
    with pytest.raises(BundleError, match="cannot be labels"):
        read_manifest(copy)


def test_no_labels_is_no_model(copy: Path) -> None:
    edit(copy, labels=[])
    with pytest.raises(BundleError, match="names no labels"):
        read_manifest(copy)


@pytest.mark.parametrize("name", [INT8, TOKENIZER, GOLDEN])
def test_an_altered_file_is_refused(copy: Path, name: str) -> None:
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(BundleError, match=rf"{name} is not the file that was published \(SHA-256 differs\)"):
        read_manifest(copy)


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / INT8).unlink()
    with pytest.raises(BundleError, match=rf"{INT8} is named in the manifest but missing"):
        read_manifest(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "link"])
def test_a_path_out_of_the_folder_is_refused(copy: Path, name: str) -> None:
    (copy.parent / "outside").write_bytes(b"")
    (copy / "link").symlink_to("../outside")
    edit(copy, files=json.loads((copy / MANIFEST).read_text())["files"] | {name: {"sha256": "", "size": 0}})
    with pytest.raises(BundleError, match="points outside the bundle"):
        read_manifest(copy)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "circle"])
def test_a_name_that_no_file_has_is_refused(copy: Path, name: str) -> None:
    (copy / "circle").symlink_to("circle")
    edit(copy, files=json.loads((copy / MANIFEST).read_text())["files"] | {name: {"sha256": "", "size": 0}})
    with pytest.raises(BundleError, match="is no file's name"):
        read_manifest(copy)


@pytest.mark.parametrize(
    ("field", "value"), [("temperature", 0), ("max_length", 0), ("max_length", 10**9), ("temperature", -1)]
)
def test_a_number_that_no_model_can_have_is_refused(copy: Path, field: str, value: float) -> None:
    edit(copy, **{field: value})
    with pytest.raises(BundleError, match=f"Expected .* at `\\$.{field}`"):
        read_manifest(copy)


def test_a_manifest_nested_without_end_is_refused(copy: Path) -> None:
    (copy / MANIFEST).write_bytes(b'{"protocol": 1, "data": ' + b"[" * 100_000)
    with pytest.raises(BundleError, match="is not a bundle manifest"):
        read_manifest(copy)


def test_golden_answers_that_unpack_to_gigabytes_are_refused(copy: Path) -> None:
    with zipfile.ZipFile(copy / GOLDEN, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("input_ids.npy", bytes(GOLDEN_BYTES + 1))
    publish(copy)
    with pytest.raises(BundleError, match="unpacks to 67 MB"):
        Predictor(copy)


@pytest.mark.parametrize("where", ["weights", "../weights", "link", "/etc/hostname"])
def test_a_graph_reads_no_file_beside_it(copy: Path, where: str) -> None:
    """ONNX may keep weights in other files; the manifest lists none, so nobody verified them."""
    for place in (copy, copy.parent):
        (place / "weights").write_bytes(bytes(16))
    (copy / "link").symlink_to("../weights")
    (copy / INT8).write_bytes(graph_with_weights_in(where))
    listed = {name: file for name, file in describe_files(copy).items() if name in {INT8, TOKENIZER, GOLDEN}}
    edit(copy, files={name: {"sha256": one.sha256, "size": one.size} for name, one in listed.items()})
    with pytest.raises(BundleError, match="External data path"):
        Predictor(copy)


def graph_with_weights_in(where: str) -> bytes:
    """The smallest graph that a bundle could have, its four weights in another file."""
    onnx = pytest.importorskip("onnx", reason="making a graph needs the train extra")
    helper, proto = onnx.helper, onnx.TensorProto
    weights = proto(name="w", data_type=proto.FLOAT, dims=[4], data_location=proto.EXTERNAL)
    for key, value in (("location", where), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    ids, mask = (
        helper.make_tensor_value_info(name, proto.INT64, [None, None]) for name in ("input_ids", "attention_mask")
    )
    logits = helper.make_tensor_value_info("logits", proto.FLOAT, [4])
    nodes = [helper.make_node("Identity", ["w"], ["logits"])]
    graph = helper.make_graph(nodes, "g", [ids, mask], [logits], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("name", [TOKENIZER, GOLDEN])
def test_a_file_every_worker_needs_must_be_listed(copy: Path, name: str) -> None:
    files = json.loads((copy / MANIFEST).read_text())["files"]
    edit(copy, files={listed: file for listed, file in files.items() if listed != name})
    with pytest.raises(BundleError, match=f"does not list {name}"):
        read_manifest(copy)


def test_the_demo_bundle_passes_its_self_test(predictor: Predictor) -> None:
    sequences, logits = read_golden(BUNDLE)
    assert logits.shape == (len(sequences), len(predictor.manifest.labels)) == (64, 10)
    assert predictor.graph == INT8
    assert predictor.agreement >= 0.97


@pytest.mark.parametrize("version", [TEXT_VERSION - 1, TEXT_VERSION + 1])
def test_another_text_version_is_refused(copy: Path, version: int) -> None:
    edit(copy, text_version=version)
    with pytest.raises(BundleError, match=f"trained on text version {version}, this release prepares version"):
        Predictor(copy)


def test_wrong_golden_answers_are_refused(copy: Path) -> None:
    twist_golden(copy)
    publish(copy)
    with pytest.raises(BundleError, match=rf"fails its self-test .*{INT8} agrees on \d+\.\d% of 64"):
        Predictor(copy)


def test_a_graph_that_answers_nonsense_is_refused(copy: Path) -> None:
    twist_graph(copy, INT8)
    publish(copy)
    with pytest.raises(BundleError, match="fails its self-test"):
        Predictor(copy)


def test_the_next_graph_serves_when_the_first_answers_nonsense(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copyfile(copy / INT8, copy / FP32)
    twist_graph(copy, INT8)
    publish(copy)
    predictor = Predictor(copy, "cpu")
    assert predictor.graph == FP32
    assert predictor.agreement >= 0.97
    assert f"{INT8} agrees on" in caplog.text


def test_a_graph_that_is_not_listed_never_serves(copy: Path) -> None:
    shutil.copyfile(copy / INT8, copy / FP32)
    (copy / INT8).unlink()
    edit(copy, files={n: f for n, f in json.loads((copy / MANIFEST).read_text())["files"].items() if n != INT8})
    with pytest.raises(BundleError, match="it has no graph to try"):
        Predictor(copy, "cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [(INT8, "does not run on CPUExecutionProvider"), (TOKENIZER, "is not a tokenizer"), (GOLDEN, "does not load")],
)
def test_a_published_file_that_is_garbage_is_refused(copy: Path, name: str, message: str) -> None:
    (copy / name).write_bytes(b"garbage")
    publish(copy)
    with pytest.raises(BundleError, match=f"{name} {message}"):
        Predictor(copy)


def test_golden_answers_for_other_labels_are_refused(copy: Path) -> None:
    edit(copy, labels=json.loads((copy / MANIFEST).read_text())["labels"][:-1])
    with pytest.raises(BundleError, match=r"logits \(64, 10\), the manifest 9 labels"):
        Predictor(copy)


@pytest.mark.skipif(CUDA in ort.get_available_providers(), reason="this machine has CUDA")
def test_cuda_without_a_gpu_is_refused_and_auto_takes_the_cpu() -> None:
    with pytest.raises(BundleError, match=r"provider is cuda, but onnxruntime-gpu .* set provider = 'auto'"):
        Predictor(BUNDLE, "cuda")
    assert Predictor(BUNDLE, "auto").provider == "CPUExecutionProvider"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu without a GPU that works: CUDA is listed, and a session gets the CPU only."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU as far as can be told from outside; the CPU does its sums."""

    class Session(ort.InferenceSession):  # type: ignore[misc]  # untyped base
        def __init__(self, graph: bytes, options: ort.SessionOptions, providers: list[str], **more: Any) -> None:
            self.asked = providers
            super().__init__(graph, options, providers=[CPU], **more)

        def get_providers(self) -> list[str]:
            return self.asked

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", Session)


@pytest.fixture
def whole(copy: Path) -> Path:
    """A bundle with all three graphs; that each is what its name says matters not here."""
    for graph in (FP32, FP16):
        shutil.copyfile(copy / INT8, copy / graph)
    publish(copy)
    return copy


@pytest.mark.usefixtures("listed")
def test_cuda_without_its_graph_is_refused_and_auto_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BundleError, match=f"provider is cuda, but the bundle has no {FP16}: make it with --fp16"):
        Predictor(BUNDLE, "cuda")
    assert Predictor(BUNDLE, "auto").provider == CPU
    assert f"CUDA is here, but the bundle has no {FP16}" in caplog.text


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("wanted", "provider", "graph"), [("auto", CUDA, FP16), ("cuda", CUDA, FP16), ("cpu", CPU, INT8)]
)
def test_a_gpu_gets_fp16_and_a_cpu_int8(whole: Path, wanted: Any, provider: str, graph: str) -> None:
    predictor = Predictor(whole, wanted)
    assert (predictor.provider, predictor.graph) == (provider, graph)
    assert predictor.agreement >= 0.97


def test_a_gpu_is_not_missed_where_there_is_none(whole: Path) -> None:
    predictor = Predictor(whole, "auto")
    assert (predictor.provider, predictor.graph) == (CPU, INT8)


@pytest.mark.usefixtures("listed")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available:UserWarning")
def test_a_gpu_that_does_not_start_leaves_the_work_to_the_cpu_and_says_so(
    whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By itself onnxruntime goes on with fp16 on the CPU, in silence."""
    predictor = Predictor(whole, "auto")
    assert (predictor.provider, predictor.graph) == (CPU, INT8)
    assert f"{FP16} does not run on {CUDA}" in caplog.text
    assert f"{INT8} serves on {CPU} instead" in caplog.text
    with pytest.raises(BundleError, match=rf"fails its self-test .*{FP16} does not run on {CUDA} .*CUDA and cuDNN"):
        Predictor(whole, "cuda")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("broken", "provider", "graph"), [([FP16], CPU, INT8), ([FP16, INT8], CPU, FP32), ([INT8], CUDA, FP16)]
)
def test_graphs_are_tried_in_turn(
    whole: Path, caplog: pytest.LogCaptureFixture, broken: list[str], provider: str, graph: str
) -> None:
    for name in broken:
        twist_graph(whole, name)
    publish(whole)
    predictor = Predictor(whole, "auto")
    assert (predictor.provider, predictor.graph) == (provider, graph)
    asked = broken if graph != FP16 else []
    assert [name for name in (FP16, INT8, FP32) if f"{name} agrees on" in caplog.text] == asked


@pytest.mark.usefixtures("gpu")
def test_when_no_graph_answers_rightly_the_refusal_names_each(whole: Path) -> None:
    for graph in (FP16, INT8):
        twist_graph(whole, graph)
    (whole / FP32).write_bytes(b"garbage")
    publish(whole)
    with pytest.raises(BundleError, match=rf"{FP16} agrees on .*{INT8} agrees on .*{FP32} does not run on {CPU}"):
        Predictor(whole, "auto")


def test_probabilities_sum_to_one(predictor: Predictor, texts: list[str]) -> None:
    probabilities = predictor.predict(texts)
    assert probabilities.shape == (len(texts), len(predictor.manifest.labels))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_answers_come_in_the_order_asked(predictor: Predictor, texts: list[str]) -> None:
    assert len({len(tokens) for tokens in predictor.tokens(texts)}) > 50
    order = random.Random(1).sample(range(len(texts)), len(texts))
    shuffled = predictor.predict([texts[row] for row in order])
    np.testing.assert_allclose(shuffled, predictor.predict(texts)[order], atol=0.05)


def test_company_hardly_changes_an_answer(predictor: Predictor, texts: list[str]) -> None:
    """int8 scales activations by the batch's largest: measured on 1,000 tickets, half move by less than 0.0002."""
    together = predictor.predict(texts)
    alone = np.concatenate([predictor.predict([text]) for text in texts])
    moved = np.abs(together - alone).max(axis=1)
    assert np.median(moved) < 0.001
    assert moved.max() < 0.05


def test_nothing_asked_nothing_answered(predictor: Predictor) -> None:
    assert predictor.predict([]).shape == (0, len(predictor.manifest.labels))


@pytest.mark.parametrize(
    "text", ["", "lamp " * 40_000, "x" * 200_000, "🌱" * 50_000], ids=["empty", "words", "word", "emoji"]
)
def test_any_length_is_answered(predictor: Predictor, text: str) -> None:
    (tokens,) = predictor.tokens([text])
    assert 2 <= len(tokens) <= predictor.manifest.max_length
    assert predictor.predict([text]).sum() == pytest.approx(1, abs=1e-5)


def test_masked_data_is_one_token_each(predictor: Predictor) -> None:
    (tokens,) = predictor.tokens(["<email> <url> <card> <phone> <number>"])
    assert len(tokens) == 2 + 5


def test_temperature_softens_and_multi_answers_each_label_by_itself(copy: Path, predictor: Predictor) -> None:
    logits = read_golden(BUNDLE)[1]
    edit(copy, temperature=2.0)
    softer = Predictor(copy).probabilities(logits)
    assert (softer.max(axis=1) < predictor.probabilities(logits).max(axis=1)).all()
    edit(copy, temperature=1.0, task="multi")
    np.testing.assert_allclose(Predictor(copy).probabilities(logits), 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_a_good_bundle_is_described() -> None:
    result = CliRunner().invoke(main, ["check", str(BUNDLE), "My parcel never arrived"])
    assert result.exit_code == 0
    manifest = read_manifest(BUNDLE)
    for expected in (manifest.version, "ms a ticket", INT8, "of 64 golden sequences", "Orders::Refund"):
        assert expected in result.output
    assert "Next: presort-model publish" in result.output
    assert "delivery_delay" in result.output.split("My parcel never arrived\n")[1].splitlines()[0]


def test_a_bad_bundle_is_one_clear_line_and_status_1(copy: Path) -> None:
    (copy / INT8).unlink()
    result = CliRunner().invoke(main, ["check", str(copy)])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "named in the manifest but missing" in result.output


def test_a_category_that_may_not_be_filled_is_shown_as_suggest_only(copy: Path) -> None:
    labels = json.loads((copy / MANIFEST).read_text())["labels"]
    edit(copy, labels=[labels[0] | {"threshold": 2.0}, labels[1] | {"precision_bound": 0.913}, *labels[2:]])
    lines = CliRunner().invoke(main, ["check", str(copy)]).output.splitlines()
    assert any(labels[0]["value"] in line and "suggest only" in line for line in lines)
    assert any(labels[1]["value"] in line and "91%" in line for line in lines)


def test_a_bundle_from_before_a_field_was_added_still_reads() -> None:
    """The demo's bundle has neither: workers may ignore both, so the protocol is the same."""
    manifest = read_manifest(BUNDLE)
    assert manifest.confusion is None
    assert {label.precision_bound for label in manifest.labels} == {None}
