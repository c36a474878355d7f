"""A worker's parts against a real Redis, a real model and the local Zendesk; Celery's own process is tested apart."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from demo.tickets import CATEGORIES
from integration import messages, settings
from integration.messages import Job, NewTicket, Writes
from integration.records import Record
from integration.settings import Settings
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from model_export.bundle.manifest import read_manifest, write_manifest
from model_export.bundle.predictor import Predictor
from tests.simulator.support import Running, serving
from worker import classifying, deferred, writing
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
                task, payload = _read(str(raw))
                if task == messages.WRITE:
                    writes = Writes.from_json(payload)
                    writing.write(self.parts, writes.decisions, has_slot=writes.has_slot)
                else:
                    writing.confirm(self.parts, Job.from_json(payload))
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

    def record(self, ticket: NewTicket) -> Record:
        """What Presort remembers of a ticket."""
        record = self.parts.store.ticket(ticket.ticket_id, "category")
        assert record is not None
        return record

    def fields(self, ticket: NewTicket) -> dict[str, object]:
        """A ticket's fields by title, as Zendesk has them."""
        fields: dict[str, object] = self.zendesk.get(f"/simulator/tickets/{ticket.ticket_id}")["ticket"]["fields"]
        return fields


@pytest.fixture
def desk(parts: Parts, zendesk: Running) -> Desk:
    return Desk(parts, zendesk)


def _read(raw: str) -> tuple[str, object]:
    message = json.loads(raw)
    return message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0][0]
