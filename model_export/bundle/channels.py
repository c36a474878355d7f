"""Where models are published: an fsspec URL, a folder per model, and which of its versions is in force.

::

    <url>/<name>/<version>/manifest.json ...   a bundle, never changed once its manifest is there
    <url>/<name>/channels.json                 ``Channels``: replaced in one write

This is the half of the registry that a worker reads; ``model_export.registry`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import fsspec
import msgspec

from model_export.bundle.manifest import BundleError

CHANNELS = "channels.json"

SLOTS = ("staged", "active", "previous")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RegistryError(Exception):
    """A registry that cannot be used, or refuses; the message names the cause and the cure.

    Attributes:
        permanent: whether only a person can mend it; otherwise the same call may succeed later.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions of a model are in force.

    Attributes:
        staged: published last and not promoted yet.
        active: what workers serve.
        previous: what was active before, and is again after a rollback.
        generation: grows by one with every change.
    """

    staged: str | None = None
    active: str | None = None
    previous: str | None = None
    generation: int = 0


class Remote(NamedTuple):
    """A model's folder in a registry.

    Attributes:
        fs: fsspec's file system, without a cache of listings: they change under us.
        path: of the model's folder, as ``fs`` wants it.
    """

    fs: Any
    path: str
    url: str
    name: str


def locate(url: str, name: str) -> Remote:
    """Find a model's folder without touching it.

    Args:
        url: of the registry, such as ``s3://bucket/models``; a plain path is a folder on this machine. Endpoints and
            credentials come from where the provider's own tools take them (``AWS_ENDPOINT_URL``, ``AWS_PROFILE`` ...).
        name: of the model.

    Raises:
        RegistryError: permanent; the name is no name, or no driver for the URL is installed.
    """
    check_name(name)
    try:
        fs, root = fsspec.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:  # fsspec says which package reads such URLs
        raise RegistryError(f"{url} cannot be opened: {error}", permanent=True) from error
    return Remote(fs, f"{root.rstrip('/')}/{name}", url, name)


def check_name(name: str) -> None:
    """Names and versions become folders: nothing in them may lead elsewhere."""
    if not _NAME.fullmatch(name) or name in {*SLOTS, CHANNELS}:
        raise RegistryError(
            f"{name!r} cannot be a model's name or version: letters, digits, dot, dash and underscore, and not "
            "a channel's name",
            permanent=True,
        )


def read_channels(url: str, name: str) -> Channels:
    """What is in force, in one read.

    Raises:
        RegistryError: permanent when there is no such model or the file is no channels file, else temporary.
    """
    remote = locate(url, name)
    with reaching(remote):
        raw = remote.fs.cat_file(f"{remote.path}/{CHANNELS}")
    return decode_channels(raw, remote)


def decode_channels(raw: bytes, remote: Remote) -> Channels:
    """Read ``channels.json``; the versions it names are fit to be folder names.

    Raises:
        RegistryError: permanent.
    """
    try:
        channels = msgspec.json.decode(raw, type=Channels)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RegistryError(f"{remote.path}/{CHANNELS} is not a channels file: {error}", permanent=True) from error
    for version in (getattr(channels, slot) for slot in SLOTS):
        if version is not None:
            check_name(version)
    return channels


@contextmanager
def reaching(remote: Remote) -> Iterator[None]:
    """Turn whatever a file system raises into a ``RegistryError``; every provider's driver has errors of its own."""
    try:
        yield
    except (RegistryError, BundleError):
        raise
    except FileNotFoundError as error:
        cure = "check the URL and the name, and that it was published"
        raise RegistryError(f"{remote.url} has no {error.filename or error}: {cure}", permanent=True) from error
    except PermissionError as error:
        cure = "check the credentials and what they may do"
        raise RegistryError(f"{remote.url} refuses us ({error}): {cure}", permanent=True) from error
    except Exception as error:
        raise RegistryError(
            f"{remote.url} cannot be reached now ({type(error).__name__}: {error}): it will be tried again",
            permanent=False,
        ) from error
