"""What goes wrong with models, as in ``faults``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.faults import stage
from benchmarks.faults.faults import Scene, run
from benchmarks.faults.stage import CACHE, MODEL, REGISTRY, SOON_S, FaultError, kill
from benchmarks.services import wait_until
from demo.stage import CLASSIFIER, Stage
from model_export import registry


@contextmanager
def cache_full(scene: Scene) -> Iterator[None]:
    """A model is promoted that the workers' disk has no room for; then it has, and they serve it."""
    cache = scene.running.logs / CACHE
    run("mount", "-t", "tmpfs", "-o", "size=256k", "presort", str(cache))
    try:
        version = _promote(scene.running)
        yield
        if stage.served(scene.running) == version:
            raise FaultError("the disk was meant to be too small for another model")
    finally:
        run("umount", "--lazy", str(cache))  # workers may hold a lock in it
    wait_until(lambda: stage.served(scene.running) == version, SOON_S, "what there is room for now to be served")


@contextmanager
def bundle_corrupt(scene: Scene) -> Iterator[None]:
    """A model is promoted of which a byte has changed since; a worker starts anew meanwhile."""
    folder = scene.running.logs
    version = stage.publish(folder)
    graph = max((folder / REGISTRY / MODEL / version).rglob("*.onnx"), key=lambda path: path.stat().st_size)
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    registry.promote(str(folder / REGISTRY), MODEL, version, force=True)
    kill(scene.running, "worker-1")
    scene.running.start("worker-1", {})
    yield
    wait_until(lambda: version in scene.store.refusals(CLASSIFIER), SOON_S, "the workers to refuse it")
    registry.rollback(str(folder / REGISTRY), MODEL)


@contextmanager
def model_promoted(scene: Scene) -> Iterator[None]:
    """Another version, while tickets come in."""
    version = _promote(scene.running)
    yield
    wait_until(lambda: stage.served(scene.running) == version, SOON_S, "the workers to serve it")


def _promote(running: Stage) -> str:
    version = stage.publish(running.logs)
    registry.promote(str(running.logs / REGISTRY), MODEL, version, force=True)
    return version
