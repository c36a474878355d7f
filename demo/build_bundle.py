"""Trains the demo's model on our own tickets: ``python -m demo.build_bundle`` rebuilds ``demo/bundle/``.

Needs the ``train`` extra and about four minutes on one CPU core. It is seeded: on one machine, with one number of
threads, two builds give the same bytes; elsewhere sums are added in another order and the last digits differ.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tqdm import tqdm
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from demo.tickets import CATEGORIES, Phrasings, generate, vague
from model_export.bundle.manifest import PROTOCOL, Label, Manifest, write_manifest
from model_export.bundle.predictor import Predictor
from model_export.bundle.text import TEXT_VERSION, prepare_text
from model_export.export import export_onnx
from model_export.pack import pack
from model_export.quantize import quantize_int8

TARGET = Path(__file__).with_name("bundle")
THRESHOLD = 0.8
SEED, FRESH_SEED = 20, 21

TRAINING_TICKETS = 16_000
FRESH_TICKETS = 2_000
VAGUE_SHARE = 0.08
"""Tickets in training that say nothing; their target is every category alike, so that the model learns to doubt."""
SMOOTHING = 0.05

VOCABULARY = 4_000
MAX_LENGTH = 256
BATCH = 32
LEARNING_RATE = 1e-3

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
PLACEHOLDERS = ["<email>", "<url>", "<card>", "<phone>", "<number>"]


class Rows(NamedTuple):
    """Prepared texts and the index of each one's category; -1 when nobody could tell."""

    texts: list[str]
    labels: list[int]


def main() -> None:
    """Train, export, quantise, measure what ships, pack."""
    torch.manual_seed(SEED)
    rows = write_rows(random.Random(SEED), TRAINING_TICKETS, "train", VAGUE_SHARE)
    tokenizer = train_tokenizer(rows.texts)
    model = train(tokenizer, rows)
    with tempfile.TemporaryDirectory() as work:
        build(Path(work), tokenizer, model, rows)


def write_rows(rng: random.Random, count: int, phrasings: Phrasings, vague_share: float = 0.0) -> Rows:
    """Generated tickets as the model sees them."""
    rows = Rows([], [])
    for _ in range(count):
        label = -1 if rng.random() < vague_share else rng.randrange(len(CATEGORIES))
        ticket = vague(rng, phrasings) if label < 0 else generate(rng, CATEGORIES[label].value, phrasings)
        rows.texts.append(prepare_text(ticket.subject, ticket.description))
        rows.labels.append(label)
    return rows


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """A WordPiece vocabulary of its own; ``prepare_text``'s placeholders stay whole."""
    draft = bert_tokenizer({})
    # The trainer meets letters inside words in the random order of a hash map, numbers them as it goes, and breaks ties
    # by number. Named before training, they have the same numbers every time, and a seed gives one vocabulary.
    letters = sorted({letter for text in texts for letter in draft.normalizer.normalize_str(text)} - {" "})
    inside = [f"##{letter}" for letter in letters]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL + inside, show_progress=False)
    draft.train_from_iterator(texts, trainer)
    tokenizer = bert_tokenizer(draft.get_vocab())
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(PLACEHOLDERS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    )
    tokenizer.enable_truncation(MAX_LENGTH)
    return tokenizer


