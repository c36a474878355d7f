"""Receiver and console as they are shipped, while strangers hold hundreds of connections open."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from demo.processes import free_port, process
from integration.console.frame import PLOTLY
from integration.zendesk import signature
from tests.conftest import FIXTURES, SECRET

MANY = 50
"""Of each kind; one thread a connection, of a few, would have been gone after the first of them."""

POST = b"POST /webhooks/zendesk HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HOLDING = {
    "nothing at all": b"",
    "half a head": POST + b"X-Slow: ",
    "half a body": POST + b"Content-Length: 1000\r\n\r\n{",
    "a body that is too large": POST + b"Content-Length: 100000000\r\n\r\n{",
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a request whose answer nobody reads": f"GET /assets/plotly-{PLOTLY}.min.js HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
}


class Served(NamedTuple):
    """Where both listen."""

    receiver: int
    console: int


@pytest.fixture(scope="module")
def environ(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("slow") / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    secrets = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", "PRESORT_WEBHOOK_SECRETS": SECRET}
    return {"PRESORT_CONFIG": str(path), "PRESORT_REDIS_URL": redis_url, **secrets}


@pytest.fixture(scope="module")
def served(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ExitStack() as stack:
        ports = [
            stack.enter_context(serving(name, environ, tmp_path_factory.mktemp(name))) for name in ("receiver", "web")
        ]
        yield Served(*ports)


@contextmanager
def serving(name: str, environ: dict[str, str], folder: Path) -> Iterator[int]:
    """A gunicorn with the product's own settings; its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", f"python:integration.{name}.gunicorn"]
    command += ["--bind", f"127.0.0.1:{port}"]
    with process(command, log=folder / "log", port=port, environ=environ):
        yield port


def hold(stack: ExitStack, port: int, said: bytes) -> socket.socket:
    """A connection that says something and then nothing, until the block's end; with the smallest of buffers."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    held.connect(("127.0.0.1", port))
    held.sendall(said)
    return stack.enter_context(held)


@pytest.mark.parametrize("kind", HOLDING)
@pytest.mark.parametrize("door", Served._fields)
def test_health_answers_while_strangers_hold_connections(served: Served, door: str, kind: str) -> None:
    port = getattr(served, door)
    with ExitStack() as stack:
        for _ in range(MANY):
            hold(stack, port, HOLDING[kind])
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).json() == {"status": "ok"}


def test_a_webhook_is_taken_while_strangers_hold_connections(served: Served) -> None:
    body, timestamp = (FIXTURES / "ticket_created.json").read_bytes(), datetime.now(UTC).isoformat()
    signed = {
        "Content-Type": "application/json",
        signature.TIMESTAMP_HEADER: timestamp,
        signature.SIGNATURE_HEADER: signature.sign(SECRET, timestamp, body),
    }
    with ExitStack() as stack:
        for said in [*HOLDING.values()] * MANY:
            hold(stack, served.receiver, said)
        answer = requests.post(f"http://127.0.0.1:{served.receiver}/webhooks/zendesk", body, headers=signed, timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")


def test_who_does_not_go_on_is_hung_up_on(environ: dict[str, str], tmp_path: Path) -> None:
    """After 75 s of a head, 30 s of a request; here after 3, so that nobody waits."""
    impatient = environ | {"GUNICORN_CMD_ARGS": "--timeout 3 --keep-alive 3"}
    with serving("receiver", impatient, tmp_path) as port, ExitStack() as stack:
        for held in [hold(stack, port, HOLDING[kind]) for kind in ("half a head", "half a body", "half a chunk")]:
            held.settimeout(60)
            with suppress(ConnectionResetError):
                assert held.recv(100) == b""
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok
