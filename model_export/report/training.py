"""How a training went, as pictures for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model_export.range_test import RangeTest
from model_export.report.findings import Curve
from model_export.train import Curves

POINTS = 200
"""Of a line; a loss a batch is averaged over as many stretches, or it would be a smear."""

PHASES = {"adapt": "adapting to the tickets", "finetune": "fine-tuning", "few_shot": "contrasting"}


def training_curves(phases: Mapping[str, Curves], tried: RangeTest | None) -> list[Curve]:
    """The range test if there was one; then for each phase loss, macro-F1 and learning rate, over batches."""
    found = []
    if tried is not None:
        losses = [*zip(tried.rates.tolist(), tried.losses.tolist(), strict=True)]
        title = f"Range test: {tried.best:.1e} was chosen"
        found.append(Curve(title, "learning rate", "loss", {"loss": losses}, log_x=True))
    for name, curves in phases.items():
        found += _phase(PHASES.get(name, name), curves)
    return found


def _phase(name: str, curves: Curves) -> Iterator[Curve]:
    if not curves.loss:
        return
    measured = {
        key: [(len(curves.loss) * (at + 1) / len(curves.epochs), each[key]) for at, each in enumerate(curves.epochs)]
        for key in (curves.epochs[0] if curves.epochs else ())
    }
    loss = {"training tickets": _averaged(curves.loss)}
    if "dev_loss" in measured:
        loss["calibration tickets"] = measured["dev_loss"]
    yield Curve(f"Loss while {name}", "batches", "loss", loss)
    if "macro_f1" in measured:
        yield Curve(f"Macro-F1 while {name}", "batches", "macro-F1", {"calibration tickets": measured["macro_f1"]})
    yield Curve(f"Learning rate while {name}", "batches", "learning rate", {"rate": _averaged(curves.rate)})


def _averaged(values: Sequence[float]) -> list[tuple[float, float]]:
    """(number of the middle batch, mean) of each stretch."""
    stretches = np.array_split(np.arange(len(values)), min(POINTS, len(values)))
    return [(float(each.mean()) + 1, float(np.take(values, each).mean())) for each in stretches]
