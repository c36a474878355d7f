"""The product's processes, each with its own ports and folder, for breaking."""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from demo.stage import BUNDLE, CLASSIFIER, WORKERS, Stage
from demo.stage import stage as demo_stage
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from model_export import registry
from model_export.bundle.manifest import read_manifest, write_manifest

REGISTRY, CACHE, MODEL = "registry", "cache", "demo"
"""Folders beside ``presort.toml``, and the model that is published there."""


class FaultError(Exception):
    """A scenario that could not be played: the message says what did not happen."""


@contextmanager
def stage(folder: Path, scale: float) -> Iterator[Stage]:
    """Redis, a local Zendesk, receiver, two workers, beat, ready to work; all ended at once when the block ends.

    Args:
        folder: for data and logs.
        scale: of the time between two looks at Zendesk's export, and of how late that is; 1 as in production.

    Raises:
        FaultError: the workers did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry.promote(str(folder / REGISTRY), MODEL, publish(folder))
    account = SimulatorConfig(export_lag_s=60 * scale)
    more = f'[worker]\ncache = "{CACHE}"\n[ledger]\nevery_s = {max(10, 300 * scale)}\n'
    bundle = f"{REGISTRY}#{MODEL}"
    with demo_stage(folder, account, ports=(0, 0, 0), console=False, bundle=bundle, more=more) as running:
        try:
            store = Store(running.redis_url)
            until(lambda: len(store.workers()) == WORKERS, "the workers' start")
            yield running
        finally:
            for name in running.children:
                kill(running, name)


def publish(folder: Path) -> str:
    """The demo's model as another version in the stage's registry; the version."""
    version, made = uuid.uuid4().hex[:8], folder / "bundle"
    shutil.copytree(BUNDLE, made)
    write_manifest(made, msgspec.structs.replace(read_manifest(BUNDLE), version=version))
    registry.publish(str(folder / REGISTRY), made)
    shutil.rmtree(made)
    return version


def served(running: Stage) -> str | None:
    """The version that a worker has told of last."""
    model = Store(running.redis_url).model(CLASSIFIER)
    return None if model is None else model.version


def kill(running: Stage, name: str) -> None:
    """SIGKILL to a process and those that it has started."""
    child = running.children[name]
    if child.poll() is None:
        for pid in family(child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait()


def until(met: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for it.

    Raises:
        FaultError: it did not happen.
    """
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise FaultError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """A process and those that it has started; Linux tells."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]
