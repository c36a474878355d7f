"""Everything the demo runs: Redis, a local Zendesk, receiver, two workers, beat, console; and an ear for alerts."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from demo import history, processes, tickets
from integration.simulator.config import SimulatorConfig

SECRET = "demo-webhook-secret"  # noqa: S105 - signs and verifies on this machine only
PASSWORD = "made-up-tickets"  # noqa: S105 - the console's, for whoever tries it on this machine
BUNDLE = Path(__file__).with_name("bundle")
WORKERS = 2
CLASSIFIER = "category"


class Stage(NamedTuple):
    """Where everything is, once it runs."""

    zendesk_url: str
    receiver_url: str
    console_url: str
    redis_url: str
    environ: dict[str, str]
    alerts: list[dict[str, Any]]
    children: dict[str, subprocess.Popen[bytes]]
    logs: Path


@contextmanager
def stage(folder: Path, account: SimulatorConfig | None = None) -> Iterator[Stage]:
    """Start all of it and wait until it is ready; stops all of it.

    Args:
        folder: for data and logs.
        account: that the local Zendesk plays, with the demo's categories and webhook.

    Raises:
        ProcessError: something did not start.
        NoRedisError: there is no Redis server on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    zendesk, receiver, console = (processes.free_port(wanted) for wanted in (8090, 8080, 8081))
    with ExitStack() as stack:
        alerts: list[dict[str, Any]] = []
        alert_url = stack.enter_context(_listener(alerts))
        redis_url = stack.enter_context(processes.redis_server(folder / "redis"))
        history.put(redis_url, CLASSIFIER)
        account = _account(receiver, account or SimulatorConfig())
        environ = {
            "PRESORT_CONFIG": str(_presort_toml(folder, account, zendesk, receiver, console)),
            "PRESORT_REDIS_URL": redis_url,
            "PRESORT_WEBHOOK_SECRETS": SECRET,
            "PRESORT_ZENDESK_CLIENT_SECRET": account.client_secret,
            "PRESORT_ALERT_URLS": alert_url,
            "PRESORT_CONSOLE_PASSWORD": PASSWORD,
        }

        children: dict[str, subprocess.Popen[bytes]] = {}

        def start(name: str, command: list[str], port: int | None = None) -> None:
            log = folder / f"{name}.log"
            child = processes.process([sys.executable, "-m", *command], log=log, port=port, environ=environ)
            children[name] = stack.enter_context(child)

        (folder / "simulator.json").write_bytes(msgspec.json.encode(account))
        simulator = ["integration.simulator", "--port", str(zendesk), "--config", str(folder / "simulator.json")]
        start("simulator", simulator, zendesk)
        start("receiver", ["gunicorn", "-c", "python:integration.receiver.gunicorn"], receiver)
        start("console", ["gunicorn", "-c", "python:integration.web.gunicorn"], console)
        for number in range(1, WORKERS + 1):
            start(f"worker-{number}", ["worker", "run"])
        start("beat", ["worker", "beat"])
        yield Stage(
            zendesk_url=f"http://127.0.0.1:{zendesk}",
            receiver_url=f"http://127.0.0.1:{receiver}",
            console_url=f"http://127.0.0.1:{console}",
            redis_url=redis_url,
            environ=environ,
            alerts=alerts,
            children=children,
            logs=folder,
        )


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


def _presort_toml(folder: Path, account: SimulatorConfig, zendesk: int, receiver: int, console: int) -> Path:
    path = folder / "presort.toml"
    path.write_text(
        f"""
[zendesk]
subdomain = "demo"
client_id = "{account.client_id}"
url = "http://127.0.0.1:{zendesk}"

[receiver]
port = {receiver}

[console]
port = {console}

[[classifier]]
field_id = {account.category_field_id}
prediction_field_id = {account.predicted_field_id}
confidence_field_id = {account.confidence_field_id}
model_field_id = {account.model_field_id}
bundle = "{BUNDLE.as_posix()}"
mode = "prefill"

[spikes]  # a minute passes in a second
tick_s = 1
late_ticks = 1
""",
        encoding="utf-8",
    )
    return path


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
