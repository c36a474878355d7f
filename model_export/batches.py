"""Texts as padded batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer

POOL = 50
"""Batches that are sorted by length together: little padding, and still a random order."""


class Padded(NamedTuple):
    """A batch for the model: both int64, (batch, longest); the mask is 1 on tokens and 0 on padding."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> list[torch.Tensor]:
    """Token ids with special tokens, int64, one tensor a text, at most ``max_length`` long."""
    tokenizer.enable_truncation(max_length)
    try:
        return [torch.tensor(encoding.ids) for encoding in tokenizer.encode_batch_fast(list(texts))]
    finally:
        tokenizer.no_truncation()


def shuffled(lengths: Sequence[int], size: int, seed: Sequence[int]) -> list[list[int]]:
    """Row numbers in random batches of up to ``size``, like lengths together; the same seed gives the same order."""
    rng = np.random.default_rng(list(seed))
    rows = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(rows), POOL * size):
        pool = sorted(rows[start : start + POOL * size].tolist(), key=lengths.__getitem__)
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Row numbers in batches of up to ``size``, longest first: what does not fit into memory fails at once."""
    rows = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def pad(sequences: Sequence[torch.Tensor], device: torch.device) -> Padded:
    """One batch of token sequences, filled up with id 0 behind the mask."""
    ids = torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    return Padded(ids.to(device), mask.to(device))
