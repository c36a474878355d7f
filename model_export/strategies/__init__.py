"""Seven ways to make a classifier, behind one interface; each file is one strategy and imports its own libraries."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_export.dataset.rows import Split, Task

STRATEGIES = {
    "naive_bayes": "naive Bayes on telling word 1-5-grams",
    "tfidf_linear": "TF-IDF and logistic regression",
    "tfidf_lightgbm": "TF-IDF and LightGBM",
    "frozen": "a frozen encoder or word vectors, and logistic regression",
    "finetune": "fine-tuned DistilBERT",
    "adapt_finetune": "DistilBERT adapted to unlabelled tickets, then fine-tuned layer by layer",
    "few_shot": "contrastive training, for fewer than about 300 labels",
}
"""Every strategy with what it is, from cheapest to dearest."""


class StrategyError(Exception):
    """A strategy that is unknown, not installed or not fit for this task; the message says what to use instead."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may need to know; each reads what concerns it.

    Attributes:
        task: ``single`` or ``multi``.
        labels: L, how many labels there are, whether or not the training rows show them all.
        seed: of everything random.
        base: hub id or folder of the encoder.
        vectors: a file of word vectors in GloVe's text format, which ``frozen`` uses instead of an encoder.
        unlabelled: prepared texts without labels for ``adapt_finetune``.
        adapt_epochs: its passes over them and the training texts.
        max_length: tokens of a text that the encoder reads, special tokens included.
        epochs: passes over the training rows; None for 4, and more when there are few rows.
        batch_size: rows a step.
        learning_rate: the encoder's highest; None for one that suits its width, or that the range test finds.
        dropout: share of activations and of attention weights left out in training.
        device: ``auto`` takes a GPU when there is one.
        checkpoints: folder for the state of a training; None keeps none.
        checkpoint_every: steps between two checkpoints within an epoch.
        resume: go on from the checkpoint if there is one.
    """

    task: Task
    labels: int
    seed: int = 0
    base: str = "distilbert-base-uncased"
    vectors: Path | None = None
    unlabelled: tuple[str, ...] = ()
    adapt_epochs: int = 3
    max_length: int = 256
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    dropout: float = 0.1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    checkpoints: Path | None = None
    checkpoint_every: int = 500
    resume: bool = False


class Fitted(Protocol):
    """A classifier that has learned."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities, (N, L), of prepared texts: rows that sum to one for ``single``, independent for ``multi``."""
        ...

    def describe(self) -> str:
        """What was learned, in a line for the report."""
        ...


class Strategy(Protocol):
    """A module of this package."""

    def fit(self, train: Split, dev: Split, *, settings: Settings, progress: bool = True) -> Fitted:
        """Learn from ``train``; ``dev`` is only ever scored, for the curves."""
        ...


def load_strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        StrategyError: there is none, or a library it needs is not installed.
    """
    if name not in STRATEGIES:
        raise StrategyError(f"there is no strategy {name!r}: choose one of {', '.join(STRATEGIES)}")
    try:
        return cast("Strategy", importlib.import_module(f"{__name__}.{name}"))
    except ModuleNotFoundError as error:
        raise StrategyError(f"{name} needs {error.name}: pip install 'presort[train]'") from error
