"""The feature-based way: an encoder that learns nothing, or word vectors, under a logistic regression."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from model_export.base import load_base, mean_over_tokens
from model_export.batches import by_length, pad, tokenize
from model_export.dataset.rows import Split
from model_export.strategies import Settings
from model_export.strategies.columns import ByColumns, fit_columns
from model_export.strategies.vectors import WordVectors
from model_export.train import choose_device

LAYERS = 4
"""Devlin et al. (2019), table 7: the last four layers side by side are the best features without fine-tuning."""

BATCH = 64
C = 0.01
"""Strong regularisation: there are often more features than rows."""

ITERATIONS = 500


def fit(
    train: Split,
    dev: Split,  # noqa: ARG001 - there are no curves
    *,
    settings: Settings,
    progress: bool = True,
) -> ByColumns:
    """Features from ``settings.vectors`` if given, else from ``settings.base``; for ``multi`` one regression a label.

    Raises:
        BaseModelError, TrainingError, DataError: the encoder, the device or the vectors cannot be had.
    """
    if settings.vectors:
        features: Callable[[Sequence[str]], NDArray[np.float32]] = WordVectors(settings.vectors).mean
        source = settings.vectors.name
    else:
        features, source = _encoder(settings, progress=progress), settings.base
    matrix = features(train.texts)
    scaler = StandardScaler().fit(matrix)
    predict = fit_columns(
        LogisticRegression(C=C, max_iter=ITERATIONS),
        scaler.transform(matrix),
        train.targets,
        train.weights,
        settings.labels,
    )
    return ByColumns(
        lambda texts: scaler.transform(features(texts)),
        predict,
        f"logistic regression on {matrix.shape[1]} features of {source}",
    )


def _encoder(settings: Settings, *, progress: bool) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """The mean over a text's tokens of the last four layers, (N, 4 x width); of all where there are fewer."""
    device = choose_device(settings.device)
    base = load_base(settings.base, settings.max_length)
    encoder = base.model.distilbert.to(device)
    layers = min(LAYERS, encoder.config.n_layers)

    def features(texts: Sequence[str]) -> NDArray[np.float32]:
        sequences = tokenize(base.tokenizer, texts, settings.max_length)
        out = np.empty((len(texts), layers * encoder.config.dim), dtype=np.float32)
        batches = by_length([len(sequence) for sequence in sequences], BATCH)
        with torch.inference_mode():
            for rows in tqdm(batches, desc="encoding", unit="batch", file=sys.stderr, disable=not progress):
                ids, mask = pad([sequences[row] for row in rows], device)
                states = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
                out[rows] = mean_over_tokens(torch.cat(states[-layers:], dim=-1), mask).cpu().numpy()
        return out

    return features
