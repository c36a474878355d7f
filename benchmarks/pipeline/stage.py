"""Processes to measure, between Redis and the local Zendesk: texts are filed there, and writes counted."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis import Redis

from benchmarks.pipeline.load import Plan, Sent
from demo.processes import free_port, process, redis_server
from demo.stage import call
from integration.simulator.config import SimulatorConfig
from integration.zendesk.webhooks import TICKET_CREATED

SECRET = "benchmark"  # noqa: S105 - signs and verifies on this machine only
PLENTY = 1_000_000
"""Of Zendesk's limits, so that they are not what is measured; requests are counted instead."""

TOPICS = 11
"""Options of the category: as many as the questions have topics."""

FILED = 500
"""Tickets in one request to the local Zendesk."""

ACCOUNT = SimulatorConfig(
    webhook_secret=SECRET,
    options=tuple((f"topic_{one}", f"Topic {one}") for one in range(TOPICS)),
    requests_per_minute=PLENTY,
    updates_per_minute=PLENTY,
)


class Place(NamedTuple):
    """Where the local Zendesk and Redis are, and what runs: process ids by name."""

    folder: Path
    zendesk: str
    redis_url: str
    pids: dict[str, int]
    stack: ExitStack

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str], port: int | None = None) -> None:
        """A process that ends with the place; its log is named after it."""
        child = process(command, log=self.folder / f"{name}.log", port=port, environ=environ)
        self.pids[name] = self.stack.enter_context(child).pid


class Written(NamedTuple):
    """The local Zendesk's own record of one ticket: when it was first written to, and how often."""

    at: float | None
    times: int


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Redis and a local Zendesk in processes of their own; both end with the block, as does what is started there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "simulator.json").write_bytes(msgspec.json.encode(ACCOUNT))
    port = free_port()
    with ExitStack() as stack:
        redis_url = stack.enter_context(redis_server(folder / "redis"))
        running = Place(folder, f"http://127.0.0.1:{port}", redis_url, {}, stack)
        running.pids["redis"] = int(Redis.from_url(redis_url).info("server")["process_id"])
        simulator = [sys.executable, "-m", "integration.simulator", "--port", str(port)]
        running.start("simulator", [*simulator, "--config", str(folder / "simulator.json")], {}, port)
        yield running


def file(running: Place, texts: Sequence[str]) -> list[int]:
    """File tickets of which the local Zendesk itself tells nobody; their ids."""
    ids: list[int] = []
    for start in range(0, len(texts), FILED):
        new = [{"description": one} for one in texts[start : start + FILED]]
        ids += call(f"{running.zendesk}/simulator/tickets", {"tickets": new})["ids"]
    return ids


def event(ticket_id: int, text: str, delivery: str) -> str:
    """The body of a ``ticket.created`` webhook, as Zendesk writes it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    detail = {
        "id": str(ticket_id),
        "subject": "",
        "description": text,
        "created_at": now,
        "updated_at": now,
        "actor_id": "360000000013",
        "requester_id": "360000000013",
        "brand_id": "360000000001",
        "status": "NEW",
        "tags": [],
        "via": {"channel": "web"},
    }
    return json.dumps(
        {
            "account_id": ACCOUNT.account_id,
            "detail": detail,
            "event": {},
            "id": delivery,
            "subject": f"zen:ticket:{ticket_id}",
            "time": now,
            "type": TICKET_CREATED,
            "zendesk_event_version": "2022-11-06",
        }
    )


@contextmanager
def sending(running: Place, plan: Plan) -> Iterator[Path]:
    """The load generator, in a process of its own; yields the file that holds what came of it when it has ended."""
    plan_file, sent = running.folder / "plan.json", running.folder / "sent.json"
    plan_file.write_bytes(msgspec.json.encode(plan))
    sent.unlink(missing_ok=True)
    load = [sys.executable, "-m", "benchmarks.pipeline.load", str(plan_file), str(sent)]
    with process(load, log=running.folder / "load.log"):
        yield sent


def read_sent(path: Path, patience_s: float = 60) -> Sent:
    """What the load generator wrote; it appears in one step."""
    deadline = time.monotonic() + patience_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the load generator did not end: see load.log beside {path}")
        time.sleep(0.05)
    return msgspec.json.decode(path.read_bytes(), type=Sent)


def requests(running: Place) -> int:
    """Requests of the REST API that the local Zendesk has counted."""
    return sum(call(f"{running.zendesk}/simulator/summary")["requests"].values())


def written(running: Place) -> int:
    """Tickets that the local Zendesk has seen filled, or suggested."""
    tickets: dict[str, int] = call(f"{running.zendesk}/simulator/summary")["tickets"]
    return tickets["filled"] + tickets["suggested"]


def record(running: Place, ids: Sequence[int]) -> dict[int, Written]:
    """Each ticket's writes, by the audits that the local Zendesk kept."""
    host = running.zendesk.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    found: dict[int, Written] = {}
    for one in ids:
        connection.request("GET", f"/simulator/tickets/{one}")
        ticket: dict[str, Any] = json.loads(connection.getresponse().read())["ticket"]
        times = sum(entry["by"] == "Presort" for entry in ticket["history"])
        found[one] = Written(ticket["filled_at"], times)
    connection.close()
    return found
