"""Bundles of random weights: speed does not depend on what a model knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

from benchmarks.pipeline.stage import TOPICS
from demo.build_bundle import train_tokenizer
from model_export.bundle.manifest import PROTOCOL, Label, Manifest
from model_export.bundle.predictor import INT8
from model_export.bundle.text import TEXT_VERSION
from model_export.export import export_onnx
from model_export.pack import pack
from model_export.quantize import quantize_int8

LONGEST = 512


class Size(NamedTuple):
    """A DistilBERT's: width, heads and layers, and tokens it knows."""

    width: int
    heads: int
    layers: int = 6
    vocabulary: int = 30_522


SIZES = {"base": Size(768, 12), "384": Size(384, 12), "tiny": Size(32, 2, 1, 5_000)}
"""``tiny`` is for tests."""


class Made(NamedTuple):
    """A bundle, and the same network as ``transformers`` reads it."""

    bundle: Path
    network: Path


def tokenizer_for(texts: Sequence[str]) -> Tokenizer:
    """WordPiece, learned from the texts."""
    return train_tokenizer(texts[:1_000])


def make(folder: Path, size: Size, tokenizer: Tokenizer, candidates: Sequence[str]) -> Made:
    """Export, quantise and pack a network of random weights; ``candidates`` are texts for its self-test."""
    torch.manual_seed(1)
    config = DistilBertConfig(
        vocab_size=size.vocabulary,
        max_position_embeddings=LONGEST,
        dim=size.width,
        hidden_dim=4 * size.width,
        n_heads=size.heads,
        n_layers=size.layers,
        num_labels=TOPICS,
    )
    model = DistilBertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.normal_(0, 30 / size.width**0.5)  # logits far enough apart for the self-test
    folder.mkdir(parents=True, exist_ok=True)
    fp32, int8, vocabulary = folder / "fp32.onnx", folder / INT8, folder / "tokenizer.json"
    export_onnx(model, fp32)
    quantize_int8(fp32, int8)
    tokenizer.enable_truncation(LONGEST)
    tokenizer.save(str(vocabulary), pretty=False)
    network = folder / "network"
    model.save_pretrained(network)
    for_torch = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106 - a token of text, no password
        model_max_length=LONGEST,
        model_input_names=["input_ids", "attention_mask"],
    )
    for_torch.save_pretrained(network)
    now = datetime.now(UTC)
    manifest = Manifest(
        protocol=PROTOCOL,
        name="benchmark",
        version=now.strftime("%Y%m%dT%H%M%SZ"),
        created=now.isoformat(timespec="seconds"),
        task="single",
        labels=tuple(Label(value=f"topic_{one}", name=f"Topic {one}", threshold=0.0) for one in range(TOPICS)),
        max_length=LONGEST,
        text_version=TEXT_VERSION,
        files={},
        base=f"DistilBERT, {size.layers} layers of width {size.width}, random weights",
    )
    bundle = folder / "bundle"
    # Held against the int8 graph itself: how far random weights are from fp32 is nobody's business.
    pack(
        bundle,
        manifest,
        tokenizer=vocabulary,
        graphs={INT8: int8},
        reference=int8,
        candidates=[one.ids for one in tokenizer.encode_batch(candidates)],
    )
    fp32.unlink()
    return Made(bundle, network)
