"""ULMFiT's recipe (Howard and Ruder, 2018) for DistilBERT, as in the Talk Hiring classifier.

First the encoder learns the tickets' language by guessing masked words, from tickets that need no labels. Then a range
test chooses the learning rate, each layer learns slower than the one above it, and the layers join from the top down.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import DistilBertForMaskedLM, DistilBertForSequenceClassification

from model_export.base import Base, BaseModelError, classifier, load_base
from model_export.batches import pad, tokenize
from model_export.dataset.rows import Split
from model_export.range_test import range_test
from model_export.strategies import Settings
from model_export.strategies.finetune import (
    HEAD_FACTOR,
    FineTuned,
    blocks,
    classification_loss,
    default_epochs,
    default_rate,
    fingerprint,
    fit_classifier,
)
from model_export.train import Curves, Group, LossOf, Plan, choose_device
from model_export.train import train as run_training

LAYER_FACTOR = 2.6
"""Howard and Ruder (2018), section 3.2: a layer learns this much slower than the one above it."""

UNFREEZING_EPOCHS = 3
"""Head alone, with the top layer, with the top two layers; then all layers learn."""

MASKED = 0.15
"""Devlin et al. (2019), section 3.1: 15 % of the tokens are guessed; 80 % of them are hidden, 10 % are swapped."""


def fit(train: Split, dev: Split, *, settings: Settings, progress: bool = True) -> FineTuned:
    """Adapt to ``settings.unlabelled`` and the training texts, then fine-tune layer by layer; either task.

    Raises:
        BaseModelError, TrainingError: see ``load_base`` and ``train``.
    """
    torch.manual_seed(settings.seed)
    device = choose_device(settings.device)
    base = load_base(settings.base, settings.max_length)
    base.model.to(device)
    texts = [*train.texts, *settings.unlabelled]
    adapted = _adapt(base, texts, settings, progress=progress)
    model = classifier(base, settings.labels, settings.dropout).to(device)
    sequences = tokenize(base.tokenizer, train.texts, settings.max_length)
    tried = None
    rate = settings.learning_rate
    if rate is None:
        tried = range_test(
            model,
            layered(model, 1.0),
            classification_loss(model, sequences, train),
            [len(sequence) for sequence in sequences],
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
        rate = tried.best
    epochs = UNFREEZING_EPOCHS + (settings.epochs or default_epochs(len(train.texts), settings.batch_size))
    curves = fit_classifier(
        model,
        base.tokenizer,
        layered(model, rate),
        train=train,
        dev=dev,
        epochs=epochs,
        settings=settings,
        progress=progress,
    )
    summary = (
        f"{base.name}, adapted to {len(texts)} texts for {settings.adapt_epochs} epochs, "
        f"fine-tuned layer by layer for {epochs} epochs, rate {rate:.1e}"
    )
    return FineTuned(
        model=model,
        tokenizer=base.tokenizer,
        task=settings.task,
        max_length=settings.max_length,
        curves={"adapt": adapted, "finetune": curves},
        summary=summary,
        range_test=tried,
    )


def layered(model: DistilBertForSequenceClassification, rate: float) -> list[Group]:
    """Discriminative rates and gradual unfreezing: head first; ``rate`` is the top layer's."""
    *encoder, head = blocks(model)
    return [
        Group(head, rate * HEAD_FACTOR),
        *(
            Group(block, rate / LAYER_FACTOR**depth, min(depth + 1, UNFREEZING_EPOCHS))
            for depth, block in enumerate(reversed(encoder))
        ),
    ]


def masked_loss(model: DistilBertForMaskedLM, sequences: Sequence[torch.Tensor], tokenizer: Tokenizer) -> LossOf:
    """The cross-entropy of guessed tokens, masked anew each time.

    Raises:
        BaseModelError: the vocabulary has no mask token.
    """
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        raise BaseModelError("the base's vocabulary has no [MASK]: choose another base, or the strategy finetune")
    special = torch.tensor([tokenizer.token_to_id(token) or 0 for token in ("[PAD]", "[CLS]", "[SEP]")])
    device = next(model.parameters()).device

    def loss_of(rows: list[int]) -> torch.Tensor:
        ids, mask = pad([sequences[row] for row in rows], torch.device("cpu"))
        guessed = (torch.rand(ids.shape) < MASKED) & ~torch.isin(ids, special)
        guessed[0, 1] |= not guessed.any()  # at least one token, or the mean would be no number
        fate = torch.rand(ids.shape)
        hidden = torch.where(guessed & (fate < 0.8), mask_id, ids)
        swapped = guessed & (fate >= 0.9)
        hidden[swapped] = torch.randint(model.config.vocab_size, (int(swapped.sum()),))
        states = model.distilbert(input_ids=hidden.to(device), attention_mask=mask.to(device)).last_hidden_state
        # The head on the guessed tokens only: on all of them it would cost more than the encoder.
        states = model.activation(model.vocab_transform(states[guessed.to(device)]))
        logits = model.vocab_projector(model.vocab_layer_norm(states))
        return functional.cross_entropy(logits.float(), ids[guessed].to(device))

    return loss_of


def _adapt(base: Base, texts: Sequence[str], settings: Settings, *, progress: bool) -> Curves:
    sequences = tokenize(base.tokenizer, texts, settings.max_length)
    rate = default_rate(base.model.config.dim)
    *encoder, head = blocks(base.model)
    plan = Plan(
        name="adapting",
        epochs=settings.adapt_epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        checkpoint=settings.checkpoints / "adapt.pt" if settings.checkpoints else None,
        checkpoint_every=settings.checkpoint_every,
        resume=settings.resume,
    )
    return run_training(
        base.model,
        [Group([parameter for block in encoder for parameter in block], rate), Group(head, rate * HEAD_FACTOR)],
        masked_loss(base.model, sequences, base.tokenizer),
        [len(sequence) for sequence in sequences],
        plan,
        data=fingerprint(settings.base, texts),
        progress=progress,
    )
