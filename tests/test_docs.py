"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integration import embedded_redis, messages
from integration.cli import main as presort
from integration.store import __doc__ as redis_contract
from model_export.cli import main as presort_model
from tests.test_architecture import CONTRACTS
from worker.cli import main as presort_worker

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [path for package in ("integration", "worker", "model_export") for path in (ROOT / package).rglob("*.py")]


def text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_metric_is_documented() -> None:
    names = set(re.findall(r'"(presort_[a-z_]+)"', text(ROOT / "integration" / "receiver" / "metrics.py")))
    assert names
    operations = text(ROOT / "docs" / "operations.md")
    assert [name for name in sorted(names) if name not in operations] == []


def test_every_secret_is_documented() -> None:
    names = set(re.findall(r'"(PRESORT_[A-Z_]+)"', text(ROOT / "integration" / "settings.py")))
    assert len(names) >= 4
    example = text(ROOT / "presort.example.toml", *DOCS)
    assert [name for name in sorted(names - {"PRESORT_CONFIG"}) if name not in example] == []


def test_every_redis_key_is_in_the_contract() -> None:
    """One table says what is in Redis; a key nobody listed is a key nobody expires."""
    contracts = [ROOT / f"{name.replace('.', '/')}.py" for name in CONTRACTS if name != "integration.zendesk"]
    keys = set(re.findall(r'"presort:([a-z_]+)', text(*contracts)))
    assert len(keys) > 10
    assert [key for key in sorted(keys) if f"``{key}" not in (redis_contract or "")] == []
    elsewhere = [
        path for path in SOURCES if '"presort:' in text(path) and path not in contracts and path.name != "publisher.py"
    ]
    assert elsewhere == []


def test_make_targets_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text(*DOCS), re.MULTILINE))
    assert {"demo", "test", "run"} <= named
    assert named <= targets


@pytest.mark.parametrize("command", [presort, presort_worker, presort_model])
def test_every_command_has_a_worked_example(command: object) -> None:
    commands = getattr(command, "commands", {})
    assert commands
    assert [name for name, one in commands.items() if "Example: " not in (one.help or "")] == []


def test_every_task_has_a_handler_and_a_queue() -> None:
    tasks = text(ROOT / "worker" / "tasks.py")
    constants = {name for name, value in vars(messages).items() if isinstance(value, str) and value in messages.QUEUES}
    assert len(constants) == len(messages.QUEUES)
    assert [name for name in sorted(constants) if f"messages.{name}" not in tasks] == []


def test_how_to_get_redis_is_said_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(embedded_redis.NoRedisError, match="apt install redis-server"):
        embedded_redis.find_server()


def test_nothing_names_this_machine_or_a_registry() -> None:
    """What the repository says holds on every machine."""
    forbidden = re.compile(r"/root/|/work/|/home/(?!presort)|pypi\.org|files\.pythonhosted|registry\.npmjs")
    paths = [
        *SOURCES,
        *DOCS,
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
        *sorted((ROOT / "requirements").glob("*.txt")),
    ]
    assert [str(path) for path in paths if forbidden.search(text(path))] == []
