"""A simulator on a free port, a client that reaches it, a receiver that takes its deliveries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from werkzeug.serving import WSGIRequestHandler, make_server
from zenpy import Zenpy

from integration.simulator.app import create_app
from integration.simulator.config import SimulatorConfig
from integration.simulator.simulation import EXTENSION, Simulation
from integration.zendesk.session import LocalAdapter
from integration.zendesk.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify


class Clock:
    """The present, which a test may move forward."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.offset_s += seconds


@dataclass
class Running:
    """A served simulator."""

    url: str
    clock: Clock
    config: SimulatorConfig
    simulation: Simulation
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str) -> Any:
        """The JSON at a path of the simulator's own API."""
        answer = self.http.get(self.url + path, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: object = None) -> requests.Response:
        """A request to the simulator's own API."""
        return self.http.post(self.url + path, json=body, timeout=10)

    def create(self, subject: str = "Printer", description: str = "It is on fire.", **more: object) -> int:
        """A customer writes a ticket; its id."""
        answer = self.post("/simulator/tickets", {"subject": subject, "description": description, **more})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def token(self, **more: object) -> str:
        """A fresh access token."""
        answer = self.post("/oauth/tokens", self.grant() | more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def grant(self) -> dict[str, Any]:
        """The body that mints a token."""
        return {
            "grant_type": "client_credentials",
            "client_id": self.config.client_id,
            "client_secret": self.config.client_secret,
            "scope": "read write",
            "expires_in": 3600,
        }

    def api(self, method: str, path: str, body: object = None, token: str | None = None) -> requests.Response:
        """One API request, as it goes over the wire."""
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return self.http.request(method, f"{self.url}/api/v2{path}", json=body, headers=headers, timeout=10)


def zenpy_for(running: Running) -> Zenpy:
    """The real client, with a fresh token."""
    session = requests.Session()
    session.mount("https://", LocalAdapter(running.url, **Zenpy.http_adapter_kwargs()))
    return Zenpy(subdomain="acme", oauth_token=running.token(), session=session, disable_cache=True, timeout=10)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Requests are what tests are made of; a line for each helps nobody."""


@contextmanager
def serving(config: SimulatorConfig) -> Iterator[Running]:
    """A simulator in threads of this process."""
    clock = Clock()
    app = create_app(config, clock)
    simulation: Simulation = app.extensions[EXTENSION]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    running = Running(f"http://127.0.0.1:{server.port}", clock, config, simulation)
    try:
        yield running
    finally:
        running.http.close()
        server.shutdown()
        server.server_close()
        simulation.stop()


@dataclass(frozen=True)
class Received:
    """A delivery as it arrived."""

    headers: dict[str, str]
    body: bytes
    at: float


class Receiver:
    """An HTTP server that keeps what it gets and answers as it was told, 200 otherwise."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.delay_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Keep it, then answer."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(Received(dict(self.headers), body, time.monotonic()))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                time.sleep(outer.delay_s)
                self.send_response(status)
                for name, value in ({"Content-Length": "0"} | headers).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep test output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/zendesk"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def clear(self) -> None:
        """Forget what came and what to answer."""
        self.received, self.answers, self.delay_s = [], [], 0.0

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def check_signature(delivery: Received, secret: str) -> None:
    """Raises what ``verify`` raises when a delivery is not signed with the secret."""
    headers = delivery.headers
    verify(
        [secret],
        headers[SIGNATURE_HEADER],
        headers[TIMESTAMP_HEADER],
        delivery.body,
        now=datetime.now(UTC),
        window_s=60,
    )


def eventually(met: Callable[[], Any], within_s: float = 5.0) -> Any:
    """Wait until a condition is met; its value."""
    deadline = time.monotonic() + within_s
    while not (value := met()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value
