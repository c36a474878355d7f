"""The sidebar's API over HTTP: a real Redis, the local Zendesk, a worker's own code at the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import pytest
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from demo import sidebar
from integration import messages
from integration.messages import Ask
from integration.web.app import create_app
from tests.worker.conftest import account, desk, parts, predictor, read_message, several, zendesk
from worker import explaining
from worker.parts import Parts

__all__ = ["account", "desk", "parts", "predictor", "several", "zendesk"]  # fixtures, for this folder too

SECRET = "agent-secret-of-at-least-32-characters"
HEX_SECRET = "0badc0de" * 8
"""The one before: two are known while one is replaced."""
Answering = Callable[[], AbstractContextManager[None]]


def token(ticket: int, secret: str = SECRET, **more: Any) -> str:
    """What Zendesk's proxy signs with the secret of these tests."""
    return sidebar.token(ticket, secret, **more)


class Client:
    """The app's requests."""

    def __init__(self, url: str) -> None:
        self.url, self.http = url, requests.Session()

    def ask(
        self, method: str, ticket_id: int, path: str = "", body: object = None, bearer: str | None = None
    ) -> requests.Response:
        """One request, signed for its ticket unless ``bearer`` says otherwise."""
        headers = {"Authorization": f"Bearer {token(ticket_id) if bearer is None else bearer}"}
        url = f"{self.url}/agent/tickets/{ticket_id}{path}"
        return self.http.request(method, url, json=body, headers=headers, timeout=20)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """No line for each request."""


@pytest.fixture
def console(parts: Parts) -> Iterator[str]:
    """Where the console listens."""
    app = create_app(msgspec.structs.replace(parts.config, agent_secrets=(HEX_SECRET, SECRET)))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    parts.publish_models()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(console: str) -> Client:
    return Client(console)


@pytest.fixture
def answering(parts: Parts) -> Answering:
    """A worker that does nothing but answer questions, for the length of a ``with`` block."""

    @contextmanager
    def working() -> Iterator[None]:
        over = threading.Event()
        parts.heartbeat()
        thread = threading.Thread(target=answer_until, args=(over,), daemon=True)
        thread.start()
        yield
        over.set()
        thread.join()

    def answer_until(over: threading.Event) -> None:
        while not over.is_set():
            found = parts.store.redis.brpop([messages.UPKEEP_QUEUE], timeout=0.1)
            if isinstance(found, list | tuple):
                task, payload = read_message(found[1])
                assert task == messages.ASK
                explaining.answer(parts, Ask.from_json(payload).id)

    return working
