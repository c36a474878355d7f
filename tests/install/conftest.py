"""An account without anything of Presort's, and a person who types commands against it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from demo.processes import free_port, process
from integration import settings
from integration.cli import main
from integration.receiver.app import create_app
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from tests.simulator.support import Running, serving

CONFIG = SimulatorConfig(
    requests_per_minute=100_000,
    api_token="t0ken-of-old",
    options=(("delivery", "Orders::Delivery"), ("refund", "Orders::Refund"), ("other", "Other")),
)

FILE = """# our settings
[zendesk]
subdomain = "acme"
client_id = "presort"           # the OAuth client
url = "URL"

[receiver]
port = PORT
public_url = "http://127.0.0.1:PORT"

[[classifier]]                  # the first
  field_id = 360000000101       # our own drop-down
bundle = "demo/bundle"
"""


class Desk:
    """The account, ``presort.toml`` and the person."""

    def __init__(self, running: Running, folder: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running, self.folder, self.redis_url, self.monkeypatch = running, folder, redis_url, monkeypatch
        self.port = free_port()
        self.file = folder / "presort.toml"
        self.write(FILE)
        self.secret_file = folder / "webhook_secrets"

    @property
    def endpoint(self) -> str:
        """Where the webhook is to point."""
        return f"http://127.0.0.1:{self.port}/webhooks/zendesk"

    @property
    def account(self) -> Any:
        """What the account holds, looked at from inside."""
        return self.running.simulation.account

    def write(self, text: str) -> None:
        """Write ``presort.toml``."""
        self.file.write_text(text.replace("URL", self.running.url).replace("PORT", str(self.port)))

    def edit(self, old: str, new: str) -> None:
        """Change ``presort.toml`` as a person does."""
        text = self.file.read_text()
        assert text.count(old) == 1
        self.file.write_text(text.replace(old, new))

    def type(self, *command: str, answer: str = "") -> Result:
        """Type ``presort ...``, and what is answered when it asks."""
        return CliRunner().invoke(main, command, input=answer)

    def install(self, *options: str) -> Result:
        """Install without being asked."""
        return self.type("install", "--yes", *options)

    def secret(self) -> str:
        """The signing secret of the one webhook."""
        (webhook,) = self.account.webhooks.values()
        return str(webhook.secret)

    def fields(self) -> dict[str, str]:
        """The account's custom fields: title to type."""
        return {field.title: field.kind for field in self.account.custom_fields()}

    @contextmanager
    def receiver(self, secret: str) -> Iterator[None]:
        """The receiver in a thread, behind real HTTP."""
        config = msgspec.structs.replace(settings.load(), webhook_secrets=(secret,))
        server = make_server("127.0.0.1", self.port, create_app(config), threaded=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

    @contextmanager
    def receiver_process(self) -> Iterator[None]:
        """The receiver as it is run, with the secret from its file."""
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:integration.receiver.gunicorn"]
        environ = {"PRESORT_WEBHOOK_SECRETS_FILE": str(self.secret_file)}
        with process(gunicorn, log=self.folder / "receiver.log", port=self.port, environ=environ):
            yield


@pytest.fixture(scope="package")
def served() -> Iterator[Running]:
    with serving(CONFIG) as running:
        yield running


@pytest.fixture
def desk(served: Running, store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    assert store.redis.dbsize() == 0
    served.clock.offset_s = 0.0
    served.simulation.reset()
    for field_id in (CONFIG.predicted_field_id, CONFIG.confidence_field_id, CONFIG.model_field_id):
        del served.simulation.account.fields[field_id]
    desk = Desk(served, tmp_path, redis_url, monkeypatch)
    monkeypatch.setenv("PRESORT_CONFIG", str(desk.file))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", CONFIG.client_secret)
    monkeypatch.delenv("PRESORT_WEBHOOK_SECRETS", raising=False)
    return desk
