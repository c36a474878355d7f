"""A float32 graph in fewer bits: int8 for CPUs (a quarter of the size, more than twice the speed), fp16 for GPUs."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import NamedTuple

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

KEPT_FLOAT32 = ("LayerNormalization", "Softmax")
"""Sums over a whole row, and an epsilon of 1e-12, which 16 bits do not have."""


class Rounding(NamedTuple):
    """A way to int8.

    Attributes:
        name: for people.
        per_channel: a scale for each channel of a weight instead of one a tensor.
        spared: the feed-forward parts of so many first layers stay in float32: their few large activations leave the
            others little of 8 bits, and every later layer builds on what they say.
    """

    name: str
    per_channel: bool = False
    spared: int = 0


ROUNDINGS = (
    Rounding("one scale a tensor"),
    Rounding("one scale a channel", per_channel=True),
    Rounding("one scale a channel, the first two feed-forward parts in fp32", per_channel=True, spared=2),
)
"""From the fastest to the nearest. On GoEmotions, where many answers are close calls, a width-384 DistilBERT's int8
agrees with fp32 on 93.9, 97.3 and 98.0 % of the rows (``python -m benchmarks.accuracy --only goemotions``)."""


def quantize_int8(source: Path, target: Path, rounding: Rounding = ROUNDINGS[0]) -> None:
    """Quantise weights to int8 ahead of time and activations to uint8 while running.

    The source must be a plain export: fused first, the int8 graph gets slower, whatever onnxruntime advises in its log
    about pre-processing. Embedding tables (``Gather``) are weights too.

    Args:
        source: the float32 graph.
        target: the int8 graph to write.
        rounding: how nearly.
    """
    spared = tuple(f"/layer.{layer}/ffn/" for layer in range(rounding.spared))
    names = [node.name for node in onnx.load(source, load_external_data=False).graph.node]
    logging.disable(logging.WARNING)  # it advises to fuse first, see above
    try:
        quantize_dynamic(
            source,
            target,
            weight_type=QuantType.QInt8,
            per_channel=rounding.per_channel,
            nodes_to_exclude=[name for name in names if any(part in name for part in spared)],
            op_types_to_quantize=["MatMul", "Gather"],
        )
    finally:
        logging.disable(logging.NOTSET)


def quantize_fp16(source: Path, target: Path) -> None:
    """Round weights and activations to 16 bits; inputs, outputs and ``KEPT_FLOAT32`` stay as they are.

    Args:
        source: the float32 graph, a plain export.
        target: the float16 graph to write.
    """
    with warnings.catch_warnings():
        # It warns of each constant it rounds; what that changes is measured afterwards, on whole answers.
        warnings.filterwarnings("ignore", category=UserWarning, module=convert_float_to_float16.__module__)
        graph = convert_float_to_float16(
            onnx.load(source), keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_FLOAT32]
        )
    onnx.save(graph, target)
