"""The SetFit recipe (Tunstall et al., 2022): pull texts of one label together, push others apart, then fit a head."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from model_export.base import MeanPooled, classifier, load_base
from model_export.batches import by_length, pad, tokenize
from model_export.dataset.rows import DataError, Split
from model_export.strategies import Settings
from model_export.strategies.finetune import PREDICT_BATCH, FineTuned, fingerprint
from model_export.train import Group, LossOf, Plan, choose_device
from model_export.train import train as run_training

PARTNERS = 20
"""Like and unlike partners for each text, as in the paper; fewer where there are so many texts that it takes hours."""

MOST_PAIRS = 12_000
PAIRS_A_STEP = 16
RATE = 2e-5

NEVER = -30.0
"""The logit of a label that no training row shows: a probability of 1e-13."""


def fit(train: Split, dev: Split, *, settings: Settings, progress: bool = True) -> FineTuned:  # noqa: ARG001 - no curve
    """Contrastive training of the encoder, then a logistic regression on its embeddings, put in as the head.

    For ``multi``, texts that share a label are alike, and each label has a regression of its own.

    Raises:
        BaseModelError, TrainingError: see ``load_base`` and ``train``.
        DataError: all rows have the same label, or no two rows share one.
    """
    torch.manual_seed(settings.seed)
    device = choose_device(settings.device)
    base = load_base(settings.base, settings.max_length)
    model = classifier(base, settings.labels, settings.dropout, MeanPooled).to(device)
    sequences = tokenize(base.tokenizer, train.texts, settings.max_length)
    pairs, alike = make_pairs(train.targets, np.random.default_rng(settings.seed))
    rate = settings.learning_rate or RATE
    plan = Plan(
        name="contrasting",
        epochs=settings.epochs or 1,
        batch_size=PAIRS_A_STEP,
        seed=settings.seed,
        checkpoint=settings.checkpoints / "few_shot.pt" if settings.checkpoints else None,
        checkpoint_every=settings.checkpoint_every,
        resume=settings.resume,
    )
    curves = run_training(
        model,
        [Group(list(model.distilbert.parameters()), rate)],
        contrastive_loss(model, sequences, pairs, alike),
        [max(len(sequences[first]), len(sequences[second])) for first, second in pairs],
        plan,
        data=fingerprint(settings.base, settings.dropout, train.texts, train.targets.tolist()),
        progress=progress,
    )
    _fit_head(model, _embed(model, sequences), train)
    summary = f"{base.name}, contrasted over {len(pairs)} pairs of {len(train.texts)} texts, rate {rate:.1e}"
    return FineTuned(
        model=model,
        tokenizer=base.tokenizer,
        task=settings.task,
        max_length=settings.max_length,
        curves={"few_shot": curves},
        summary=summary,
    )


def make_pairs(targets: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row numbers, (pairs, 2), and 1 for each pair that shares a label, 0 for the others, (pairs,).

    Raises:
        DataError: there are not both kinds of pairs.
    """
    member = targets if targets.ndim > 1 else np.eye(targets.max() + 1, dtype=np.int64)[targets]
    partners = max(1, min(PARTNERS, MOST_PAIRS // (2 * len(targets))))
    pairs, alike = [], []
    for row, labels in enumerate(member):
        shares = member @ labels > 0
        others = np.arange(len(member)) != row
        for like, candidates in ((1.0, np.flatnonzero(shares & others)), (0.0, np.flatnonzero(~shares & others))):
            if len(candidates):
                pairs += [(row, partner) for partner in rng.choice(candidates, partners)]
                alike += [like] * partners
    if len(set(alike)) < 2:
        raise DataError("contrasting needs rows that share a label and rows that do not: give two rows of two labels")
    return np.array(pairs), np.array(alike, dtype=np.float32)


def contrastive_loss(
    model: MeanPooled, sequences: list[torch.Tensor], pairs: NDArray[np.int64], alike: NDArray[np.float32]
) -> LossOf:
    """The squared distance of a pair's cosine from 1 if the texts are alike, from 0 if not."""
    device = next(model.parameters()).device
    goal = torch.from_numpy(alike).to(device)

    def loss_of(numbers: list[int]) -> torch.Tensor:
        rows = [*pairs[numbers, 0], *pairs[numbers, 1]]
        first, second = model.embed(*pad([sequences[row] for row in rows], device)).float().chunk(2)
        return functional.mse_loss(functional.cosine_similarity(first, second), goal[numbers])

    return loss_of


def _embed(model: MeanPooled, sequences: list[torch.Tensor]) -> NDArray[np.float32]:
    device = next(model.parameters()).device
    out = np.empty((len(sequences), model.config.dim), dtype=np.float32)
    with torch.inference_mode():
        for rows in by_length([len(sequence) for sequence in sequences], PREDICT_BATCH):
            out[rows] = model.embed(*pad([sequences[row] for row in rows], device)).cpu().numpy()
    return out


def _fit_head(model: MeanPooled, embeddings: NDArray[np.float32], train: Split) -> None:
    """Fit scikit-learn's regression and write its weights into the linear layer: same logits, exportable."""
    head = model.classifier
    weight = np.zeros(head.weight.shape, dtype=np.float32)
    bias = np.full(head.bias.shape, NEVER, dtype=np.float32)
    if train.targets.ndim > 1:
        for label, column in enumerate(train.targets.T):
            if column.min() == column.max():
                bias[label] = -NEVER if column[0] else NEVER
                continue
            fitted = LogisticRegression().fit(embeddings, column, sample_weight=train.weights)
            weight[label], bias[label] = fitted.coef_[0], fitted.intercept_[0]
    else:
        fitted = LogisticRegression().fit(embeddings, train.targets, sample_weight=train.weights)
        if len(fitted.classes_) == 2:  # one row of weights, for the second label against the first
            fitted.coef_ = np.vstack([np.zeros_like(fitted.coef_), fitted.coef_])
            fitted.intercept_ = np.array([0.0, fitted.intercept_[0]])
        weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
