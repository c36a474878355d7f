"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import click
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration import embedded_redis, logs, messages, settings
from integration.backfills import State
from integration.cli import main as presort
from integration.counting import Change
from integration.feedback import Verdict
from integration.messages import Decision
from integration.receiver.app import create_app
from integration.records import Event, Outcome, Severity
from integration.settings import Settings
from integration.store import Store
from integration.store import __doc__ as redis_contract
from model_export.cli import main as presort_model
from tests.test_architecture import CONTRACTS
from worker.cli import main as presort_worker

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [path for package in ("integration", "worker", "model_export") for path in (ROOT / package).rglob("*.py")]
OPERATIONS = ROOT / "docs" / "operations.md"
VARIABLE = r'(?:os\.environ(?:\.get|\.setdefault)?[\[(]|envvar=)"([A-Z_]{4,})"'
GROUPS: dict[str, type[msgspec.Struct]] = {
    "[zendesk]": settings.Zendesk,
    "[receiver]": settings.Receiver,
    "[console]": settings.Console,
    "[[classifier]]": settings.Classifier,
    "[worker]": settings.Worker,
    "[spikes]": settings.Spikes,
    "[[channel]]": settings.Channel,
    "[ledger]": settings.Ledger,
}
NO_REASONS = {"created_at", "decided_at", "received_at", "ticket_id", "own_user_id", "left_alone"}
STEPS_ELSEWHERE = ("parked_messages",)


