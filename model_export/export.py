"""A trained torch model as an ONNX graph, and each graph held against what it came from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from optimum.exporters.onnx import export as optimum_export
from optimum.exporters.tasks import TasksManager
from transformers import PreTrainedModel

INPUTS = ["input_ids", "attention_mask"]
OUTPUTS = ["logits"]

TOLERANCE = 1e-4
"""Largest difference between a logit of the graph and of torch; float32 rounding stays below 1e-5."""

HALF_TOLERANCE = 0.1
"""Largest difference between a logit of the fp16 graph and of fp32; MiniLM's are 0.004 apart. A fifth of the golden
sequences' margin, so that rounding to 16 bits never turns a golden answer."""


class ExportError(Exception):
    """The graph is not the model; the message says how far apart they are."""


class GraphNamesError(ExportError):
    """The graph's inputs or outputs have other names than the predictor asks for."""


class GraphShapeError(ExportError):
    """The graph's logits have another shape than torch's."""


class GraphValuesError(ExportError):
    """The graph's logits differ from torch's by more than the tolerance."""


class HalfPrecisionError(ExportError):
    """The fp16 graph has other inputs or outputs than fp32, or its logits differ by more than its tolerance."""


def export_onnx(model: PreTrainedModel, graph: Path) -> float:
    """Write a sequence classifier as float32 ONNX.

    Inputs ``input_ids`` and ``attention_mask`` are int64, (batch, sequence), both axes dynamic; the output ``logits``
    is float32, (batch, labels).

    Args:
        model: a ``...ForSequenceClassification`` that optimum knows how to export.
        graph: the file to write.

    Returns:
        The largest difference measured between the graph's logits and torch's.

    Raises:
        GraphNamesError, GraphShapeError, GraphValuesError: the graph does not answer as the model does.
    """
    config = TasksManager.get_exporter_config_constructor(
        exporter="onnx", model=model, task="text-classification", library_name="transformers"
    )
    with warnings.catch_warnings():
        # The tracer warns that it may freeze a shape; whether it did is measured below, with shapes of all kinds.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        optimum_export(model.eval(), config(model.config), graph)
    return _check(model, graph)


def check_fp16(fp32: Path, fp16: Path, sequences: Sequence[Sequence[int]]) -> float:
    """Hold the fp16 graph against fp32, both on the CPU.

    The CPU has no float16 arithmetic: it sums in float32 what was rounded to 16 bits. So this finds a wrong conversion
    and numbers that 16 bits cannot hold; the GPU's own sums are held against the golden answers when a bundle loads.

    Args:
        fp32: the graph to compare with.
        fp16: the graph to check.
        sequences: token ids with special tokens, at least one.

    Returns:
        The largest difference measured between two logits.

    Raises:
        HalfPrecisionError: see there.
    """
    before, after = (ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"]) for graph in (fp32, fp16))
    nodes = [[(node.name, node.type) for node in (*s.get_inputs(), *s.get_outputs())] for s in (before, after)]
    if nodes[0] != nodes[1]:
        raise HalfPrecisionError(f"{fp16} has inputs and outputs {nodes[1]}, in fp32 {nodes[0]}: leave --fp16 out")
    differences = []
    for ids in sequences:
        feed = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        differences.append(np.abs(before.run(OUTPUTS, feed)[0] - after.run(OUTPUTS, feed)[0]).max())
    difference = float(np.max(differences))
    if not difference <= HALF_TOLERANCE:  # NaN is a difference as well
        raise HalfPrecisionError(
            f"logits of the fp16 graph differ from fp32's by {difference:.2e}, allowed are {HALF_TOLERANCE:g}: "
            "leave --fp16 out, or choose another --base"
        )
    return difference


def _check(model: PreTrainedModel, graph: Path) -> float:
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()], [node.name for node in session.get_outputs()]
    if names != (INPUTS, OUTPUTS):
        raise GraphNamesError(f"{graph} has inputs and outputs {names}, the predictor asks for {(INPUTS, OUTPUTS)}")
    longest = model.config.max_position_embeddings
    return max(_difference(model, session, batch, length) for batch, length in ((1, 2), (3, 17), (2, longest)))


def _difference(model: PreTrainedModel, session: ort.InferenceSession, batch: int, length: int) -> float:
    ids = torch.randint(model.config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[-1, length // 2 + 1 :] = 0  # one sequence shorter than its batch
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).logits.float().numpy()
    actual = session.run(OUTPUTS, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]
    if actual.shape != expected.shape:
        raise GraphShapeError(f"logits of a {batch} x {length} batch are {actual.shape}, in torch {expected.shape}")
    difference = float(np.abs(actual - expected).max())
    if not difference <= TOLERANCE:  # NaN is a difference as well
        raise GraphValuesError(
            f"logits of a {batch} x {length} batch differ from torch's by {difference:.2e}, allowed are {TOLERANCE:.0e}"
        )
    return difference
