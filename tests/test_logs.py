"""How a line of a log looks, for people and as JSON."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from demo.processes import free_port, process
from integration import logs, settings
from integration.settings import SettingsError


def line(formatter: logging.Formatter, message: str, *args: object, broken: bool = False, **extra: object) -> str:
    """What a logger with this formatter writes."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(formatter)
    logger = logging.Logger("presort.writing")  # noqa: LOG001 - nobody else's
    logger.addHandler(handler)
    error = ValueError("oops") if broken else None
    logger.info(message, *args, extra=extra, exc_info=error)
    return str(handler.stream.getvalue()).removesuffix("\n")


def test_people_read_the_message_and_then_its_fields() -> None:
    text = line(logs.Text(), "%s", "filled", ticket=4711, outcome="filled", reason="Zendesk forbids it (403)")
    at, _, rest = text.partition("Z ")
    assert (at[4], at[10], at[-4]) == ("-", " ", ".")
    assert rest == 'INFO presort.writing: filled ticket=4711 outcome=filled reason="Zendesk forbids it (403)"'
    assert line(logs.Text(), "wait", tickets=[7, 8]).endswith("wait tickets=7,8")


def test_machines_read_one_json_object_a_line() -> None:
    found = json.loads(line(logs.Json(), "%s\nnext", "filled", ticket=4711, tickets=[7, 8]))
    assert found.pop("at").endswith("Z")
    expected = {"level": "INFO", "logger": "presort.writing", "message": "filled\nnext", "ticket": 4711}
    assert found == expected | {"tickets": [7, 8]}


def test_nobody_can_write_a_second_line_or_a_second_field() -> None:
    text = line(logs.Text(), "a\nb", delivery='x ticket=1 "', reason="two\nlines")
    assert len(text.splitlines()) == 1
    assert text.endswith(r'a\nb delivery="x ticket=1 \"" reason="two\nlines"')


@pytest.mark.parametrize("formatter", [logs.Text(), logs.Json()])
def test_what_a_library_hangs_onto_a_record_is_not_written(formatter: logging.Formatter) -> None:
    """Celery's records of failed tasks carry the task's arguments as ``data``."""
    assert "secret text" not in line(formatter, "failed", data={"args": ["secret text"]})


def test_an_error_keeps_its_trace() -> None:
    assert "ValueError: oops" in json.loads(line(logs.Json(), "failed", broken=True))["trace"]
    assert line(logs.Text(), "failed", broken=True).splitlines()[-1] == "ValueError: oops"


def test_a_misspelt_form_is_said_at_the_start() -> None:
    environ = {"PRESORT_CONFIG": "presort.example.toml", "PRESORT_ZENDESK_CLIENT_SECRET": "s"}
    assert settings.load(environ=environ).log == "text"
    assert settings.load(environ=environ | {"PRESORT_LOG": "json"}).log == "json"
    with pytest.raises(SettingsError, match="PRESORT_LOG is 'xml': set it to text or json"):
        settings.load(environ=environ | {"PRESORT_LOG": "xml"})


def test_the_console_logs_through_the_same_formatter(redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "presort.toml"
    config.write_text(
        '[zendesk]\nsubdomain = "acme"\nclient_id = "presort"\n[[classifier]]\nfield_id = 1\nbundle = "b"\n'
        f"[console]\nport = {port}\n",
        encoding="utf-8",
    )
    environ = {
        "PRESORT_CONFIG": str(config),
        "PRESORT_ZENDESK_CLIENT_SECRET": "s",
        "PRESORT_REDIS_URL": redis_url,
        "PRESORT_LOG": "json",
    }
    command = [sys.executable, "-c", "from integration.cli import main; main()", "console"]
    with process(command, log=tmp_path / "console.log", port=port, environ=environ):
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    lines = [json.loads(one) for one in (tmp_path / "console.log").read_text(encoding="utf-8").splitlines()]
    assert {"gunicorn.error", "presort.console"} <= {one["logger"] for one in lines}
    assert any("PRESORT_AGENT_SECRETS is not set" in one["message"] for one in lines)


def test_all_loggers_share_one_formatter() -> None:
    """That of gunicorn too, which has a handler of its own before it reads the document."""
    script = (
        "import logging, logging.config; from integration import logs; "
        "logging.getLogger('gunicorn.error').addHandler(logging.StreamHandler()); "
        "logging.config.dictConfig(logs.document('json')); "
        "[logging.getLogger(name).warning('x') for name in ('gunicorn.error', 'celery.worker', 'presort.receiver')]"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    found = [json.loads(row)["logger"] for row in done.stderr.splitlines()]
    assert found == ["gunicorn.error", "celery.worker", "presort.receiver"]
