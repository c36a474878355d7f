"""A worker's parts against a real Redis, a real model and the local Zendesk; Celery's own process is tested apart."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from demo.tickets import CATEGORIES
from integration import messages, settings
from integration.messages import Decision, Job, NewTicket, Writes
from integration.records import Record
from integration.settings import Settings
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from integration.zendesk.client import Ticket
from model_export.bundle.manifest import read_manifest, write_manifest
from model_export.bundle.predictor import Predictor
from tests.simulator.support import Running, serving
from worker import classifying, deferred, jobs, writing
from worker.parts import Parts

BUNDLE = Path("demo/bundle")
ACCOUNT = SimulatorConfig(
    options=tuple((category.value, category.name) for category in CATEGORIES),
    requests_per_minute=100_000,
    updates_per_minute=100_000,
    job_time_s=0.05,
)
SURE = ("Refund request", "I would like a full refund for my last order, please send my money back.", "refund_request")


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The demo's model: a real ONNX session of a tiny DistilBERT."""
    return Predictor(BUNDLE, "cpu")


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A multi-label model: the demo's graph with a sigmoid a label, sure of a label from 0.6 on."""
    folder = tmp_path_factory.mktemp("several") / "bundle"
    shutil.copytree(BUNDLE, folder)
    manifest = read_manifest(BUNDLE)
    labels = tuple(msgspec.structs.replace(label, threshold=0.6) for label in manifest.labels)
    write_manifest(folder, msgspec.structs.replace(manifest, name="several", task="multi", labels=labels))
    return Predictor(folder, "cpu")


@pytest.fixture(scope="session")
def account() -> Iterator[Running]:
    """One simulator for all worker tests."""
    with serving(ACCOUNT) as running:
        yield running


@pytest.fixture
def zendesk(account: Running) -> Running:
    """The simulator, emptied."""
    account.clock.offset_s = 0
    account.simulation.reset()
    account.post("/simulator/faults", {})
    return account


@pytest.fixture
def parts(config: Settings, store: Store, zendesk: Running, predictor: Predictor) -> Parts:
    """What a worker process is made of, pointed at the simulator."""
    assert store.redis.dbsize() == 0
    made = Parts(
        msgspec.structs.replace(
            config,
            zendesk=settings.Zendesk(
                subdomain="acme", client_id=ACCOUNT.client_id, url=zendesk.url, updates_per_minute=100_000, timeout_s=2
            ),
            zendesk_client_secret=ACCOUNT.client_secret,
            classifiers=(
                settings.Classifier(
                    field_id=ACCOUNT.category_field_id,
                    prediction_field_id=ACCOUNT.predicted_field_id,
                    confidence_field_id=ACCOUNT.confidence_field_id,
                    model_field_id=ACCOUNT.model_field_id,
                    bundle=str(BUNDLE),
                    mode="prefill",
                ),
            ),
        )
    )
    made.__dict__["predictors"] = {"category": predictor}  # loaded once a session, not once a test
    return made


