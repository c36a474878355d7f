"""The product's processes, each with its own ports and folder, for breaking."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks import usage
from benchmarks.services import wait_until
from demo.stage import BUNDLE, CLASSIFIER, WORKERS, Stage
from demo.stage import stage as demo_stage
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from model_export import registry
from model_export.bundle.manifest import read_manifest, write_manifest

REGISTRY, CACHE, MODEL = "registry", "cache", "demo"
"""Folders beside ``presort.toml``, and the model that is published there."""


SOON_S = 120
"""What a fault wants to happen has happened by then, or the scenario cannot be played."""


class FaultError(Exception):
    """A scenario that could not be played: the message says what did not happen."""


@contextmanager
def stage(folder: Path, scale: float) -> Iterator[Stage]:
    """Redis, a local Zendesk, receiver, two workers, beat, ready to work; all ended at once when the block ends.

    Args:
        folder: for data and logs.
        scale: of the time between two looks at Zendesk's export, and of how late that is; 1 as in production.

    Raises:
        TimeoutError: the workers did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry.promote(str(folder / REGISTRY), MODEL, publish(folder))
    account = SimulatorConfig(export_lag_s=60 * scale)
    more = f'[worker]\ncache = "{CACHE}"\n[ledger]\nevery_s = {max(10, 300 * scale)}\n'
    bundle = f"{REGISTRY}#{MODEL}"
    with demo_stage(folder, account, ports=(0, 0, 0), console=False, bundle=bundle, more=more) as running:
        try:
            store = Store(running.redis_url)
            wait_until(lambda: len(store.workers()) == WORKERS, SOON_S, "the workers' start")
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
        usage.kill(child.pid)
        child.wait()
