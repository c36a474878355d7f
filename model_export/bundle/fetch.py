"""Bundles from a registry onto this machine: downloaded once, verified, kept while somebody uses them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from model_export.bundle.channels import (
    CHANNELS,
    SLOTS,
    Channels,
    RegistryError,
    Remote,
    check_name,
    decode_channels,
    locate,
    reaching,
)
from model_export.bundle.manifest import MANIFEST, BundleError, File, OtherReleaseError, inside, read_manifest

log = logging.getLogger("presort.model")

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Fetched(NamedTuple):
    """A verified bundle on this machine.

    Attributes:
        lease: while it is open no process prunes the folder; it ends with the process, however that ends.
    """

    folder: Path
    version: str
    lease: BinaryIO


def in_force(url: str, name: str, cache: Path) -> Channels:
    """The channels of a model; when its registry cannot be reached, those that it had when it last could be.

    Raises:
        RegistryError: permanent when there is no such model; temporary when the registry cannot be reached and never
            was from here.
    """
    with _home(url, name, cache) as home:
        return _channels(locate(url, name), home)


def fetch(url: str, name: str, wanted: str, cache: Path) -> Fetched:
    """Bring a version here, unless it is here already, and hold it.

    Several processes may share a cache: one downloads, the others wait for it. A version appears in one rename after
    its hashes were checked, so that a killed download is never taken for a bundle. Versions that no channel names
    and nobody holds are removed. A cached version is found without its registry.

    Args:
        url: of the registry.
        name: of the model.
        wanted: ``staged``, ``active`` or ``previous``, or a version.
        cache: a folder of this machine; one registry's models never mix with another's.

    Raises:
        RegistryError: permanent when there is no such version; temporary when the registry cannot be reached or this
            machine has no room.
        BundleError: what is published is broken, or no bundle of this release.
    """
    remote = locate(url, name)
    with _home(url, name, cache) as home:
        channels = _channels(remote, home)
        version = getattr(channels, wanted) if wanted in SLOTS else wanted
        if version is None:
            raise RegistryError(f"no version of {name} in {url} is {wanted}: publish or promote one", permanent=True)
        check_name(version)
        folder = home / version
        if not _is_intact(folder):
            _download(remote, version, folder)
        lease = (folder / MANIFEST).open("rb")
        fcntl.flock(lease, fcntl.LOCK_SH)
        _prune(home, {channels.staged, channels.active, channels.previous, version})
    return Fetched(folder, version, lease)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the kernel opens the lock of a process that dies."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _home(url: str, name: str, cache: Path) -> Iterator[Path]:
    """A model's folder in the cache, for one process at a time."""
    home = cache / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    with _room_on(home):
        home.mkdir(parents=True, exist_ok=True)
        with locked(home / ".lock"):
            yield home


def _channels(remote: Remote, home: Path) -> Channels:
    copy = home / CHANNELS
    try:
        with reaching(remote):
            raw = remote.fs.cat_file(f"{remote.path}/{CHANNELS}")
    except RegistryError as error:
        if error.permanent or not copy.is_file():
            raise
        log.warning("%s; going by what was in force when it last could be", error)
        return decode_channels(copy.read_bytes(), remote)
    channels = decode_channels(raw, remote)
    aside = home / ".channels.partial"
    aside.write_bytes(raw)
    aside.replace(copy)
    return channels


def _is_intact(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        read_manifest(folder)
    except OtherReleaseError:
        raise  # workers of another release, on the same cache, serve it
    except BundleError as error:
        log.warning("the cached copy is fetched again: %s", error)
        shutil.rmtree(folder)
        return False
    return True


class _Listed(msgspec.Struct):
    """The part of a manifest that says what to download; ``read_manifest`` judges the whole."""

    files: dict[str, File] = {}


def _download(remote: Remote, version: str, folder: Path) -> None:
    partial = folder.with_name(f".{version}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed: we hold the lock
    partial.mkdir()
    try:
        with reaching(remote):
            _copy(remote, version, MANIFEST, partial)
            listed = _listed(partial / MANIFEST)
            log.info("fetching %s@%s, %.1f MB", remote.name, version, sum(one.size for one in listed.values()) / 1e6)
            for name in listed:
                _copy(remote, version, name, partial)
        manifest = read_manifest(partial)
        if (manifest.name, manifest.version) != (remote.name, version):
            raise BundleError(
                f"{remote.url} has {manifest.name}@{manifest.version} where {remote.name}@{version} should be: "
                "publish it again as a new version"
            )
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _listed(manifest: Path) -> dict[str, File]:
    try:
        return msgspec.json.decode(manifest.read_bytes(), type=_Listed).files
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{manifest} is not a bundle manifest: {error}") from error


def _copy(remote: Remote, version: str, name: str, partial: Path) -> None:
    target = inside(partial, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        remote.fs.get_file(f"{remote.path}/{version}/{name}", str(target))
    except OSError as error:
        _raise_if_full(error, partial)
        raise


def _prune(home: Path, keep: set[str | None]) -> None:
    """Remove versions that nobody holds. Called under the lock, so that none is taken meanwhile."""
    for folder in home.iterdir():
        if not folder.is_dir() or folder.name in keep or folder.name.startswith("."):
            continue
        try:
            with (folder / MANIFEST).open("rb") as lease:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # a worker serves it, or still has it loaded
        except FileNotFoundError:
            pass  # a removal that was interrupted
        shutil.rmtree(folder, ignore_errors=True)
        log.info("removed %s from the cache", folder.name)


@contextmanager
def _room_on(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _raise_if_full(error, home)
        raise RegistryError(
            f"{home} cannot be written ({error}): set `cache` to a folder that can", permanent=True
        ) from error


def _raise_if_full(error: OSError, folder: Path) -> None:
    if error.errno in _NO_ROOM:
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
        raise RegistryError(
            f"no room for a bundle on {folder} ({os.strerror(error.errno or 0)}, {free / 1e6:.0f} MB free): free some "
            "or set `cache` to another disk; it will be tried again",
            permanent=False,
        ) from error
