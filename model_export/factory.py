"""From a fine-tuned model to a bundle: export, int8, parity, calibration, report, all on the file that ships."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from model_export.bundle.manifest import PROTOCOL, BundleError, Label, Manifest
from model_export.bundle.predictor import FP16, FP32, INT8, Predictor
from model_export.bundle.text import TEXT_VERSION
from model_export.calibrate import Floats, Threshold, fit_temperature, probabilities
from model_export.dataset.arrays import by_people
from model_export.dataset.rows import Dataset
from model_export.evaluate import (
    Parity,
    ParityError,
    answers,
    check_parity,
    confusion_matrix,
    measure_speed,
    parity,
)
from model_export.evidence import METRICS, ClassScore, Evidence
from model_export.export import ExportError, check_fp16, export_onnx
from model_export.pack import GOLDEN_SEQUENCES, pack
from model_export.quantize import ROUNDINGS, quantize_fp16, quantize_int8
from model_export.report.findings import Curve, Findings, LearningPoint
from model_export.report.measuring import find
from model_export.report.page import write_report


class Exportable(Protocol):
    """A strategy's result that is a neural network, and so can become a bundle."""

    @property
    def model(self) -> PreTrainedModel:
        """A sequence classifier in DistilBERT's layout."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Without padding and truncation."""

    @property
    def max_length(self) -> int:
        """Tokens of a text that it reads, special tokens included."""

    def describe(self) -> str:
        """What it is, in a line."""


class Made(NamedTuple):
    """A bundle on disk, and what was measured of it."""

    manifest: Manifest
    findings: Findings


class _Answers(NamedTuple):
    """One graph's logits for the calibration and the test rows, (rows, L)."""

    predictor: Predictor
    calibration: NDArray[np.float32]
    test: NDArray[np.float32]


def make_bundle(
    fitted: Exportable,
    dataset: Dataset,
    folder: Path,
    *,
    name: str,
    target: float,
    fp16: bool = False,
    languages: Sequence[str] = (),
    unseen: bool = True,
    curves: Sequence[Curve] = (),
    learning: Sequence[LearningPoint] = (),
    say: Callable[[str], object] = lambda _: None,
) -> Made:
    """Write the bundle of a fine-tuned model.

    Temperature and thresholds are fitted to the answers that the graph for CPUs gives on the calibration split, int8
    unless that fails the parity gate; the figures are its answers on the test split.

    Args:
        fitted: a trained network.
        dataset: what it was trained on.
        folder: the bundle to make; must not exist.
        name: of the model.
        target: precision that a filled category must reach.
        fp16: add the graph for CUDA. Left out unless asked: every worker fetches the whole bundle, most have no GPU.
        languages: that the tickets are written in, see ``Manifest``.
        unseen: whether the network was trained on the data set's training rows, and on no others of it.
        curves: pictures of the training for the report.
        learning: what fewer tickets or other strategies gave, for the report.
        say: told what is being done.

    Raises:
        FileExistsError: the folder exists.
        ExportError: a graph does not answer like the network.
        PackError: the network is hardly ever sure.
        DataError: people labelled none of the calibration or of the test rows.
    """
    positions = fitted.model.config.max_position_embeddings
    if fitted.max_length > positions:  # the worker would fail at the first long ticket
        raise ExportError(f"the base reads at most {positions} tokens of a text: make it with --max-length {positions}")
    for part, split in (("calibration", dataset.calibration), ("test", dataset.test)):
        by_people(split, part)  # raises before minutes are spent
    multi = dataset.task == "multi"
    manifest = _manifest(fitted, dataset, name, languages, unseen=unseen)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name_of_work:
        work = Path(name_of_work)
        tokenizer, fp32, half = work / "tokenizer.json", work / FP32, work / FP16
        fitted.tokenizer.save(str(tokenizer), pretty=False)
        say("exporting, and holding the graph against the network")
        export_onnx(fitted.model.cpu(), fp32)

        def ask(graph: Path) -> _Answers:
            say(f"asking {graph.stem} about the calibration and test tickets")
            with tempfile.TemporaryDirectory(dir=work) as draft:
                rows = _candidates(fitted, dataset)
                where = Path(draft) / "bundle"
                one = {graph.name: graph}
                pack(where, manifest, tokenizer=tokenizer, graphs=one, reference=fp32, candidates=rows)
                return _answers(Predictor(where, "cpu"), dataset)

        shipped, agreement = _best_for_cpu(fp32, ask, dataset, say)
        graphs = [fp32] if agreement is None else [work / INT8, fp32]
        if fp16:
            say("rounding to fp16")
            quantize_fp16(fp32, half)
            difference = check_fp16(fp32, half, [*islice(_candidates(fitted, dataset), GOLDEN_SEQUENCES)])
            say(f"fp16 differs from fp32 by {difference:.1e} in a logit at most")
            graphs.append(half)
        believed = dataset.calibration.weights >= 1  # our own earlier answers agree with us, whether right or wrong
        temperature = fit_temperature(shipped.calibration[believed], dataset.calibration.targets[believed])
        held, test = (probabilities(logits, temperature, multi=multi) for logits in (shipped.calibration, shipped.test))
        say("calibrating, and writing the report")
        findings = find(
            f"{name} {manifest.version}",
            dataset,
            held,
            test,
            target=target,
            unseen=unseen,
            parity=agreement,
            speed=measure_speed(shipped.predictor.predict, dataset.test.texts),
            sizes={graph.name: graph.stat().st_size for graph in graphs},
            curves=curves,
            learning=learning,
        )
        manifest = msgspec.structs.replace(
            manifest,
            temperature=temperature,
            labels=tuple(_promising(*each) for each in zip(manifest.labels, findings.chosen.thresholds, strict=True)),
            confusion=None if multi else _confusion(dataset, held, test),
            metrics=findings.metrics(),
        )
        report = work / "report"
        write_report(report, findings)
        (work / METRICS).write_bytes(msgspec.json.encode(_evidence(dataset, findings)))
        manifest = pack(
            folder,
            manifest,
            tokenizer=tokenizer,
            graphs={graph.name: graph for graph in graphs},
            reference=fp32,
            candidates=_candidates(fitted, dataset),
            report=report,
        )
    return Made(manifest, findings)


