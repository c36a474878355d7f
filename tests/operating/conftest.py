"""``presort`` as a person types it, with settings of one's own and an empty Redis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integration.cli import main
from integration.store import Store

SETTINGS = """
[zendesk]
subdomain = "acme"
client_id = "presort"
time_zone = "Europe/Berlin"
[[classifier]]
field_id = 1
bundle = "m"
"""

Typed = Callable[..., Result]


@pytest.fixture
def settings_file(tmp_path: Path, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert store.redis.ping()
    path = tmp_path / "presort.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("PRESORT_CONFIG", str(path))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "c")
    return path


@pytest.fixture
def presort(settings_file: Path) -> Typed:
    """Run the command; what it printed and its exit code."""
    assert settings_file.exists()
    return lambda *words: CliRunner().invoke(main, words)
