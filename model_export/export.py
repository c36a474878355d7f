"""A trained torch model as an ONNX graph, checked against the model it came from."""

from __future__ import annotations

import warnings
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


class ExportError(Exception):
    """The graph is not the model; the message says how far apart they are."""


class GraphNamesError(ExportError):
    """The graph's inputs or outputs have other names than the predictor asks for."""


class GraphShapeError(ExportError):
    """The graph's logits have another shape than torch's."""


class GraphValuesError(ExportError):
    """The graph's logits differ from torch's by more than the tolerance."""


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
