"""The files that start it: checked as far as a machine without a Docker engine can."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.tickets import CATEGORIES
from integration import settings
from integration.simulator import config as simulator
from tests.conftest import need

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """docker-compose's own reading of the file, with every profile."""
    program = shutil.which("docker-compose")
    if program is None:
        need("docker-compose is missing (Debian: apt install docker-compose)")
    command = [str(program), "--env-file", "demo/compose/demo.env", "--profile", "demo", "--profile", "gpu", "config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = _services(done.stdout)
    assert set(found) == {"redis", "receiver", "console", "worker", "beat", "worker-cuda", "simulator"}
    return found


def test_our_images_run_without_rights_on_a_read_only_file_system(services: dict[str, Any]) -> None:
    for name in set(services) - {"redis"}:
        text = services[name]
        assert "read_only: true" in text, name
        assert re.search(r"cap_drop:\n\s+- ALL", text), name
        assert "no-new-privileges:true" in text, name
    assert "\nUSER 10001\n" in _dockerfile()


def test_redis_keeps_what_it_is_given(services: dict[str, Any]) -> None:
    assert "--appendonly yes" in services["redis"]
    assert "noeviction" in services["redis"]
    assert "replicas: 2" in services["worker"]


def test_every_service_has_a_bound_on_its_memory(services: dict[str, Any]) -> None:
    """Redis refuses when it is full; the others are ended and started again, and lose nothing by it."""
    assert "--maxmemory 2gb" in services["redis"]
    assert [name for name in services if name != "redis" and "mem_limit: " not in services[name]] == []


def test_every_service_builds_a_stage_that_exists(services: dict[str, Any]) -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", _dockerfile(), re.MULTILINE))
    wanted = {match[1] for text in services.values() if (match := re.search(r"target: (\S+)", text))}
    assert wanted <= stages
    assert {"receiver", "console", "worker", "worker-cuda", "simulator"} == wanted


def test_the_demo_profile_fits_the_demos_model(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "demo" / "compose"
    account = simulator.read(folder / "simulator.json")
    assert account.options == tuple((one.value, one.name) for one in CATEGORIES)
    for name in ("zendesk_client_secret", "webhook_secrets"):
        monkeypatch.setenv(f"PRESORT_{name.upper()}_FILE", str(folder / name))
    config = settings.load(folder / "presort.toml", os.environ)
    assert config.zendesk_client_secret == account.client_secret
    assert config.webhook_secrets == (account.webhook_secret,)
    (classifier,) = config.classifiers
    assert (classifier.field_id, classifier.prediction_field_id, classifier.confidence_field_id) == (
        account.category_field_id,
        account.predicted_field_id,
        account.confidence_field_id,
    )


def test_images_carry_the_locked_versions() -> None:
    assert "requirements/light.txt" in _dockerfile()
    locked = (ROOT / "requirements" / "light.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", locked, re.MULTILINE))
    assert pinned["onnxruntime"] in _dockerfile(), "the GPU build must be of the same version"
    manifest = json.loads((ROOT / "demo" / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["protocol"] == 1


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def _services(document: str) -> dict[str, str]:
    """Each service's lines: enough for these checks, without a YAML parser."""
    body = re.search(r"^services:\n(.*?)(?=^\S|\Z)", document, re.MULTILINE | re.DOTALL)
    assert body
    parts = re.split(r"^  (\S+):\n", body[1], flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
