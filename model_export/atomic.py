"""Writes to a registry that happen as a whole or not at all.

A version appears with its manifest and is never changed after. What is in force changes by one write of
``channels.json``, and only if it is still what was read before:

- on a local folder under a file lock, written aside and moved into place (``os.replace``);
- on S3 by a conditional put (``If-None-Match``, ``If-Match`` with the ETag that was read);
- on other stores the first write is a conditional put too; a later one reads the generation again right before its
  single put and once more after it. fsspec has no conditional replacement there, so two people who promote within
  the same fraction of a second may both be told that they did, and the later one is in force.

Who comes second is told so by a temporary ``RegistryError``, and has changed nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from fsspec.implementations.local import LocalFileSystem

from model_export.bundle.channels import CHANNELS, Channels, RegistryError, Remote, decode_channels, reaching
from model_export.bundle.fetch import locked
from model_export.bundle.manifest import MANIFEST, Manifest

_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict"}


def add(remote: Remote, folder: Path, manifest: Manifest) -> None:
    """Copy a verified bundle to its version's place; an interrupted copy is taken up again.

    Raises:
        RegistryError: permanent when the version exists; temporary when out of reach.
    """
    with reaching(remote):
        if isinstance(remote.fs, LocalFileSystem):
            _copy(remote, folder, manifest)
        else:
            _upload(remote, folder, manifest)


def change(remote: Remote, make: Callable[[Channels], Channels]) -> Channels:
    """Replace the channels by what ``make`` makes of them, if nobody else did meanwhile.

    Raises:
        RegistryError: temporary when somebody did or the registry is out of reach; and what ``make`` raises.
    """
    with reaching(remote):
        before, condition = _read(remote)
    after = msgspec.structs.replace(make(before), generation=before.generation + 1)
    raw = msgspec.json.format(msgspec.json.encode(after), indent=2) + b"\n"
    with reaching(remote):
        if isinstance(remote.fs, LocalFileSystem):
            _replace(remote, raw, before)
        else:
            _put(remote, raw, before, condition)
    return after


def _exists(manifest: Manifest) -> RegistryError:
    return RegistryError(
        f"{manifest.name}@{manifest.version} is published already, and a version is never changed: "
        "choose a new version, or promote this one by name",
        permanent=True,
    )


def _copy(remote: Remote, folder: Path, manifest: Manifest) -> None:
    home = Path(remote.path)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / ".lock"):
        if (home / manifest.version).exists():
            raise _exists(manifest)
        partial = home / f".{manifest.version}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed: we hold the lock
        try:
            for name in (*manifest.files, MANIFEST):
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, partial / name)
            partial.rename(home / manifest.version)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _upload(remote: Remote, folder: Path, manifest: Manifest) -> None:
    """Every object is created, never overwritten, so that two publishers cannot mix their files."""
    target = f"{remote.path}/{manifest.version}"
    if remote.fs.exists(f"{target}/{MANIFEST}"):
        raise _exists(manifest)
    for name in (*manifest.files, MANIFEST):
        try:
            remote.fs.put_file(str(folder / name), f"{target}/{name}", mode="create")
        except FileExistsError as error:
            if name == MANIFEST:
                raise _exists(manifest) from error
            with remote.fs.open(f"{target}/{name}", "rb") as file:
                there = hashlib.file_digest(file, "sha256").hexdigest()
            if there != manifest.files[name].sha256:
                raise RegistryError(
                    f"{target}/{name} is another bundle's, whose publication was interrupted or is under way: "
                    "choose a new version",
                    permanent=True,
                ) from error


def _read(remote: Remote) -> tuple[Channels, dict[str, str]]:
    """The channels, and on which condition a put replaces just them: none where the store knows no such condition."""
    path = f"{remote.path}/{CHANNELS}"
    if not remote.fs.exists(path):
        return Channels(), {"mode": "create"}
    # The ETag first: a change between the two reads makes it stale, and the put is refused.
    condition = {"IfMatch": remote.fs.info(path)["ETag"]} if "s3" in remote.fs.protocol else {}
    return decode_channels(remote.fs.cat_file(path), remote), condition


def _replace(remote: Remote, raw: bytes, before: Channels) -> None:
    home = Path(remote.path)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / ".lock"):
        if _read(remote)[0] != before:
            raise _conflict(remote)
        aside = home / f".{CHANNELS}.partial"
        with aside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(home / CHANNELS)


def _put(remote: Remote, raw: bytes, before: Channels, condition: dict[str, str]) -> None:
    path = f"{remote.path}/{CHANNELS}"
    if not condition and _read(remote)[0] != before:
        raise _conflict(remote)
    # Whether ours is there is asked, not concluded: a put whose answer got lost is repeated by the driver, and then
    # refused because of itself.
    try:
        remote.fs.pipe_file(path, raw, **condition)
    except OSError as error:
        if not _is_conflict(error):
            raise
    if remote.fs.cat_file(path) != raw:
        raise _conflict(remote)


def _is_conflict(error: OSError) -> bool:
    """FileExistsError for a creation; s3fs has no error of its own for ``If-Match``, so its cause is asked."""
    response = getattr(error.__cause__, "response", {})
    return isinstance(error, FileExistsError) or response.get("Error", {}).get("Code") in _CONFLICTS


def _conflict(remote: Remote) -> RegistryError:
    return RegistryError(
        f"the channels of {remote.name} changed while this was under way: look at them and try again", permanent=False
    )
