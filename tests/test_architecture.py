"""Who may import whom; see docs/architecture.md."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import messages

ROOT = Path(__file__).parent.parent
PACKAGES = ("integration", "worker", "model_export")
HEAVY = {"torch", "transformers", "optimum", "onnx", "datasets"}
LEARNING = HEAVY | {"onnxruntime", "tokenizers", "numpy"}
CONTRACTS = (
    "integration.settings",
    "integration.messages",
    "integration.records",
    "integration.store",
    "integration.inbox",
    "integration.counting",
    "integration.usual",
    "integration.alerting",
    "integration.controls",
    "integration.stream",
    "integration.taxonomy",
    "integration.times",
    "integration.outcomes",
    "integration.notices",
    "integration.backfills",
    "integration.counting",
    "integration.recounts",
    "integration.asking",
    "integration.registries",
    "integration.feedback",
    "integration.doors",
    "integration.measures",
    "integration.logs",
    "integration.tracing",
    "integration.zendesk",
)


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def edges(package: str) -> Iterator[tuple[str, str]]:
    """(file, imported module) pairs of a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for module in imports(path):
            yield path.relative_to(ROOT).as_posix(), module


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_nobody_imports_worker() -> None:
    """A broken model, wheel or setting on the worker's side must not be able to stop the receiver."""
    assert [
        edge for package in ("integration", "model_export") for edge in edges(package) if within(edge[1], "worker")
    ] == []


def test_integration_knows_no_model_and_no_learning_library() -> None:
    assert [edge for edge in edges("integration") if within(edge[1], "model_export", *LEARNING)] == []


def test_model_export_knows_no_zendesk() -> None:
    assert [edge for edge in edges("model_export") if within(edge[1], "integration")] == []


def test_the_bundle_needs_no_training_library() -> None:
    assert [edge for edge in edges("model_export/bundle") if within(edge[1], *HEAVY)] == []
    assert [edge for edge in edges("worker") if within(edge[1], *HEAVY)] == []


def test_the_registry_is_as_light_as_the_bundle() -> None:
    """A worker promotes and rolls back: what that takes knows no more than msgspec, fsspec and itself."""
    light = ("model_export.bundle", "model_export.registry", "model_export.atomic", "model_export.evidence")
    for module in ("registry", "atomic", "evidence"):
        ours = [one for one in imports(ROOT / "model_export" / f"{module}.py") if not within(one, *light)]
        assert {one.partition(".")[0] for one in ours} <= {*sys.stdlib_module_names, "msgspec", "fsspec"}


def test_worker_imports_contracts_only() -> None:
    """Of integration the contracts, Zendesk's client and the publisher; of model_export the bundle and the registry."""
    allowed = (*CONTRACTS, "integration.publisher", "model_export.bundle", "model_export.registry")
    ours = [edge for edge in edges("worker") if within(edge[1], "integration", "model_export")]
    assert ours
    assert [
        edge
        for edge in ours
        if not within(edge[1], *allowed) and edge[1] not in {"integration.settings", "integration.messages"}
    ] == []


def test_contracts_do_not_look_up() -> None:
    upper = (
        "integration.receiver",
        "integration.simulator",
        "integration.export",
        "integration.operating",
        "integration.alerts",
        "integration.backfill",
        "integration.install",
        "integration.doctor",
        "integration.agent_api",
        "integration.web",
        "integration.cli",
        "integration.commands",
        "integration.console",
        "integration.publisher",
        "celery",
    )
    for contract in set(CONTRACTS) - {"integration.zendesk"}:
        assert [module for module in imports(ROOT / f"{contract.replace('.', '/')}.py") if within(module, *upper)] == []
    assert [edge for edge in edges("integration/zendesk") if within(edge[1], *upper)] == []


def test_zenpy_stays_in_its_room() -> None:
    """Its licence and its traps are dealt with in one place."""
    found = {path for package in PACKAGES for path, module in edges(package) if within(module, "zenpy")}
    assert found
    assert {path for path in found if not path.startswith("integration/zendesk/")} == set()


def test_the_product_does_not_import_its_demo() -> None:
    found = [e for package in PACKAGES for e in edges(package) if within(e[1], "demo", "tests", "benchmarks")]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_our_generic_names(package: str) -> None:
    assert set(importlib.metadata.packages_distributions().get(package, [])) <= {"presort"}


def test_task_and_queue_names_are_ours() -> None:
    assert all(name.startswith("presort.") for pair in messages.QUEUES.items() for name in pair)