def bert_tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    """BERT's way to split text, uncased."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text, no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def train(tokenizer: Tokenizer, rows: Rows) -> DistilBertForSequenceClassification:
    """One pass over the tickets, from random weights, with AdamW and a one-cycle learning rate."""
    model = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=MAX_LENGTH,
            n_layers=4,
            n_heads=4,
            dim=128,
            hidden_dim=512,
            num_labels=len(CATEGORIES),
        )
    )
    sequences = [torch.tensor(encoding.ids) for encoding in tokenizer.encode_batch(rows.texts)]
    goal = targets(rows.labels)
    batches = list(batches_of_like_length([len(sequence) for sequence in sequences], random.Random(SEED)))
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches), pct_start=0.1)
    model.train()
    progress = tqdm(batches, desc="training", unit="batch")
    for batch in progress:
        ids = torch.nn.utils.rnn.pad_sequence([sequences[row] for row in batch], batch_first=True)
        logits = model(input_ids=ids, attention_mask=(ids != 0).long()).logits
        loss = torch.nn.functional.cross_entropy(logits, goal[batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}")
    return model


def targets(labels: Sequence[int]) -> torch.Tensor:
    """Smoothed one-hot rows, (tickets, categories); uniform for tickets that nobody could sort."""
    goal = torch.full((len(labels), len(CATEGORIES)), 1 / len(CATEGORIES))
    for row, label in enumerate(labels):
        if label >= 0:
            goal[row] *= SMOOTHING
            goal[row, label] += 1 - SMOOTHING
    return goal


def batches_of_like_length(lengths: Sequence[int], rng: random.Random) -> Iterator[list[int]]:
    """Row numbers in random batches; within a stretch of 50 batches like lengths go together, against padding."""
    rows = list(range(len(lengths)))
    rng.shuffle(rows)
    for start in range(0, len(rows), 50 * BATCH):
        stretch = sorted(rows[start : start + 50 * BATCH], key=lengths.__getitem__)
        batches = [stretch[at : at + BATCH] for at in range(0, len(stretch), BATCH)]
        rng.shuffle(batches)
        yield from batches


def build(work: Path, tokenizer: Tokenizer, model: DistilBertForSequenceClassification, rows: Rows) -> None:
    """Export, quantise, measure the int8 file, and replace ``demo/bundle/``."""
    fp32, int8, vocabulary = work / "model.fp32.onnx", work / "model.int8.onnx", work / "tokenizer.json"
    difference = export_onnx(model, fp32)
    quantize_int8(fp32, int8)
    tokenizer.save(str(vocabulary), pretty=False)
    now = datetime.now(UTC)
    manifest = Manifest(
        protocol=PROTOCOL,
        name="demo",
        version=now.strftime("%Y%m%dT%H%M%SZ"),
        created=now.isoformat(timespec="seconds"),
        task="single",
        labels=tuple(Label(value=category.value, name=category.name, threshold=THRESHOLD) for category in CATEGORIES),
        max_length=MAX_LENGTH,
        text_version=TEXT_VERSION,
        files={},
        base="DistilBERT, 4 layers of width 128, from random weights",
        data={
            "source": "demo/tickets.py",
            "tickets": len(rows.texts),
            "sha256": hashlib.sha256("\n".join(rows.texts).encode()).hexdigest(),
        },
    )
    candidates = [encoding.ids for encoding in tokenizer.encode_batch(fresh_rows("all").texts[:200])]
    folder = work / "bundle"
    graphs = {int8.name: int8}
    manifest = pack(folder, manifest, tokenizer=vocabulary, graphs=graphs, reference=fp32, candidates=candidates)
    metrics = measure(Predictor(folder, "cpu")) | {"export_difference": difference}
    write_manifest(folder, msgspec.structs.replace(manifest, metrics=metrics))
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(folder, TARGET)
    for name, value in metrics.items():
        print(f"{name:40} {value:.6g}")


def measure(predictor: Predictor) -> dict[str, float]:
    """Figures of the file that ships, on tickets of another seed.

    ``accuracy`` and ``macro_f1`` count every phrasing, a quarter of which the model never saw; ``..._unseen_phrasings``
    only those. ``coverage`` is the share of tickets whose category would be filled without asking.
    """
    metrics = {"test_tickets": float(FRESH_TICKETS)}
    suites: dict[str, Phrasings] = {"": "all", "_unseen_phrasings": "held_out"}
    for suffix, phrasings in suites.items():
        rows = fresh_rows(phrasings)
        probabilities = predictor.predict(rows.texts)
        truth, answer = np.array(rows.labels), probabilities.argmax(axis=1)
        sure = probabilities.max(axis=1) >= THRESHOLD
        metrics[f"accuracy{suffix}"] = float((truth == answer).mean())
        metrics[f"macro_f1{suffix}"] = macro_f1(truth, answer)
        metrics[f"coverage{suffix}"] = float(sure.mean())
        metrics[f"precision_when_filled{suffix}"] = float((truth == answer)[sure].mean())
    doubtful = predictor.predict(fresh_rows("all", vague_share=1.0).texts)
    metrics["coverage_vague"] = float((doubtful.max(axis=1) >= THRESHOLD).mean())
    return metrics


def fresh_rows(phrasings: Phrasings, vague_share: float = 0.0) -> Rows:
    """Tickets the training never saw."""
    return write_rows(random.Random(FRESH_SEED), FRESH_TICKETS, phrasings, vague_share)


def macro_f1(truth: NDArray[np.int64], answer: NDArray[np.int64]) -> float:
    """Mean over the categories of 2 TP / (2 TP + FP + FN)."""
    hits = [((truth == label) & (answer == label)).sum() for label in range(len(CATEGORIES))]
    named = [(truth == label).sum() + (answer == label).sum() for label in range(len(CATEGORIES))]
    return float(np.mean([2 * hit / count for hit, count in zip(hits, named, strict=True)]))


if __name__ == "__main__":
    main()
