"""Puts a bundle together: everything is written aside, and the finished folder appears in one rename."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model_export.bundle.manifest import GOLDEN, TOKENIZER, Manifest, describe_files, write_manifest

GOLDEN_SEQUENCES = 64

GOLDEN_MARGIN = 0.5
"""Least distance between the two best logits: a near tie may fall either way and tells nothing about a CPU."""


class PackError(Exception):
    """A bundle that cannot be put together; the message names the cause and the cure."""


def pack(
    folder: Path,
    manifest: Manifest,
    *,
    tokenizer: Path,
    graphs: Mapping[str, Path],
    reference: Path,
    candidates: Iterable[list[int]],
    report: Path | None = None,
) -> Manifest:
    """Write a bundle folder.

    Args:
        folder: the bundle to make. Bundles are immutable: it must not exist.
        manifest: complete but for ``files``, which is filled in here.
        tokenizer: a Hugging Face ``tokenizer.json``.
        graphs: ONNX files by the name they get in the bundle, such as ``model.int8.onnx``.
        reference: the float32 graph, whose answers become the golden ones.
        candidates: token sequences with special tokens, as many as it takes: the first 64 with a clear answer become
            golden.
        report: a folder to copy to ``report/``.

    Returns:
        The manifest as written.

    Raises:
        FileExistsError: there is such a folder already.
        PackError: fewer than 64 candidates have a clear answer.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and a bundle is never changed: choose a new version or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)  # left by a run that was killed
    aside.mkdir()
    shutil.copyfile(tokenizer, aside / TOKENIZER)
    for name, graph in graphs.items():
        shutil.copyfile(graph, aside / name)
    if report is not None:
        shutil.copytree(report, aside / "report")
    _write_golden(aside / GOLDEN, reference, candidates)
    manifest = msgspec.structs.replace(manifest, files=describe_files(aside))
    write_manifest(aside, manifest)
    aside.rename(folder)
    return manifest


def _write_golden(path: Path, reference: Path, candidates: Iterable[list[int]]) -> None:
    golden = list(islice(_clear_answers(reference, candidates), GOLDEN_SEQUENCES))
    if len(golden) < GOLDEN_SEQUENCES:
        raise PackError(
            f"the self-test needs {GOLDEN_SEQUENCES} tickets with a clear answer, the model has {len(golden)}: "
            "train it longer, or with more tickets"
        )
    lengths = np.array([len(ids) for ids, _ in golden], dtype=np.int32)
    input_ids = np.zeros((len(golden), lengths.max()), dtype=np.int32)
    for row, (ids, _) in zip(input_ids, golden, strict=True):
        row[: len(ids)] = ids
    np.savez_compressed(path, input_ids=input_ids, lengths=lengths, logits=np.stack([logits for _, logits in golden]))


def _clear_answers(reference: Path, candidates: Iterable[list[int]]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    session = ort.InferenceSession(str(reference), providers=["CPUExecutionProvider"])
    for ids in candidates:
        feed = {"input_ids": np.array([ids], dtype=np.int64), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        logits = session.run(["logits"], feed)[0][0]
        second, best = np.sort(logits)[-2:]
        if best - second >= GOLDEN_MARGIN:
            yield ids, logits
