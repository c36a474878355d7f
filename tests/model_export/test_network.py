"""Networks in folders: kept by ``train``, or fine-tuned elsewhere; what becomes a bundle, and what is refused why."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")

from tokenizers import Tokenizer  # noqa: E402 - after the check that torch is there
from transformers import (  # noqa: E402 - see above
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
)

from model_export.base import MeanPooled, classifier, load_base  # noqa: E402 - see above
from model_export.bundle.manifest import read_manifest  # noqa: E402 - see above
from model_export.bundle.predictor import FP32, INT8  # noqa: E402 - see above
from model_export.dataset.arrays import assemble  # noqa: E402 - see above
from model_export.dataset.rows import Row  # noqa: E402 - see above
from model_export.export import export_onnx  # noqa: E402 - see above
from model_export.network import Network, NetworkError, load_network, save_network  # noqa: E402 - see above
from tests.model_export import tiny  # noqa: E402 - see above
from tests.model_export.commands import Trained, refusal, run  # noqa: E402 - see above

torch.set_num_threads(1)  # so small a model only waits for its threads to meet


def test_a_kept_network_makes_the_same_bundle_again(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    run("dataset", tiny_tickets, tmp_path / "rows")
    more = ["--target", "0.8", "--language", "en", "--language", "de"]
    printed = run("export", trained.network, tmp_path / "rows", "--out", tmp_path / "bundle", *more)
    first, again = read_manifest(trained.bundle), read_manifest(tmp_path / "bundle")
    assert (again.temperature, again.metrics) == (first.temperature, first.metrics)
    assert [label.threshold for label in again.labels] == [label.threshold for label in first.labels]
    assert again.files[INT8].sha256 == first.files[INT8].sha256
    assert (first.languages, again.languages) == ((), ("en", "de"))
    assert "it had never seen" in printed
    assert "not known" not in printed


def test_the_same_tickets_split_otherwise_may_have_been_trained_on(
    trained: Trained, tiny_tickets: Path, tmp_path: Path
) -> None:
    printed = run("export", trained.network, tiny_tickets, "--out", tmp_path / "bundle", "--split", "random")
    assert "Whether it was trained on these tickets is not known" in printed
    assert "it had never seen" not in printed


def test_a_network_from_elsewhere_keeps_its_order_of_labels(
    trained: Trained, tiny_tickets: Path, tmp_path: Path
) -> None:
    """As transformers saves it: the labels in another order than ours, one more of them, and no word on the data."""
    ours = DistilBertForSequenceClassification.from_pretrained(trained.network)
    labels = ["spam", "payment", "account", "delivery"]
    ours.config.id2label = dict(enumerate(labels))
    ours.config.label2id = {label: number for number, label in enumerate(labels)}
    del ours.config.presort_data
    theirs = DistilBertForSequenceClassification(ours.config)
    with torch.no_grad():
        theirs.load_state_dict(
            ours.state_dict()
            | {
                "classifier.weight": torch.cat([torch.zeros(1, 64), ours.classifier.weight[[2, 0, 1]]]),
                "classifier.bias": torch.cat([torch.tensor([-9.0]), ours.classifier.bias[[2, 0, 1]]]),
            }
        )
    theirs.save_pretrained(tmp_path / "network")
    AutoTokenizer.from_pretrained(trained.network).save_pretrained(tmp_path / "network")
    printed = run("export", tmp_path / "network", tiny_tickets, "--out", tmp_path / "bundle", "--target", "0.8")
    manifest = read_manifest(tmp_path / "bundle")
    assert [label.value for label in manifest.labels] == labels
    assert manifest.labels[0].threshold > 1
    assert manifest.metrics["accuracy"] == read_manifest(trained.bundle).metrics["accuracy"]
    assert "training_rows" not in manifest.data
    assert "is not known" in printed
    assert "only suggested: spam" in printed
    assert "it had never seen" not in printed


def test_a_bert_classifier_is_converted_exactly(tiny_base: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(tiny_base, num_labels=3, id2label=dict(enumerate(tiny.LABELS)))
    bert = BertForSequenceClassification(config).eval()
    bert.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    network = load_network(tmp_path)
    assert network.labels == tiny.LABELS
    ids = torch.randint(len(tiny.VOCABULARY), (4, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1:, 12:] = 0
    with torch.no_grad():
        expected, actual = (model(input_ids=ids, attention_mask=mask).logits for model in (bert, network.model))
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    assert export_onnx(network.model, tmp_path / FP32) < 1e-4


def test_a_mean_pooled_network_is_kept_and_read_again(tiny_base: Path, tmp_path: Path) -> None:
    start = load_base(str(tiny_base))
    model = classifier(start, 3, 0.1, MeanPooled).eval()
    rows = [Row(ticket_id="1", created_at=1, text="the parcel", labels=("delivery",))]
    dataset = assemble({"train": rows, "calibration": [], "test": []}, tiny.LABELS, {}, "single")
    save_network(Network(model, start.tokenizer, 48, (), None, None, ""), dataset, tmp_path)
    again = load_network(tmp_path)
    assert (again.labels, again.task, again.max_length) == (tiny.LABELS, "single", 48)
    assert again.data == dataset.fingerprint
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        assert torch.equal(*(each(input_ids=ids, attention_mask=ids > 0).logits for each in (model, again.model)))


def test_labels_that_the_network_does_not_know_are_named(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "aliases.toml").write_text('"delivery" = "shipping"')
    said = refusal(
        "export", trained.network, tiny_tickets, "--out", tmp_path / "x", "--aliases", tmp_path / "aliases.toml"
    )
    assert "does not know 'shipping', which the data has; it knows 'account', 'delivery', 'payment'" in said
    assert "--aliases" in said


def test_a_network_of_the_other_task_is_refused(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    said = refusal("export", trained.network, tiny_tickets, "--out", tmp_path / "x", "--separator", "|")
    assert "the network gives one label a ticket, the data has any number" in said


def _weights_of_another_width(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"dim": 64', '"dim": 128'))


def _no_head(folder: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(folder).distilbert
    model.save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace("DistilBertModel", "DistilBertForSequenceClassification"))


def _longer_vocabulary(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["voucher", "coupon"])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_weights_of_another_width, "SizesDifferError: .*the weights do not fit config.json"),
        (_no_head, "NetworkError: .*lacks the weights 'classifier.bias', .*save the fine-tuned model, not its base"),
        (_longer_vocabulary, "SizesDifferError: .*the tokenizer has 37 tokens, the network knows 35"),
        (lambda folder: (folder / "config.json").unlink(), "NetworkError: .*is no complete network"),
        (lambda folder: (folder / "model.safetensors").unlink(), "NetworkError: .*is no complete network"),
    ],
    ids=["width", "head", "vocabulary", "no config", "no weights"],
)
def test_what_is_wrong_with_a_network_is_named(
    trained: Trained, tmp_path: Path, break_it: object, message: str
) -> None:
    folder = shutil.copytree(trained.network, tmp_path / "network")
    assert callable(break_it)
    break_it(folder)
    with pytest.raises(NetworkError) as caught:
        load_network(folder)
    said = f"{type(caught.value).__name__}: {caught.value}"
    assert re.match(message, said), said
    assert len(said) < 600


def test_a_base_is_no_classifier(tiny_base: Path, tiny_tickets: Path, tmp_path: Path) -> None:
    said = refusal("export", tiny_base, tiny_tickets, "--out", tmp_path / "x")
    assert "holds BertForMaskedLM, which is no classifier" in said
    assert "presort-model train" in said


def test_more_tokens_than_the_base_can_read_are_refused(trained: Trained, tiny_tickets: Path, tmp_path: Path) -> None:
    """A worker would fail at the first long ticket."""
    said = refusal("export", trained.network, tiny_tickets, "--out", tmp_path / "x", "--max-length", 128)
    assert "reads at most 64 tokens of a text: make it with --max-length 64" in said
