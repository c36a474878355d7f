"""From a fine-tuned model to a bundle: export, int8, parity, calibration, report, all on the file that ships."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from model_export.bundle.manifest import PROTOCOL, Label, Manifest
from model_export.bundle.predictor import Predictor
from model_export.bundle.text import TEXT_VERSION
from model_export.calibrate import fit_temperature, probabilities
from model_export.dataset.rows import Dataset
from model_export.evaluate import check_parity, measure_speed, parity
from model_export.evidence import METRICS, ClassScore, Evidence
from model_export.export import export_onnx
from model_export.pack import pack
from model_export.quantize import quantize_int8
from model_export.report.findings import Curve, Findings, find
from model_export.report.page import write_report

SPEED_TEXTS = 200


class Exportable(Protocol):
    """A strategy's result that is a neural network, and so can become a bundle."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    max_length: int

    def describe(self) -> str:
        """What it is, in a line."""


class Made(NamedTuple):
    """A bundle on disk, and what was measured of it."""

    manifest: Manifest
    findings: Findings


class _Draft(NamedTuple):
    """One graph's logits for the calibration and the test rows."""

    predictor: Predictor
    calibration: NDArray[np.float32]
    test: NDArray[np.float32]


def make_bundle(
    fitted: Exportable, dataset: Dataset, folder: Path, *, name: str, target: float, curves: Sequence[Curve] = ()
) -> Made:
    """Write the bundle of a fine-tuned model.

    Temperature and thresholds are fitted to the int8 graph's own answers on the calibration split; the figures are its
    answers on the test split.

    Args:
        fitted: a trained network.
        dataset: what it was trained on.
        folder: the bundle to make; must not exist.
        name: of the model.
        target: precision that a filled category must reach.
        curves: pictures of the training for the report.

    Raises:
        FileExistsError: the folder exists.
        ExportError: the graph does not answer like the network.
        ParityError: the int8 graph is not as good as the network.
        DataError: people labelled none of the calibration or of the test rows.
    """
    multi = dataset.task == "multi"
    now = datetime.now(UTC)
    manifest = Manifest(
        protocol=PROTOCOL,
        name=name,
        version=now.strftime("%Y%m%dT%H%M%SZ"),
        created=now.isoformat(timespec="seconds"),
        task=dataset.task,
        labels=tuple(Label(value=label, name=dataset.names.get(label, label)) for label in dataset.labels),
        max_length=fitted.max_length,
        text_version=TEXT_VERSION,
        files={},
        base=fitted.describe(),
        data={"fingerprint": dataset.fingerprint, "training_rows": len(dataset.train.texts)},
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as name_of_work:
        work = Path(name_of_work)
        fp32, int8, tokenizer = work / "model.fp32.onnx", work / "model.int8.onnx", work / "tokenizer.json"
        export_onnx(fitted.model.cpu(), fp32)
        quantize_int8(fp32, int8)
        fitted.tokenizer.save(str(tokenizer), pretty=False)
        candidates = _candidates(fitted, dataset)
        drafts = []
        for graph in (fp32, int8):
            draft = work / graph.stem
            pack(
                draft, manifest, tokenizer=tokenizer, graphs={graph.name: graph}, reference=fp32, candidates=candidates
            )
            drafts.append(_ask(Predictor(draft, "cpu"), dataset))
        before, after = drafts
        temperature = fit_temperature(after.calibration, dataset.calibration.targets)
        held, test = (probabilities(logits, temperature, multi=multi) for logits in (after.calibration, after.test))
        reference = probabilities(before.test, temperature, multi=multi)
        agreement = parity(reference, test, dataset.test.targets, np.full(test.shape[1], 0.5) if multi else None)
        check_parity(agreement)
        findings = find(
            f"{name} {manifest.version}",
            dataset,
            held,
            test,
            target=target,
            parity=agreement,
            speed=measure_speed(after.predictor.predict, dataset.test.texts[:SPEED_TEXTS]),
            sizes={graph.name: graph.stat().st_size for graph in (int8, fp32)},
            curves=curves,
        )
        manifest = msgspec.structs.replace(
            manifest,
            temperature=temperature,
            labels=tuple(
                msgspec.structs.replace(label, threshold=solved.value, support=solved.support)
                for label, solved in zip(manifest.labels, findings.chosen.thresholds, strict=True)
            ),
            metrics=findings.metrics(),
        )
        report = work / "report"
        write_report(report, findings)
        (work / METRICS).write_bytes(msgspec.json.encode(_evidence(dataset, findings)))
        manifest = pack(
            folder,
            manifest,
            tokenizer=tokenizer,
            graphs={int8.name: int8, fp32.name: fp32},
            reference=fp32,
            candidates=candidates,
            report=report,
        )
    return Made(manifest, findings)


def _candidates(fitted: Exportable, dataset: Dataset) -> list[list[int]]:
    """Token sequences that may become golden: the calibration rows', as many as could be needed."""
    texts = dataset.calibration.texts[:1000]
    return [encoding.ids[: fitted.max_length] for encoding in fitted.tokenizer.encode_batch(texts)]


def _ask(predictor: Predictor, dataset: Dataset) -> _Draft:
    calibration, test = (
        predictor.logits(predictor.tokens(split.texts)) for split in (dataset.calibration, dataset.test)
    )
    return _Draft(predictor, calibration, test)


def _evidence(dataset: Dataset, findings: Findings) -> Evidence:
    scores = zip(dataset.labels, findings.scores.f1, findings.scores.support, strict=True)
    return Evidence(
        test_fingerprint=dataset.fingerprint,
        macro_f1=findings.macro_f1.value,
        per_class={label: ClassScore(float(f1), int(support)) for label, f1, support in scores},
    )