def text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def section(path: Path, heading: str) -> str:
    """What stands between a heading and the next one of its level or above."""
    level = len(heading.partition(" ")[0])
    return re.split(rf"^#{{1,{level}}} ", text(path).partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def exposed(config: Settings) -> set[str]:
    """The names of all metrics that /metrics knows, samples or not, as one asks Prometheus for them."""
    capped = msgspec.structs.replace(config, zendesk=msgspec.structs.replace(config.zendesk, writes_per_day=5))
    shown = create_app(capped).test_client().get("/metrics").text
    families = [one for one in text_string_to_metric_families(shown) if one.name.startswith("presort_")]
    families = [one for one in families if not one.name.endswith("_created")]  # the library's, of each of its own
    return {one.name + "_total" * (one.type == "counter") for one in families}


def unless_set(field: msgspec.structs.FieldInfo) -> str:
    """A setting's default as the table shows it."""
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "required" if field.required else "" if default is None else f"`{json.dumps(default)}`"


def commands(name: str, command: click.Command) -> Iterator[str]:
    """Every command that does something, as one types it."""
    if isinstance(command, click.Group):
        for word, one in command.commands.items():
            yield from commands(f"{name} {word}", one)
    else:
        yield name


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_metric_is_documented(config: Settings, store: Store) -> None:
    assert store.redis.dbsize() == 0
    metrics = {name.removeprefix("presort_") for name in exposed(config)}
    assert len(metrics) > 25
    table = section(OPERATIONS, "### Metrics")
    documented = set(re.findall(r"`presort_([a-z_]+?)(?:\{[a-z,]+\})?`", table))
    assert metrics == documented


def test_every_alert_rule_has_its_runbook_line() -> None:
    rules = re.findall(r"- alert: (\w+)", text(ROOT / "ops" / "presort-alerts.yml"))
    assert len(rules) > 10
    assert re.findall(r"^\| `(\w+)` \|", section(OPERATIONS, "### Alert rules"), re.MULTILINE) == rules


def test_every_field_of_a_log_line_is_documented() -> None:
    table = section(OPERATIONS, "### Logs").rpartition("| field | holds |")[2]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(logs.FIELDS)


@pytest.mark.parametrize(("heading", "group"), GROUPS.items())
def test_every_setting_is_documented(heading: str, group: type[msgspec.Struct]) -> None:
    """As its docstring says it: what is missing is shown here as it should stand there."""
    meanings = settings.meanings(group)
    assert meanings.keys() == {field.name for field in msgspec.structs.fields(group)}
    shown = section(ROOT / "docs" / "settings.md", f"## `{heading}`").splitlines()
    rows = [row for row in shown if row.startswith("| `")]
    assert rows == [
        f"| `{field.name}` | {unless_set(field)} | {meanings[field.name].replace('``', '`')} |".replace("|  |", "| |")
        for field in msgspec.structs.fields(group)
    ]


def test_every_group_of_settings_has_its_table() -> None:
    assert len(GROUPS) == len(msgspec.structs.fields(settings._File))  # noqa: SLF001 - the file's outline
    example = text(ROOT / "presort.example.toml")
    assert [heading for heading in GROUPS if heading not in example] == []


def test_every_variable_of_the_environment_is_documented() -> None:
    named = {name for path in SOURCES for name in re.findall(VARIABLE, text(path))}
    named |= set(re.findall(r'"(PRESORT_[A-Z_]+)"', text(ROOT / "integration" / "settings.py")))
    named |= set(re.findall(r"\$\{([A-Z_]+)", text(ROOT / "docker-compose.yml")))
    assert {"PRESORT_REDIS_URL", "PRESORT_REGISTRY", "WEB_CONCURRENCY", "PRESORT_LOG", "PRESORT_PORT"} <= named
    table = section(ROOT / "docs" / "settings.md", "## Environment")
    assert [name for name in sorted(named) if f"| `{name}` |" not in table] == []


def test_every_secret_stands_in_the_example() -> None:
    names = set(re.findall(r'secret\(\s*"(PRESORT_[A-Z_]+)"', text(ROOT / "integration" / "settings.py")))
    assert len(names) >= 4
    assert [name for name in sorted(names) if name not in text(ROOT / "presort.example.toml")] == []


@pytest.mark.parametrize(
    ("name", "group"), [("presort", presort), ("presort-worker", presort_worker), ("presort-model", presort_model)]
)
def test_every_command_is_documented(name: str, group: click.Command) -> None:
    found, docs = list(commands(name, group)), text(*DOCS)
    assert len(found) > 4
    assert [one for one in found if not re.search(rf"{re.escape(one)}\b", docs)] == []


def test_every_code_is_in_the_glossary() -> None:
    """Reasons, actions, outcomes, steps of the funnel, events: whatever a person may meet in a table or a log."""
    sources = [ROOT / "worker" / f"{name}.py" for name in ("triage", "modes", "planning", "jobs", "classifying")]
    reasons = set(re.findall(r'"([a-z]+(?:_[a-z]+)+|confident|demoted)"', text(*sources))) - NO_REASONS
    reasons |= {f"{mode}_mode" for mode in ("shadow", "suggest")} | {f"ticket_{one}" for one in ("deleted", "closed")}
    assert len(reasons) > 10
    actions = get_args(get_type_hints(Decision)["action"])
    changes = get_args(get_type_hints(Change)["kind"])
    steps = {
        "received",
        "decided",
        "eligible",
        "predicted",
        "sure",
        "kept",
        "overridden",
        "reconciled",
        *STEPS_ELSEWHERE,
    }
    said = text(ROOT / "docs" / "glossary.md")
    codes = {*reasons, *actions, *changes, *steps, *get_args(Outcome), *get_args(Event), *get_args(Severity)}
    codes |= {*get_args(Verdict), *get_args(State)}
    assert [code for code in sorted(codes) if f"`{code}`" not in said] == []


def test_the_funnels_steps_are_those_that_are_counted() -> None:
    counted = re.findall(r'"HINCRBY|count_steps\([^{]+\{(.+?)\}', text(*SOURCES))
    steps = {step for one in counted for step in re.findall(r'"(\w+)":', one)}
    assert steps == {"kept", "overridden", "reconciled"}


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
    tasks = text(ROOT / "worker" / "tasks.py", ROOT / "worker" / "taking.py")
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
