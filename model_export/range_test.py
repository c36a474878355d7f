"""The learning-rate range test of Smith (2017): raise the rate step by step, see where the loss falls fastest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.batches import shuffled
from model_export.train import Group, LossOf, mixed_precision

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
SMOOTHING = 0.9
DIVERGED = 4.0
"""The test ends where the smoothed loss is this many times its lowest; fast.ai ends there, too."""


class RangeTest(NamedTuple):
    """What was tried; the report draws loss over rate.

    Attributes:
        rates: (steps,) rising evenly on a logarithmic scale.
        losses: (steps,) smoothed.
        best: the rate at which the loss falls most steeply.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    best: float


def range_test(
    model: torch.nn.Module,
    groups: Sequence[Group],
    loss_of: LossOf,
    lengths: Sequence[int],
    *,
    batch_size: int = 32,
    seed: int = 0,
) -> RangeTest:
    """Try rates from 1e-6 to 1 on a model, which keeps its weights and torch its random state.

    Args:
        model: on its device already.
        groups: their rates are factors of the rate that is tried.
        loss_of: as in ``train``.
        lengths: as in ``train``.
        batch_size: rows a step.
        seed: of the order of the rows.
    """
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW([{"params": group.parameters, "factor": group.rate} for group in groups])
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for step, rows in enumerate(itertools.islice(_endless(lengths, batch_size, seed), STEPS)):
            rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            with mixed_precision(device):
                loss = loss_of(rows)
            average = SMOOTHING * average + (1 - SMOOTHING) * float(loss.detach())
            smoothed = average / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(smoothed) or (losses and smoothed > DIVERGED * min(losses)):
                break
            rates.append(rate)
            losses.append(smoothed)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    optimizer.zero_grad()
    model.load_state_dict(weights)
    return RangeTest(np.array(rates), np.array(losses), steepest(np.array(rates), np.array(losses)))


def steepest(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> float:
    """The rate where the loss falls fastest against the rate's logarithm, before its lowest point."""
    end = max(2, int(losses.argmin()) + 1)
    return float(rates[np.gradient(losses[:end], np.log(rates[:end])).argmin()])


def _endless(lengths: Sequence[int], batch_size: int, seed: int) -> Iterator[list[int]]:
    for epoch in itertools.count():
        yield from shuffled(lengths, batch_size, (seed, epoch))