class Desk:
    """A customer, an agent and a worker, step by step."""

    def __init__(self, parts: Parts, zendesk: Running) -> None:
        self.parts, self.zendesk = parts, zendesk

    def file(self, subject: str = SURE[0], description: str = SURE[1], **more: object) -> NewTicket:
        """A ticket in Zendesk and the message its webhook makes."""
        ticket_id = self.zendesk.create(subject, description, **more)
        return NewTicket(
            ticket_id=ticket_id,
            received_at=time.time(),
            text_known=True,
            subject=subject,
            description=description,
            created_at=time.time(),
            channel=str(more.get("channel", "web")),
        )

    def classify(self, *tickets: NewTicket) -> None:
        """One batch through the model."""
        classifying.classify(self.parts, tickets)

    def work(self, rounds: int = 1) -> None:
        """Carry out the messages that wait in the writes queue, and those put aside that are due."""
        for _ in range(rounds):
            while raw := self.parts.store.redis.rpop(messages.WRITES_QUEUE):
                task, payload = read_message(str(raw))
                if task == messages.WRITE:
                    writes = Writes.from_json(payload)
                    writing.write(self.parts, writes.decisions, has_slot=writes.has_slot)
                else:
                    jobs.confirm(self.parts, Job.from_json(payload))
            deferred.resume(self.parts)

    def settle(self, seconds: float = 6) -> None:
        """Work until nothing is left to do."""
        deadline = time.monotonic() + seconds
        depths = self.parts.store.depths()
        while depths["writes"] + depths["tickets"] + depths["deferred"]:
            assert time.monotonic() < deadline, f"still waiting: {depths}"
            self.work()
            time.sleep(0.02)
            depths = self.parts.store.depths()

    def decision(self, ticket_id: int) -> Decision:
        """What triage says of the sure ticket."""
        category = SURE[2]
        return Decision(
            id=f"decision-{ticket_id}",
            ticket_id=ticket_id,
            classifier="category",
            action="fill",
            reason="confident",
            category=category,
            confidence=0.97,
            top=((category, 0.97),),
            threshold=0.8,
            model=f"{self.parts.predictors['category'].manifest.name}@1",
            created_at=0,
            received_at=0,
            decided_at=0,
        )

    def agent_sets(self, ticket: NewTicket, values: Mapping[str, str | None]) -> None:
        """A person sets fields, given by title, in the browser."""
        self.zendesk.post(f"/simulator/tickets/{ticket.ticket_id}/agent", dict(values))

    def after_reading(self, act: Callable[[], object]) -> None:
        """Once, between the next reading of tickets and what is made of it, something happens."""
        show_many = self.parts.zendesk.show_many

        def read_then_act(ids: Sequence[int]) -> dict[int, Ticket]:
            found = show_many(ids)
            del self.parts.zendesk.__dict__["show_many"]
            act()
            return found

        self.parts.zendesk.__dict__["show_many"] = read_then_act

    def hasten(self) -> None:
        """Make what waits due now, whatever Zendesk asked for."""
        redis = self.parts.store.redis
        redis.delete("presort:updates_held")
        for task in messages.QUEUES:
            for member in redis.zrange(f"presort:later:{task}", 0, -1):
                redis.zadd(f"presort:later:{task}", {str(member): 0})

    def record(self, ticket: NewTicket) -> Record:
        """What Presort remembers of a ticket."""
        record = self.parts.store.ticket(ticket.ticket_id, "category")
        assert record is not None
        return record

    def fields(self, ticket: NewTicket) -> dict[str, object]:
        """A ticket's fields by title, as Zendesk has them."""
        fields: dict[str, object] = self.zendesk.get(f"/simulator/tickets/{ticket.ticket_id}")["ticket"]["fields"]
        return fields


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    headers: Message
    body: bytes


class Sink:
    """A real HTTP server for what channels send; answers what it is told.

    Attributes:
        heard: the documents of what it took.
        asked: every request, refused or not.
        status, headers: of its answers; status 0 closes the connection without one, as a server that dies.
        url: Apprise's, of JSON notifications.
        http_url: for everything else.
    """

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.asked: list[Asked] = []
        self.status, self.headers = 200, dict[str, str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep it."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(Asked(self.path, self.headers, body))
                if not outer.status:
                    return
                if outer.status < 300:
                    outer.heard.append(json.loads(body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep test output quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}/"
        self.http_url = f"http://127.0.0.1:{self.server.server_port}"

    def channels(self, config: Settings) -> Settings:
        """The settings with this as their one channel, ``alerts``."""
        channel = settings.Channel(name="alerts", kind="apprise")
        return msgspec.structs.replace(config, channels=(channel,), channel_secrets={"alerts": self.url})


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()


@pytest.fixture
def desk(parts: Parts, zendesk: Running) -> Desk:
    return Desk(parts, zendesk)


def read_message(raw: str | bytes) -> tuple[str, object]:
    """The task and the payload of a queue's entry."""
    message = json.loads(raw)
    return message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0][0]


def queued(store: Store) -> list[NewTicket]:
    """What waits to be classified, oldest first."""
    rows = store.redis.lrange(messages.TICKETS_QUEUE, 0, -1)
    return [NewTicket.from_json(read_message(row)[1]) for row in rows[::-1]]