def _manifest(fitted: Exportable, dataset: Dataset, name: str, languages: Sequence[str], *, unseen: bool) -> Manifest:
    """What is known before anything is measured; the version is the time."""
    now = datetime.now(UTC)
    return Manifest(
        protocol=PROTOCOL,
        name=name,
        version=now.strftime("%Y%m%dT%H%M%SZ"),
        created=now.isoformat(timespec="seconds"),
        task=dataset.task,
        labels=tuple(Label(value=label, name=dataset.names.get(label, label)) for label in dataset.labels),
        max_length=fitted.max_length,
        languages=tuple(languages),
        text_version=TEXT_VERSION,
        files={},
        base=fitted.describe(),
        data={"fingerprint": dataset.fingerprint, **({"training_rows": len(dataset.train.texts)} if unseen else {})},
    )


def _promising(label: Label, solved: Threshold) -> Label:
    """The label with its threshold and the evidence for it."""
    bound = solved.bound if solved.support else None
    return msgspec.structs.replace(label, threshold=solved.value, support=solved.support, precision_bound=bound)


def _candidates(fitted: Exportable, dataset: Dataset) -> Iterator[list[int]]:
    """Token sequences that may become golden; rows that were not trained on first, all if they are needed."""
    for split in (dataset.calibration, dataset.test, dataset.train):
        for text in split.texts:
            yield fitted.tokenizer.encode(text).ids[: fitted.max_length]


def _best_for_cpu(
    fp32: Path, ask: Callable[[Path], _Answers], dataset: Dataset, say: Callable[[str], object]
) -> tuple[_Answers, Parity | None]:
    """The answers of the fastest graph that answers as the network does, and how nearly; None if that is fp32 itself.

    int8, beside ``fp32``, by the first of ``ROUNDINGS`` that passes the parity gate.
    """
    whole, int8 = ask(fp32), fp32.with_name(INT8)
    even = np.zeros(len(dataset.labels)) if dataset.task == "multi" else None  # a logit of 0: as likely as not
    for rounding in ROUNDINGS:
        say(f"rounding to int8, {rounding.name}")
        quantize_int8(fp32, int8, rounding)
        try:
            rounded = ask(int8)
            measured = parity(whole.test, rounded.test, dataset.test.targets, even)
            check_parity(measured)
        except (BundleError, ParityError) as error:  # the former when not even the self-test agrees
            say(str(error))
        else:
            return rounded, measured
    int8.unlink()
    say("the bundle carries fp32 alone: as good as the network, and less than half as fast as int8")
    return whole, None


def _answers(predictor: Predictor, dataset: Dataset) -> _Answers:
    calibration, test = (
        predictor.logits(predictor.tokens(split.texts)) for split in (dataset.calibration, dataset.test)
    )
    return _Answers(predictor, calibration, test)


def _confusion(dataset: Dataset, held: Floats, test: Floats) -> tuple[tuple[int, ...], ...]:
    """Counts of both parts that training left alone, where people set the label."""
    counts = sum(
        confusion_matrix(answers(likely)[split.weights >= 1], split.targets[split.weights >= 1], len(dataset.labels))
        for likely, split in ((held, dataset.calibration), (test, dataset.test))
    )
    return tuple(tuple(row) for row in np.asarray(counts).tolist())


def _evidence(dataset: Dataset, findings: Findings) -> Evidence:
    scores = zip(dataset.labels, findings.scores.f1, findings.scores.support, strict=True)
    return Evidence(
        test_fingerprint=dataset.fingerprint,
        macro_f1=findings.macro_f1.value,
        per_class={label: ClassScore(float(f1), int(support)) for label, f1, support in scores},
    )
