"""Everything the demo runs: Redis, a local Zendesk, receiver, two workers, beat, console; and an ear for alerts."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from demo import history, processes, tickets
from integration import embedded_redis
from integration.simulator.config import SimulatorConfig

SECRET = "demo-webhook-secret"  # noqa: S105 - signs and verifies on this machine only
AGENT_SECRET = "demo-agent-secret-of-32-characters-or-more"  # noqa: S105 - signs for the sidebar, on this machine only
PASSWORD = "made-up-tickets"  # noqa: S105 - the console's, for whoever tries it on this machine
BUNDLE = Path(__file__).with_name("bundle")
WORKERS = 2
CLASSIFIER = "category"

FAST = """
[spikes]  # a minute passes in a second
tick_s = 1
late_ticks = 1
"""


class Stage(NamedTuple):
    """Where everything is, once it runs.

    Attributes:
        children: the processes by name, Redis among them.
        start: starts one of them again, once it has ended: its name, and variables beside ``environ``.
    """

    zendesk_url: str
    receiver_url: str
    console_url: str
    redis_url: str
    environ: dict[str, str]
    alerts: list[dict[str, Any]]
    children: dict[str, subprocess.Popen[bytes]]
    logs: Path
    start: Callable[[str, Mapping[str, str]], None]


@contextmanager
def stage(
    folder: Path,
    account: SimulatorConfig | None = None,
    *,
    ports: tuple[int, int, int] = (8090, 8080, 8081),
    console: bool = True,
    bundle: str = BUNDLE.as_posix(),
    more: str = "",
) -> Iterator[Stage]:
    """Start all of it and wait until it is ready; stops all of it.

    Args:
        folder: for data and logs.
        account: that the local Zendesk plays, with the demo's categories and webhook.
        ports: of Zendesk, receiver and console, if they are free; 0 for any.
        console: whether it is started.
        bundle: the classifier's, as in ``presort.toml``.
        more: TOML tables beside the demo's.

    Raises:
        ProcessError: something did not start.
        NoRedisError: there is no Redis server on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    zendesk, receiver, desk = (processes.free_port(wanted) for wanted in ports)
    redis = processes.free_port()
    redis_url = f"redis://127.0.0.1:{redis}/0"
    with ExitStack() as stack:
        alerts: list[dict[str, Any]] = []
        account = _account(receiver, account or SimulatorConfig())
        environ = {
            "PRESORT_CONFIG": str(folder / "presort.toml"),
            "PRESORT_REDIS_URL": redis_url,
            "PRESORT_WEBHOOK_SECRETS": SECRET,
            "PRESORT_ZENDESK_CLIENT_SECRET": account.client_secret,
            "PRESORT_ALERT_URLS": stack.enter_context(_listener(alerts)),
            "PRESORT_CONSOLE_PASSWORD": PASSWORD,
            "PRESORT_AGENT_SECRETS": AGENT_SECRET,
        }
        toml = presort_toml(account, (zendesk, receiver, desk), bundle, FAST + more)
        (folder / "presort.toml").write_text(toml, encoding="utf-8")
        (folder / "simulator.json").write_bytes(msgspec.json.encode(account))
        simulator = ["integration.simulator", "--port", str(zendesk), "--config", str(folder / "simulator.json")]
        commands: dict[str, tuple[list[str], int | None]] = {
            "redis": (embedded_redis.command(folder / "redis", redis), redis),
            "simulator": (_module(*simulator), zendesk),
            "receiver": (_module("gunicorn", "-c", "python:integration.receiver.gunicorn"), receiver),
            **({"console": (_module("gunicorn", "-c", "python:integration.web.gunicorn"), desk)} if console else {}),
            **{f"worker-{number}": (_module("worker", "run"), None) for number in range(1, WORKERS + 1)},
            "beat": (_module("worker", "beat"), None),
        }
        children: dict[str, subprocess.Popen[bytes]] = {}

        def start(name: str, extra: Mapping[str, str]) -> None:
            command, port = commands[name]
            child = processes.process(command, log=folder / f"{name}.log", port=port, environ={**environ, **extra})
            children[name] = stack.enter_context(child)

        start("redis", {})
        history.put(redis_url, CLASSIFIER)
        for name in [one for one in commands if one != "redis"]:
            start(name, {})
        yield Stage(
            zendesk_url=f"http://127.0.0.1:{zendesk}",
            receiver_url=f"http://127.0.0.1:{receiver}",
            console_url=f"http://127.0.0.1:{desk}",
            redis_url=redis_url,
            environ=environ,
            alerts=alerts,
            children=children,
            logs=folder,
            start=start,
        )


def _module(*command: str) -> list[str]:
    return [sys.executable, "-m", *command]


def call(url: str, document: object | None = None) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """GET a JSON answer, or POST a JSON document and read the answer."""
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})  # noqa: S310 - our own loopback URLs
    data = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(request, data, timeout=30) as answer:  # noqa: S310 - see above
        body = answer.read()
    return json.loads(body) if body else None


def _account(receiver: int, account: SimulatorConfig) -> SimulatorConfig:
    return msgspec.structs.replace(
        account,
        options=tuple((category.value, category.name) for category in tickets.CATEGORIES),
        webhook_url=f"http://127.0.0.1:{receiver}/webhooks/zendesk",
        webhook_secret=SECRET,
    )


def presort_toml(account: SimulatorConfig, ports: tuple[int, int, int], bundle: str, more: str = "") -> str:
    """Settings of an account that the local Zendesk plays.

    Args:
        account: that account.
        ports: of Zendesk, receiver and console.
        bundle: the classifier's, as in ``presort.toml``.
        more: further TOML tables.
    """
    zendesk, receiver, console = ports
    return f"""
[zendesk]
subdomain = "demo"
client_id = "{account.client_id}"
url = "http://127.0.0.1:{zendesk}"
updates_per_minute = {account.updates_per_minute}

[receiver]
port = {receiver}

[console]
port = {console}

[[classifier]]
name = "{CLASSIFIER}"
field_id = {account.category_field_id}
prediction_field_id = {account.predicted_field_id}
confidence_field_id = {account.confidence_field_id}
model_field_id = {account.model_field_id}
bundle = "{bundle}"
mode = "prefill"

{more}
"""


@contextmanager
def _listener(heard: list[dict[str, Any]]) -> Iterator[str]:
    """A tiny web server that takes what the alert channel posts; yields its Apprise URL."""

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
