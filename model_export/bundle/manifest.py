"""What a bundle says about itself: ``manifest.json``, its files and their hashes.

A bundle is a folder of JSON and ONNX; nothing in it executes on load::

    manifest.json    this module
    tokenizer.json   Hugging Face tokenizers
    model.int8.onnx  the graph for CPUs
    model.fp32.onnx  fall-back where int8 answers wrongly (optional)
    model.fp16.onnx  the graph for CUDA (optional)
    golden.npz       token sequences with the logits the fp32 model gave them
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

PROTOCOL = 1
"""Version of the bundle format.

Raise it when a worker of the previous release would read a new bundle wrongly: a file renamed, a field's meaning
changed, a new field that must not be ignored. Do not raise it for a field that older workers may ignore. A worker
loads every protocol up to its own that it has code for and refuses the others by name.
"""

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
GOLDEN = "golden.npz"


class BundleError(Exception):
    """A bundle that must not serve; the message names the file or field and what to do."""


class OtherReleaseError(BundleError):
    """A bundle of a protocol that this release does not read; it may be whole, and another release may serve it."""


class Label(msgspec.Struct, frozen=True):
    """One answer the model can give.

    Attributes:
        value: the Zendesk option's tag, written to the field as it stands here.
        name: what people read; ``A::B`` for a nested option.
        threshold: smallest probability at which the category may be filled without asking; above 1 it never may, and
            is only suggested.
        support: calibration examples behind the threshold; None when it was not calibrated.
        precision_bound: with so much precision at least is what reaches the threshold right, at 90 % confidence;
            None when it was not calibrated or never may be filled.
    """

    value: str
    name: str
    threshold: float = 0.5
    support: int | None = None
    precision_bound: float | None = None


class File(msgspec.Struct, frozen=True):
    """A file's SHA-256 (hex) and its size in bytes."""

    sha256: str
    size: Annotated[int, msgspec.Meta(ge=0, le=2**50)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of ``manifest.json``.

    Attributes:
        version: sortable and unique per ``name``; part of every decision record.
        created: RFC 3339, UTC.
        task: ``single`` (softmax) or ``multi`` (a sigmoid per label).
        max_length: longest token sequence the model sees, special tokens included.
        text_version: the ``prepare_text`` this model was trained with.
        temperature: logits are divided by it before softmax or sigmoid.
        confusion: (L, L) counts of calibration and test rows, truth down and likeliest answer across, both in the order
            of ``labels``; None for ``multi``. What a rate of answers says about the rate of truths follows from it.
        languages: those that its tickets were written in (ISO 639, two letters where there are two); workers fill the
            field for no other. Empty: any.
        metrics: figures measured on held-out rows, by name.
        base: the pretrained model or the architecture it was made from.
        data: what it was trained on, with a fingerprint of the rows.
    """

    protocol: int
    name: str
    version: str
    created: str
    task: Literal["single", "multi"]
    labels: tuple[Label, ...]
    max_length: Annotated[int, msgspec.Meta(ge=2, le=2**20)]
    text_version: int
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    confusion: tuple[tuple[int, ...], ...] | None = None
    languages: tuple[str, ...] = ()
    files: dict[str, File]
    metrics: dict[str, float] = {}
    base: str = ""
    data: dict[str, Any] = {}


def describe_files(folder: Path) -> dict[str, File]:
    """Hash every file of a bundle folder except the manifest itself."""
    return {
        path.relative_to(folder).as_posix(): File(
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, readable and stable so that two builds can be compared."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read and verify a bundle folder.

    Raises:
        OtherReleaseError: its protocol is not known here.
        BundleError: the manifest is missing or malformed, or a file is missing, altered or truncated.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}): point `bundle` at a bundle's folder") from error
    try:
        protocol = msgspec.json.decode(raw, type=dict[str, Any]).get("protocol")
        if protocol != PROTOCOL:
            raise OtherReleaseError(
                f"{path} has protocol {protocol!r}, this worker reads {PROTOCOL}: "
                "export the model again, or run the release that wrote it"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path} is not a bundle manifest: {error}") from error
    if not manifest.labels:
        raise BundleError(f"{path} names no labels")
    values = [label.value for label in manifest.labels]
    if unfit := sorted({one for one in values if not one or "*" in one or values.count(one) > 1}):
        raise BundleError(f"{path}: {unfit} cannot be labels, or are there twice: a tag is not empty and has no star")
    for name in (TOKENIZER, GOLDEN):
        if name not in manifest.files:
            raise BundleError(f"{path} does not list {name}, and only listed files are verified: export again")
    for name, expected in manifest.files.items():
        _verify(folder, name, expected)
    return manifest


def inside(folder: Path, name: str) -> Path:
    """Where a file that a manifest names lies.

    Raises:
        BundleError: outside the bundle's folder, or nowhere: no file has such a name.
    """
    try:
        path = (folder / name).resolve()
        path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL in it, links in a circle
        raise BundleError(f"{name[:100]!r} in the manifest of {folder} is no file's name: {error}") from error
    if not path.is_relative_to(folder.resolve()):
        raise BundleError(f"{name[:100]!r} points outside the bundle {folder}")
    return path


def _verify(folder: Path, name: str, expected: File) -> None:
    path = inside(folder, name)
    if not path.is_file():
        raise BundleError(f"{path} is named in the manifest but missing: copy the bundle again")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != expected.sha256:
        raise BundleError(f"{path} is not the file that was published (SHA-256 differs): copy the bundle again")
