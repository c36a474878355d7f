"""``presort``, as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from integration.cli import main


def test_without_settings_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_CONFIG", str(tmp_path / "absent.toml"))
    result = CliRunner().invoke(main, ["parked", "list"])
    assert result.exit_code == 1
    assert "copy presort.example.toml" in result.output
