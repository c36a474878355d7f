"""Fine-tuning: a pretrained encoder and a new head learn together. Devlin et al. (2019), Sanh et al. (2019)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import DistilBertForSequenceClassification

from model_export.base import classifier, load_base
from model_export.batches import by_length, pad, tokenize
from model_export.dataset.rows import Split, Task
from model_export.range_test import RangeTest
from model_export.strategies import Settings
from model_export.train import Curves, Group, LossOf, Plan, choose_device
from model_export.train import train as run_training

HEAD_FACTOR = 5.0
"""The head starts from random weights and learns this much faster than the encoder."""

MOST_WEIGHT = 10.0

MULTI_THRESHOLD = 0.15
"""For the curve only, as in the GoEmotions baseline; a bundle's thresholds are solved on the calibration split."""

FEW_STEPS, MOST_EPOCHS = 400, 20
"""Small sets need more passes than 4: Mosbach et al. (2021) find 20 epochs stable where 3 often fail."""

PREDICT_BATCH = 64


class FineTuned(NamedTuple):
    """A fine-tuned classifier.

    Attributes:
        model: ready to export; on the device it was trained on, in ``eval`` mode.
        curves: of each phase of the training, by name.
        summary: what ``describe`` says.
        range_test: how the learning rate was found, if it was.
    """

    model: DistilBertForSequenceClassification
    tokenizer: Tokenizer
    task: Task
    max_length: int
    curves: dict[str, Curves]
    summary: str
    range_test: RangeTest | None = None

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities, (N, L)."""
        sequences = tokenize(self.tokenizer, texts, self.max_length)
        return _probabilities(predict_logits(self.model, sequences), self.task)

    def describe(self) -> str:
        """Base, size and recipe."""
        return self.summary


def fit(train: Split, dev: Split, *, settings: Settings, progress: bool = True) -> FineTuned:
    """Train encoder and head on the labels, with softmax for ``single`` and a sigmoid a label for ``multi``.

    Raises:
        BaseModelError, TrainingError: see ``load_base`` and ``train``.
    """
    torch.manual_seed(settings.seed)
    device = choose_device(settings.device)
    base = load_base(settings.base, settings.max_length)
    model = classifier(base, settings.labels, settings.dropout).to(device)
    rate = settings.learning_rate or default_rate(model.config.dim)
    encoder, head = list(model.distilbert.parameters()), blocks(model)[-1]
    epochs = settings.epochs or default_epochs(len(train.texts), settings.batch_size)
    groups = [Group(encoder, rate), Group(head, rate * HEAD_FACTOR)]
    curves = fit_classifier(
        model, base.tokenizer, groups, train=train, dev=dev, epochs=epochs, settings=settings, progress=progress
    )
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    times = "once" if epochs == 1 else f"{epochs} times"
    summary = f"{base.name}, {size:.1f} M parameters, fine-tuned on every row {times}, rate {rate:.1e}"
    return FineTuned(model, base.tokenizer, settings.task, settings.max_length, {"finetune": curves}, summary)


def fit_classifier(
    model: DistilBertForSequenceClassification,
    tokenizer: Tokenizer,
    groups: Sequence[Group],
    *,
    train: Split,
    dev: Split,
    epochs: int,
    settings: Settings,
    progress: bool,
) -> Curves:
    """Train a classifier in place on labelled rows; ``groups`` say what learns how fast.

    For ``multi``, rare labels pull harder (see ``positive_weights``), and what that adds to their logits is taken off
    the head's bias in the end: sigmoid(z) is a probability again.
    """
    sequences = tokenize(tokenizer, train.texts, settings.max_length)
    weights = positive_weights(train) if settings.task == "multi" else None
    added = 0.0 if weights is None else weights.log()
    plan = Plan(
        name="fine-tuning",
        epochs=epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        checkpoint=settings.checkpoints / "finetune.pt" if settings.checkpoints else None,
        checkpoint_every=settings.checkpoint_every,
        resume=settings.resume,
    )
    curves = run_training(
        model,
        groups,
        classification_loss(model, sequences, train, weights),
        [len(sequence) for sequence in sequences],
        plan,
        evaluate=_scorer(model, tokenize(tokenizer, dev.texts, settings.max_length), dev, added),
        data=fingerprint(settings.base, settings.dropout, train.texts, train.targets.tolist(), train.weights.tolist()),
        progress=progress,
    )
    with torch.no_grad():
        model.classifier.bias -= torch.as_tensor(added).to(model.classifier.bias)
    return curves


def positive_weights(train: Split) -> torch.Tensor:
    """How much harder a label's positives pull than its negatives, (L,): sqrt((1 - f) / f), at least 1, at most 10.

    f is the label's share of the rows. Without it a label of a row in 500 is hardly ever said; with the full ratio it
    is said too often. A loss that weighs positives by w is least at a logit that is ln w too high.
    """
    share = np.clip(train.targets.mean(axis=0), 1e-9, 1)
    return torch.from_numpy(np.clip(np.sqrt((1 - share) / share), 1, MOST_WEIGHT)).float()


def classification_loss(
    model: DistilBertForSequenceClassification,
    sequences: Sequence[torch.Tensor],
    split: Split,
    positive: torch.Tensor | None = None,
) -> LossOf:
    """The weighted mean cross-entropy of a batch; a row of weight 0.3 pulls with 0.3 of a whole row's force.

    Args:
        model: its logits are judged.
        sequences: tokens of each row.
        split: targets and weights of the rows.
        positive: (L,) weights of the positives, for ``multi``.
    """
    device = next(model.parameters()).device
    positive = None if positive is None else positive.to(device)
    targets = torch.from_numpy(split.targets).to(device)
    weights = torch.from_numpy(split.weights).to(device)

    def loss_of(rows: list[int]) -> torch.Tensor:
        logits = model(*pad([sequences[row] for row in rows], device)).logits.float()
        if targets.ndim == 1:
            loss = functional.cross_entropy(logits, targets[rows], reduction="none")
        else:
            loss = functional.binary_cross_entropy_with_logits(
                logits, targets[rows].float(), reduction="none", pos_weight=positive
            ).sum(1)
        return (loss * weights[rows]).mean()

    return loss_of


def predict_logits(
    model: DistilBertForSequenceClassification, sequences: Sequence[torch.Tensor]
) -> NDArray[np.float32]:
    """Raw scores, (N, L), in the order asked."""
    device = next(model.parameters()).device
    out = np.empty((len(sequences), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        for rows in by_length([len(sequence) for sequence in sequences], PREDICT_BATCH):
            out[rows] = model(*pad([sequences[row] for row in rows], device)).logits.float().cpu().numpy()
    return out


def blocks(model: torch.nn.Module) -> list[list[torch.nn.Parameter]]:
    """Parameters from input to output: embeddings, each layer, head."""
    layers = model.distilbert.transformer.layer
    encoder = set(model.distilbert.parameters())
    head = [parameter for parameter in model.parameters() if parameter not in encoder]
    return [
        list(model.distilbert.embeddings.parameters()),
        *(list(layer.parameters()) for layer in layers),
        head,
    ]


def default_rate(width: int) -> float:
    """3e-4 up to width 384; 5e-5, BERT's own, above: the wider, the smaller the step that still converges."""
    return 3e-4 if width <= 384 else 5e-5


