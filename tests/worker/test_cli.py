"""A worker that cannot start says why, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOML = '[zendesk]\nsubdomain = "acme"\nclient_id = "presort"\n[[classifier]]\nfield_id = 1\nbundle = "{}"\n'
SECRETS = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", "PRESORT_WEBHOOK_SECRETS": "w"}


def start(tmp_path: Path, toml: str | None, command: str = "run", **environ: str) -> subprocess.CompletedProcess[str]:
    """``presort-worker`` as a process; it must end by itself."""
    path = tmp_path / "presort.toml"
    if toml is not None:
        path.write_text(toml, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "worker", command],
        env={**os.environ, "PRESORT_CONFIG": str(path), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_settings(tmp_path: Path) -> None:
    done = start(tmp_path, None, **SECRETS)
    assert done.returncode == 1
    assert "copy presort.example.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_secret(tmp_path: Path) -> None:
    done = start(tmp_path, TOML.format("x"), "beat", PRESORT_WEBHOOK_SECRETS="w")
    assert done.returncode == 1
    assert "PRESORT_ZENDESK_CLIENT_SECRET is not set" in done.stderr


def test_without_a_bundle(tmp_path: Path) -> None:
    done = start(tmp_path, TOML.format("no-such-folder"), **SECRETS)
    assert done.returncode == 1
    assert "point `bundle` at a bundle's folder" in done.stderr
    assert "Traceback" not in done.stderr
