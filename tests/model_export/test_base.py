"""Base models: where they come from, and that a BERT in DistilBERT's layout is the same function."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if not TYPE_CHECKING:
    pytest.importorskip("torch", reason="the base models need the train extra")

import torch
from transformers import AutoTokenizer, BertForMaskedLM, DistilBertForSequenceClassification, GPT2Config

from model_export.base import PACKAGES, POOLING, BaseModelError, MeanPooled, classifier, convert_bert, load_base
from tests.model_export import tiny

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TOLERANCE = 1e-5


def hidden(encoder: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Last hidden states of the tokens that are no padding."""
    with torch.inference_mode():
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]


def test_a_converted_bert_is_the_same_function(tmp_path: Path) -> None:
    """Hidden states and masked-word scores, with padding, up to the longest sequence."""
    bert = tiny.save_bert(tmp_path)
    distilbert = load_base(str(tmp_path)).model
    ids = torch.randint(5, len(tiny.VOCABULARY), (3, 64), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 10:] = mask[1, 40:] = 0
    expected = hidden(bert.bert, ids, mask)
    assert expected.std() > 0.5
    torch.testing.assert_close(hidden(distilbert.distilbert, ids, mask), expected, rtol=0, atol=TOLERANCE)
    with torch.inference_mode():
        expected = bert(input_ids=ids[2:]).logits
        torch.testing.assert_close(distilbert(input_ids=ids[2:]).logits, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(
    importlib.util.find_spec(PACKAGES[MINILM]) is None, reason="the real MiniLM needs the `offline` extra"
)
def test_the_real_minilm_is_the_same_function() -> None:
    base = load_base(MINILM)
    assert base.mean_pooled
    spec = importlib.util.find_spec(PACKAGES[MINILM])
    assert spec
    assert spec.origin
    folder = Path(spec.origin).parent / "model"
    texts = ["My parcel never arrived, and nobody answers the phone.", "Refund?", "hello " * 200]
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    expected = hidden(BertForMaskedLM.from_pretrained(folder).eval().bert, ids, mask)
    torch.testing.assert_close(hidden(base.model.distilbert, ids, mask), expected, rtol=0, atol=TOLERANCE)
    assert base.tokenizer.encode(texts[0]).ids == ids[0][mask[0].bool()].tolist()
    assert (
        sum(parameter.numel() for parameter in base.model.distilbert.parameters()) == 22_713_216 - 147_840 - 768
    )  # without pooler and token types


def test_a_distilbert_folder_loads_as_it_is(tmp_path: Path) -> None:
    tiny.save_bert(tmp_path / "bert")
    base = load_base(str(tmp_path / "bert"))
    base.model.save_pretrained(tmp_path / "distilbert")
    for file in (tmp_path / "bert").glob("*token*"):
        file.rename(tmp_path / "distilbert" / file.name)
    again = load_base(str(tmp_path / "distilbert"))
    expected = base.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.model.state_dict().items())


def test_a_classifier_starts_from_the_bases_encoder(tmp_path: Path) -> None:
    tiny.save_bert(tmp_path)
    base = load_base(str(tmp_path))
    model = classifier(base, labels=7, dropout=0.2)
    ids = torch.tensor([[2, 6, 7, 3]])
    assert model.eval()(input_ids=ids).logits.shape == (1, 7)
    assert torch.equal(
        hidden(model.distilbert, ids, torch.ones_like(ids)), hidden(base.model.distilbert, ids, torch.ones_like(ids))
    )
    model.distilbert.embeddings.word_embeddings.weight.data.zero_()
    assert base.model.distilbert.embeddings.word_embeddings.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, MeanPooled),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, DistilBertForSequenceClassification),
        (None, DistilBertForSequenceClassification),
    ],
)
def test_a_sentence_encoder_is_classified_by_what_it_was_trained_to_say(
    tmp_path: Path, said: dict[str, bool] | None, kind: type[DistilBertForSequenceClassification]
) -> None:
    """By the mean of its token states where the checkpoint says so, else by the first token's."""
    tiny.save_bert(tmp_path)
    if said is not None:
        (tmp_path / POOLING).parent.mkdir()
        (tmp_path / POOLING).write_text(json.dumps(said), encoding="utf-8")
    model = classifier(load_base(str(tmp_path)), labels=7, dropout=0.2)
    assert type(model) is kind
    ids, mask = torch.tensor([[2, 6, 7, 3], [2, 6, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    alone = model.eval()(input_ids=ids[1:, :3], attention_mask=mask[1:, :3]).logits
    torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits[1:], alone)


def test_a_base_that_reads_shorter_texts_is_refused_before_any_training(tmp_path: Path) -> None:
    tiny.save_bert(tmp_path)
    assert load_base(str(tmp_path), 64)
    with pytest.raises(BaseModelError, match="reads at most 64 tokens of a text: use --max-length 64"):
        load_base(str(tmp_path), 65)


def test_what_distilbert_cannot_express_is_refused(tmp_path: Path) -> None:
    bert = tiny.save_bert(tmp_path)
    bert.config.layer_norm_eps = 1e-5
    with pytest.raises(BaseModelError, match="layer_norm_eps is 1e-05"):
        convert_bert(bert)


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(BaseModelError, match="is a gpt2 model: choose a DistilBERT or BERT checkpoint"):
        load_base(str(tmp_path))


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"is no complete model .*config\.json, weights and tokenizer\.json"):
        load_base(str(tmp_path))


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="there is no folder"):
        load_base(str(tmp_path / "missing"))


def test_an_unreachable_hub_names_the_cures(tmp_path: Path) -> None:
    """In a process of its own, because the hub's library reads its settings once; a dead network takes it 25 s more."""
    done = subprocess.run(
        [sys.executable, "-c", "from model_export.base import load_base; load_base('distilbert-base-uncased')"],
        env=os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "BaseModelError: distilbert-base-uncased is not on this machine and the model hub cannot be reached" in last
    assert "name a folder that holds the model, or install the `offline` extra" in last