def default_epochs(rows: int, batch_size: int) -> int:
    """4, as many as the first fine-tuned BERT, and more until there were 400 steps; at most 20."""
    return max(4, min(MOST_EPOCHS, math.ceil(FEW_STEPS / math.ceil(rows / batch_size))))


def fingerprint(*parts: object) -> str:
    """Identifies training rows for ``resume``."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _scorer(
    model: DistilBertForSequenceClassification,
    sequences: Sequence[torch.Tensor],
    dev: Split,
    added: torch.Tensor | float,
) -> Callable[[], dict[str, float]] | None:
    if not sequences:
        return None
    targets = torch.from_numpy(dev.targets)
    task: Task = "multi" if targets.ndim > 1 else "single"

    def score() -> dict[str, float]:
        logits = torch.from_numpy(predict_logits(model, sequences)) - added
        probabilities = _probabilities(logits.numpy(), task)
        if task == "multi":
            loss = functional.binary_cross_entropy_with_logits(logits, targets.float())
            answers = probabilities >= MULTI_THRESHOLD
        else:
            loss = functional.cross_entropy(logits, targets)
            answers = probabilities.argmax(axis=1)
        return {"dev_loss": float(loss), "macro_f1": f1_score(dev.targets, answers, average="macro", zero_division=0)}

    return score


def _probabilities(logits: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    scores = torch.from_numpy(logits)
    return np.asarray(scores.sigmoid() if task == "multi" else scores.softmax(1))
