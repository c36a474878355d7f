"""Tiny random models and tickets that take a second to learn."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from model_export.dataset.rows import Split

WORDS = {
    "delivery": ["parcel", "courier", "late", "tracking", "shipped", "missing"],
    "payment": ["card", "refund", "charged", "invoice", "twice", "bank"],
    "account": ["password", "login", "email", "locked", "reset", "profile"],
}
LABELS = tuple(WORDS)
FILLER = ["the", "my", "is", "please", "and", "help", "was", "it", "again", "hello", "today", "thanks"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *FILLER, *(word for words in WORDS.values() for word in words)]


def save_bert(folder: Path) -> BertForMaskedLM:
    """A random BERT with a word-level vocabulary, saved as a hub folder is."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.1,  # at BERT's 0.02 so small a model hardly learns, and a wrong conversion hardly shows
    )
    model = BertForMaskedLM(config).eval()
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, VOCABULARY.index(token)) for token in ("[CLS]", "[SEP]")]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return model


def single(rows: int, seed: int = 0) -> Split:
    """Tickets of 3 to 11 words, two of them telling, each with one label."""
    rng = random.Random(seed)
    targets = np.array([rng.randrange(len(LABELS)) for _ in range(rows)])
    return _split([_text(rng, [label]) for label in targets], targets)


def multi(rows: int, seed: int = 0) -> Split:
    """Tickets with one or two labels each."""
    rng = random.Random(seed)
    chosen = [rng.sample(range(len(LABELS)), rng.choice([1, 1, 2])) for _ in range(rows)]
    targets = np.array([[int(label in row) for label in range(len(LABELS))] for row in chosen])
    return _split([_text(rng, row) for row in chosen], targets)


def _text(rng: random.Random, labels: list[int]) -> str:
    words = [word for label in labels for word in rng.sample(WORDS[LABELS[label]], 2)]
    words += rng.choices(FILLER, k=rng.randint(1, 9 - len(words)))
    rng.shuffle(words)
    return " ".join(words)


def _split(texts: list[str], targets: NDArray[np.int64]) -> Split:
    count = len(texts)
    return Split(
        texts=texts,
        targets=targets,
        weights=np.ones(count, dtype=np.float32),
        created_at=np.arange(count, dtype=np.float64),
        ticket_ids=[str(number) for number in range(count)],
    )
