"""The only inference code of the project: texts in, probabilities out."""

from __future__ import annotations

import itertools
import logging
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model_export.bundle.manifest import GOLDEN, TOKENIZER, BundleError, Manifest, read_manifest
from model_export.bundle.text import TEXT_VERSION

log = logging.getLogger("presort.model")

Provider = Literal["auto", "cpu", "cuda"]
Tokens = list[int]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
INT8, FP32, FP16 = "model.int8.onnx", "model.fp32.onnx", "model.fp16.onnx"

CHOICES = ((CUDA, FP16), (CPU, INT8), (CPU, FP32))
"""What may answer, in order of preference. The dynamic-int8 operators have no CUDA kernel: a GPU gets fp16."""

BATCH = 8
"""Sequences a run; on a CPU larger batches gain nothing, and none of them is padded."""

GOLDEN_BYTES = 64 * 1024 * 1024
"""Most that the golden sequences may unpack to; those of the longest take a tenth."""

GOLDEN_AGREEMENT = 0.97
"""Share of golden sequences on which this CPU must choose the label that the fp32 model chose at export."""


class Predictor:
    """A verified bundle, loaded and ready.

    Attributes:
        manifest: what the bundle says about itself.
        graph: the file that answers, for logs and metrics.
        provider: the execution provider that runs it.
        agreement: share of the golden sequences answered as at export.
    """

    def __init__(self, folder: Path, provider: Provider = "auto") -> None:
        """Load, then ask the golden sequences before anyone else may ask.

        Args:
            folder: the bundle.
            provider: ``auto`` takes CUDA when both the provider and an fp16 graph are there, and the CPU when that
                does not load or answers wrongly; on the CPU, fp32 follows int8 in the same way. ``cuda`` takes
                nothing else.

        Raises:
            BundleError: the bundle is broken, was made for another text preparation, CUDA was asked for and cannot be
                had, or no graph loads and answers the golden sequences rightly on this machine.
        """
        self.manifest = read_manifest(folder)
        if self.manifest.text_version != TEXT_VERSION:
            raise BundleError(
                f"{folder} was trained on text version {self.manifest.text_version}, this release prepares version "
                f"{TEXT_VERSION}: train again, or run the release that trained it"
            )
        self._tokenizer = _tokenizer(folder / TOKENIZER, self.manifest.max_length)
        choices = _choices(self.manifest, provider)
        self._session, self.provider, self.graph, self.agreement = self._first_that_agrees(folder, choices)

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities for texts made by ``prepare_text``.

        Returns:
            (texts, labels), rows in the order asked. Each row sums to one for ``single``; each entry is a label's own
            probability for ``multi``.
        """
        return self.probabilities(self.logits(self.tokens(texts)))

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids with special tokens, cut to the model's longest."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def logits(self, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        """Raw scores, (sequences, labels), in the order asked."""
        return self._run(self._session, sequences)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Softmax or sigmoid of the logits over the temperature; the same shape."""
        scaled = logits / self.manifest.temperature
        if self.manifest.task == "multi":
            return np.asarray(1 / (1 + np.exp(-scaled)), dtype=np.float32)
        exp = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(exp / exp.sum(axis=1, keepdims=True), dtype=np.float32)

    def _run(self, session: ort.InferenceSession, sequences: Sequence[Tokens]) -> NDArray[np.float32]:
        out = np.empty((len(sequences), len(self.manifest.labels)), dtype=np.float32)
        for rows in _equal_lengths(sequences):
            ids = np.array([sequences[row] for row in rows], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            out[rows] = session.run(["logits"], feed)[0]
        return out

    def _first_that_agrees(
        self, folder: Path, choices: Sequence[tuple[str, str]]
    ) -> tuple[ort.InferenceSession, str, str, float]:
        sequences, logits = read_golden(folder)
        if logits.shape[1:] != (len(self.manifest.labels),):
            raise BundleError(
                f"{folder}: {GOLDEN} has logits {logits.shape}, the manifest {len(self.manifest.labels)} labels"
            )
        expected = logits.argmax(axis=1)
        verdicts: list[str] = []
        for provider, graph in choices:
            try:
                session = _session(folder / graph, provider)
                agreement = float((self._run(session, sequences).argmax(axis=1) == expected).mean())
            except Exception as error:  # noqa: BLE001 - onnxruntime raises half a dozen unrelated types
                verdicts.append(f"{graph} does not run on {provider} of onnxruntime {ort.__version__} ({error})")
                continue
            if agreement >= GOLDEN_AGREEMENT:
                for verdict in verdicts:
                    log.warning("%s: %s: %s serves on %s instead", folder, verdict, graph, provider)
                return session, provider, graph, agreement
            verdicts.append(f"{graph} agrees on {agreement:.1%} of {len(expected)} golden sequences on {provider}")
        raise BundleError(
            f"{folder} fails its self-test on this machine ({'; '.join(verdicts) or 'it has no graph to try'}), "
            f"needs {GOLDEN_AGREEMENT:.0%}: export again on a like machine or add {FP32}"
        )


def read_golden(folder: Path) -> tuple[list[Tokens], NDArray[np.float32]]:
    """A bundle's golden token sequences, and the fp32 model's logits for them, (sequences, labels)."""
    try:
        with zipfile.ZipFile(folder / GOLDEN) as packed:
            size = sum(one.file_size for one in packed.infolist())
        if size > GOLDEN_BYTES:
            raise ValueError(f"it unpacks to {size / 1e6:,.0f} MB, {GOLDEN_BYTES / 1e6:.0f} are allowed")  # noqa: TRY301 - translated like the rest
        golden = np.load(folder / GOLDEN, allow_pickle=False)
        rows = zip(golden["input_ids"], golden["lengths"], strict=True)
        return [ids[:length].tolist() for ids, length in rows], golden["logits"]
    except Exception as error:  # numpy raises half a dozen unrelated types for a bad file
        raise BundleError(f"{folder / GOLDEN} does not load: {error}") from error


def _equal_lengths(sequences: Sequence[Tokens]) -> Iterator[list[int]]:
    """Row numbers in batches of one length each: padding costs more than batching gains."""
    by_length = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
    for _, group in itertools.groupby(by_length, key=lambda row: len(sequences[row])):
        rows = list(group)
        yield from (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def _tokenizer(path: Path, max_length: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise BundleError(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def _choices(manifest: Manifest, wanted: Provider) -> list[tuple[str, str]]:
    """(provider, graph) pairs that this machine and this bundle offer; a file that is not listed was never verified."""
    available, has_graph = ort.get_available_providers(), FP16 in manifest.files
    if wanted == "cuda" and CUDA not in available:
        cause = "onnxruntime-gpu is not installed or sees no GPU"
        raise BundleError(f"provider is cuda, but {cause}: mend that or set provider = 'auto'")
    if wanted == "cuda" and not has_graph:
        cause = f"the bundle has no {FP16}"
        raise BundleError(f"provider is cuda, but {cause}: make it with --fp16 or set provider = 'auto'")
    if wanted == "auto" and CUDA in available and not has_graph:
        log.warning("CUDA is here, but the bundle has no %s, so the CPU answers: make it with --fp16", FP16)
    providers = {"auto": available, "cuda": [CUDA], "cpu": [CPU]}[wanted]
    return [(provider, graph) for provider, graph in CHOICES if provider in providers and graph in manifest.files]


def _session(graph: Path, provider: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread a process, more processes for more speed: two processes of one thread beat one of two.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = [provider] if provider == CPU else [provider, CPU]
    # onnxruntime would go over to the CPU by itself, and say so on standard output only.
    # From memory: from a path it would also read weights from files beside it, which no manifest lists and nobody
    # verified.
    session = ort.InferenceSession(graph.read_bytes(), options, providers=providers, enable_fallback=False)
    if provider not in session.get_providers():
        raise RuntimeError(f"onnxruntime lists {provider} but cannot start it: see the versions of CUDA and cuDNN")
    return session
