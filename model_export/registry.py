"""Publish bundles, promote one, roll back: the half of the registry that people use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from model_export.atomic import add, change
from model_export.bundle.channels import (
    SLOTS,
    Channels,
    RegistryError,
    Remote,
    check_name,
    locate,
    reaching,
    read_channels,
)
from model_export.bundle.manifest import MANIFEST, Manifest, read_manifest
from model_export.evidence import METRICS, Evidence, decode, objections

REPORT = "report/report.html"
"""Where a bundle keeps its report, a page in one file (``model_export.report``)."""

_TRIES = 5


class NotBetterError(RegistryError):
    """The figures speak against a promotion, or there are none to compare; it can be forced.

    Attributes:
        reasons: a sentence each.
    """

    def __init__(self, message: str, reasons: list[str]) -> None:
        super().__init__(message, permanent=True)
        self.reasons = reasons


class Version(NamedTuple):
    """One published version, and the channels that name it."""

    manifest: Manifest
    channels: tuple[str, ...]


def publish(url: str, folder: Path) -> Manifest:
    """Copy a bundle into the registry and stage it; nothing else changes for the workers that serve.

    The manifest goes last: a version without one does not exist, and an interrupted publication is taken up again by
    the same call.

    Raises:
        BundleError: the folder is no bundle.
        RegistryError: permanent when the version exists, which is never changed; temporary when out of reach.
    """
    manifest = read_manifest(folder)
    check_name(manifest.version)
    remote = locate(url, manifest.name)
    if METRICS in manifest.files:
        _decode_evidence((folder / METRICS).read_bytes(), manifest)
    add(remote, folder, manifest)
    for tried in range(1, _TRIES + 1):
        try:
            change(remote, lambda channels: msgspec.structs.replace(channels, staged=manifest.version))
        except RegistryError as error:
            if error.permanent or tried == _TRIES:
                raise
        else:
            break
    return manifest


def promote(url: str, name: str, version: str | None = None, *, force: bool = False) -> Channels:
    """Make a version active; workers follow within about 30 s.

    Refused when its ``report/metrics.json`` is worse than the active version's on the same test rows, as a whole or
    for a class (``evidence.objections``), or when the two do not compare.

    Args:
        url: of the registry.
        name: of the model.
        version: the staged one unless told.
        force: promote in spite of the figures.

    Raises:
        NotBetterError: refused.
        RegistryError: permanent when there is nothing to promote; temporary when out of reach or when
            somebody else changed the channels meanwhile.
    """
    remote = locate(url, name)

    def promoted(channels: Channels) -> Channels:
        chosen = version or channels.staged
        if chosen is None:
            raise RegistryError(f"no version of {name} is staged: publish one, or name one", permanent=True)
        if chosen == channels.active:
            raise RegistryError(f"{name}@{chosen} is active already", permanent=True)
        after = _manifest(remote, chosen)
        if channels.active is not None and not force:
            _compare(remote, after, _manifest(remote, channels.active))
        return msgspec.structs.replace(
            channels,
            active=chosen,
            previous=channels.active,
            staged=None if chosen == channels.staged else channels.staged,
        )

    return change(remote, promoted)


def rollback(url: str, name: str) -> Channels:
    """Make the previous version active again; a second rollback takes the first one back.

    Raises:
        RegistryError: permanent when there is no previous version; temporary as for ``promote``.
    """

    def rolled_back(channels: Channels) -> Channels:
        if channels.previous is None:
            raise RegistryError(f"{name} has no previous version to go back to: promote one by name", permanent=True)
        return msgspec.structs.replace(channels, active=channels.previous, previous=channels.active)

    return change(locate(url, name), rolled_back)


def report(url: str, name: str, version: str, *, most: int) -> bytes:
    """The report that a version came with: HTML, as it was published.

    Args:
        url: of the registry.
        name: of the model.
        version: whose.
        most: bytes; a longer one is not read.

    Raises:
        RegistryError: permanent when there is none, or it is longer or another than its manifest says; temporary when
            out of reach.
    """
    remote = locate(url, name)
    file = _manifest(remote, version).files.get(REPORT)
    if file is None:
        raise RegistryError(f"{name}@{version} came without {REPORT}", permanent=True)
    path = f"{remote.path}/{version}/{REPORT}"
    if file.size > most:
        raise RegistryError(f"the report is {file.size / 1e6:.0f} MB long: read it at {path}", permanent=True)
    with reaching(remote):
        raw: bytes = remote.fs.cat_file(path)
    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise RegistryError(f"{path} is not the file that was published (SHA-256 differs)", permanent=True)
    return raw


def versions(url: str, name: str, *, newest: int | None = None) -> list[Version]:
    """What is published, oldest first.

    Args:
        url: of the registry.
        name: of the model.
        newest: only so many, and those that a channel names; all of them unless told.

    Raises:
        RegistryError: permanent when there is no such model; temporary when out of reach.
    """
    remote = locate(url, name)
    with reaching(remote):
        channels = read_channels(url, name)
        found = sorted(
            row["name"].rstrip("/").rpartition("/")[2]
            for row in remote.fs.ls(remote.path, detail=True)
            if row["type"] != "file"
        )
        recent = found if newest is None else found[-newest:]
        named = {getattr(channels, slot) for slot in SLOTS}
        published = [
            one
            for one in found
            if (one in recent or one in named) and remote.fs.exists(f"{remote.path}/{one}/{MANIFEST}")
        ]
    return [
        Version(_manifest(remote, one), tuple(slot for slot in SLOTS if getattr(channels, slot) == one))
        for one in published
    ]


def _compare(remote: Remote, after: Manifest, before: Manifest) -> None:
    staged, active = (_evidence(remote, one) for one in (after, before))
    if staged is not None and active is not None:
        reasons = objections(staged, active)
    else:
        without = " and ".join(one.version for one, is_there in ((after, staged), (before, active)) if not is_there)
        figures = (f"{one.version} says {one.metrics.get('macro_f1', float('nan')):.3f}" for one in (after, before))
        reasons = [f"{without} came without {METRICS}, so nobody knows on which rows (macro-F1: {', '.join(figures)})"]
    if reasons:
        raise NotBetterError(
            f"{after.name}@{after.version} is not promoted over {before.version}: {'; '.join(reasons)}. "
            "Evaluate both on the same rows, or promote by force",
            reasons,
        )


def _evidence(remote: Remote, manifest: Manifest) -> Evidence | None:
    if METRICS not in manifest.files:
        return None
    with reaching(remote):
        return _decode_evidence(remote.fs.cat_file(f"{remote.path}/{manifest.version}/{METRICS}"), manifest)


def _decode_evidence(raw: bytes, manifest: Manifest) -> Evidence:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{METRICS} of {manifest.name}@{manifest.version} cannot be compared ({error}): evaluate it again",
            permanent=True,
        ) from error


def _manifest(remote: Remote, version: str) -> Manifest:
    check_name(version)
    with reaching(remote):
        raw = remote.fs.cat_file(f"{remote.path}/{version}/{MANIFEST}")
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(
            f"{remote.path}/{version}/{MANIFEST} is no manifest of this release: {error}", permanent=True
        ) from error
