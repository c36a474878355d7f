"""What is measured of a strategy, and of a bundle, on a data set."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.accuracy.public import Public
from model_export.batches import pad
from model_export.bundle.manifest import read_manifest, write_manifest
from model_export.bundle.predictor import BATCH, FP16, INT8, Predictor
from model_export.calibrate import (
    Floats,
    Promise,
    Scored,
    best_f1_thresholds,
    fit_temperature,
    out_of_scope,
    probabilities,
    promise,
)
from model_export.dataset.rows import Dataset
from model_export.evaluate import answers, class_scores, top
from model_export.factory import Made
from model_export.strategies.finetune import FineTuned

TARGETS = (0.8, 0.9)
RESPLITS = 20
"""How often held-out rows are dealt anew into calibration and test where no time orders them."""

GOEMOTIONS_THRESHOLD = 0.15
"""Fixed for all labels, as in the GoEmotions baseline."""

LEAST_FOUND = 0.6
"""Share of the out-of-scope calibration rows that a threshold must keep out."""

SPEED_TEXTS, SPEED_SECONDS = 400, 5.0


def bundle(folder: Path, made: Made, fitted: FineTuned, public: Public, *, resplit: bool) -> dict[str, Any]:
    """Everything about a bundle as it ships, on one CPU core: its int8 graph, or fp32 where no int8 passed the gate."""
    dataset, predictor = public.dataset, Predictor(folder, "cpu")
    held, test = predictor.predict(dataset.calibration.texts), predictor.predict(dataset.test.texts)
    figures: dict[str, Any] = {
        "graph": predictor.graph,
        "megabytes": {name: round(size / 1e6, 1) for name, size in made.findings.sizes.items()},
        **scores(dataset, held, test),
        "promises": promises(dataset, held, test, resplit=resplit),
        "speed": speed(folder, fitted, dataset.test.texts),
    }
    if parity := made.findings.parity:
        figures |= {"int8_macro_f1_loss": round(parity.loss, 4), "int8_agreement": round(parity.agreement, 4)}
    if public.outside[0]:
        figures["scope"] = scope(public, predictor.predict, held, test)
    return figures


def scores(dataset: Dataset, calibration: Floats, test: Floats) -> dict[str, float]:
    """The figures of (N, L) probabilities: what multi-label answers are is settled on the calibration rows."""
    targets, labels = dataset.test.targets, len(dataset.labels)
    if dataset.task == "multi":
        cuts = best_f1_thresholds(Scored(calibration, dataset.calibration.targets))
        tuned, fixed = (
            class_scores(answers(test, cut), targets, labels) for cut in (cuts, np.full(labels, GOEMOTIONS_THRESHOLD))
        )
        return {
            "macro_f1": round(tuned.macro_f1, 4),
            "micro_f1": round(tuned.micro_f1, 4),
            f"macro_f1_at_{GOEMOTIONS_THRESHOLD}": round(fixed.macro_f1, 4),
        }
    found = class_scores(answers(test), targets, labels)
    return {
        "macro_f1": round(found.macro_f1, 4),
        "accuracy": round(found.micro_f1, 4),
        "top3": round(top(test, targets), 4),
    }


def scope(
    public: Public, ask: Callable[[Sequence[str]], Floats], calibration: Floats, test: Floats
) -> dict[str, float]:
    """In-scope accuracy and out-of-scope recall of the test rows, at one threshold.

    The calibration rows choose it: the lowest that finds ``LEAST_FOUND`` of those that belong to no class.
    """
    held, rows = public.dataset.calibration.targets, public.dataset.test.targets
    outside = [ask(texts) for texts in public.outside]
    limits = np.linspace(0, 1, 1001)
    found = [out_of_scope(Scored(calibration, held), outside[0], float(limit))[1] for limit in limits]
    limit = float(limits[np.argmax(np.array(found) >= LEAST_FOUND)])
    inside, recall = out_of_scope(Scored(test, rows), outside[1], limit)
    return {"threshold": round(limit, 3), "in_scope": round(inside, 4), "out_of_scope_recall": round(recall, 4)}


def promises(dataset: Dataset, calibration: Floats, test: Floats, *, resplit: bool) -> dict[str, dict[str, Any]]:
    """For each target precision: how many of the filled classes kept it on the test rows, and what was filled.

    Args:
        dataset: where the truth is.
        calibration: (rows, L) calibrated probabilities.
        test: the same of the test rows.
        resplit: rows without an order in time are dealt ``RESPLITS`` times, so that one lucky deal proves nothing.
    """
    truth = np.concatenate([dataset.calibration.targets, dataset.test.targets])
    likely, cut = np.concatenate([calibration, test]), len(calibration)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(truth)) for _ in range(RESPLITS)] if resplit else [np.arange(len(truth))]

    def deal(order: np.ndarray[Any, Any], target: float) -> Promise:
        held, rows = np.split(order, [cut])
        return promise(Scored(likely[held], truth[held]), Scored(likely[rows], truth[rows]), target)

    figures = {}
    for target in TARGETS:
        made = [deal(order, target) for order in orders]
        filled = sum(int(one.delivery.filled.sum()) for one in made)
        figures[f"{target:g}"] = {
            "classes_filled": sum(one.kept[1] for one in made),
            "classes_that_kept_it": sum(one.kept[0] for one in made),
            "classes_refuted": sum(one.refuted for one in made),
            "precision": round(sum(int(one.delivery.right.sum()) for one in made) / max(1, filled), 4),
            "coverage": round(float(np.mean([one.delivery.coverage for one in made])), 4),
        }
    return figures


def recalibrated(fitted: Any, dataset: Dataset) -> tuple[Floats, Floats]:  # noqa: ANN401 - any ``Fitted``
    """A strategy's own probabilities, before any bundle; the temperature is fitted as a bundle's is."""
    held, test = (fitted.predict_proba(split.texts) for split in (dataset.calibration, dataset.test))
    if dataset.task == "multi":
        return held, test
    logs = [np.log(np.clip(each, 1e-9, 1)) for each in (held, test)]
    temperature = fit_temperature(logs[0], dataset.calibration.targets)
    return probabilities(logs[0], temperature, multi=False), probabilities(logs[1], temperature, multi=False)


def speed(folder: Path, fitted: FineTuned, texts: Sequence[str]) -> dict[str, float]:
    """Tickets a second on one thread for the same texts: the int8 bundle, its fp32 graph, and PyTorch.

    All take ``BATCH`` texts at once, sorted by length; PyTorch pads them, as ``transformers`` does.
    """
    texts = texts[:SPEED_TEXTS]
    torch.set_num_threads(1)
    shipped, whole = Predictor(folder, "cpu"), _fp32(folder)
    sequences = shipped.tokens(texts)
    network, ids = fitted.model.eval(), [torch.tensor(sequence) for sequence in sequences]
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))

    def ask_torch() -> None:
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                network(*pad([ids[row] for row in order[start : start + BATCH]], torch.device("cpu")))

    asks: dict[str, Callable[[], object]] = {
        "int8_onnx": lambda: shipped.logits(sequences),
        "fp32_onnx": lambda: whole.logits(sequences),
        "pytorch": ask_torch,
    }
    figures = {name: round(len(texts) / _best_seconds(ask), 1) for name, ask in asks.items()}
    tokens = sum(map(len, sequences)) / len(sequences)
    return {
        "mean_tokens": round(tokens, 1),
        **{f"{name}_per_s": per_second for name, per_second in figures.items()},
        "over_fp32_onnx": round(figures["int8_onnx"] / figures["fp32_onnx"], 2),
        "over_pytorch": round(figures["int8_onnx"] / figures["pytorch"], 2),
    }


def _fp32(folder: Path) -> Predictor:
    """The same bundle's fall-back: a copy whose manifest lists no other graph."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "bundle"
        shutil.copytree(folder, copy)
        manifest = read_manifest(copy)
        files = {name: file for name, file in manifest.files.items() if name not in (INT8, FP16)}
        write_manifest(copy, msgspec.structs.replace(manifest, files=files))
        return Predictor(copy, "cpu")


def _best_seconds(ask: Callable[[], object]) -> float:
    """The fastest of as many rounds as fit: others on the machine can only make it slower."""
    ask()
    best, until = float("inf"), time.perf_counter() + SPEED_SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        ask()
        best = min(best, time.perf_counter() - start)
    return best
