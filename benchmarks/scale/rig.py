"""The product's processes for one measurement: as many receivers and workers as asked, on one machine."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.services import SECRET, wait_until
from benchmarks.usage import cpu_s
from demo import tickets
from demo.processes import free_port, process, redis_server
from demo.stage import BUNDLE, call, presort_toml
from integration.simulator.config import SimulatorConfig
from integration.store import Store

WORKER = (sys.executable, "-m", "worker", "run", "--loglevel", "WARNING")
BEAT = (sys.executable, "-m", "worker", "beat", "--loglevel", "WARNING")

ENDS = ("filled", "suggested", "left_alone", "parked")
"""Steps of the funnel at which a ticket's way ends."""

AT_ONCE = 500
"""Tickets in one request to the local Zendesk."""

READY_S = 60.0
"""A worker that was not heard of after so long will not start; its log says why."""


class Rig(NamedTuple):
    """What runs.

    Attributes:
        environ: variables that every process of the product needs.
        children: processes by kind, ``receiver``, ``simulator``, ``beat`` and, while they run, ``worker``.
    """

    folder: Path
    zendesk_url: str
    receiver_url: str
    environ: dict[str, str]
    store: Store
    children: dict[str, list[subprocess.Popen[bytes]]]

    def file(self, number: int, made: Sequence[tickets.Ticket]) -> list[int]:
        """File tickets at the local Zendesk, texts in turn; their webhooks are on the way. The new ids."""
        rows = [{"subject": one.subject, "description": one.description} for one in made]
        new = [rows[place % len(rows)] for place in range(number)]
        parts = (new[first : first + AT_ONCE] for first in range(0, number, AT_ONCE))
        return [
            one for part in parts for one in call(f"{self.zendesk_url}/simulator/tickets", {"tickets": part})["ids"]
        ]

    def summary(self) -> dict[str, Any]:
        """What the local Zendesk counted."""
        counted: dict[str, Any] = call(f"{self.zendesk_url}/simulator/summary")
        return counted

    def ended(self) -> int:
        """Tickets whose way has ended; two days of UTC, for a midnight may come."""
        now = datetime.now(UTC)
        funnels = [self.store.funnel(day) for day in (now - timedelta(days=1), now)]
        return sum(funnel.get(step, 0) for funnel in funnels for step in ENDS)

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by kind of process; Redis among them."""
        by_kind = {kind: sum(cpu_s(one.pid) for one in children) for kind, children in self.children.items()}
        return by_kind | {"redis": cpu_s(self.redis_pid())}

    def redis_pid(self) -> int:
        """The Redis server's process id."""
        return int(str(self.store.redis.info("server")["process_id"]))


def texts(number: int = 500) -> list[tickets.Ticket]:
    """Made-up tickets in phrasings that the demo's model never saw; always the same."""
    rng = random.Random(1)
    return [tickets.generate(rng, rng.choice(tickets.CATEGORIES).value, "held_out") for _ in range(number)]


@contextmanager
def rig(folder: Path, *, receivers: int = 1, zendesk: float = 1.0, batch: int = 64) -> Iterator[Rig]:
    """Redis, local Zendesk, receiver and beat, without a worker; stops all of them.

    Args:
        folder: for data and logs.
        receivers: processes of the receiver behind its one port.
        zendesk: limits of the account in multiples of a Professional plan's.
        batch: tickets that a worker takes at once.

    Raises:
        demo.processes.ProcessError: something did not start.
        integration.embedded_redis.NoRedisError: there is no Redis server on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, desk, console = free_port(), free_port(), free_port()
    account = SimulatorConfig(
        options=tuple((category.value, category.name) for category in tickets.CATEGORIES),
        webhook_url=f"http://127.0.0.1:{port}/webhooks/zendesk",
        webhook_secret=SECRET,
        requests_per_minute=round(400 * zendesk),
        updates_per_minute=round(100 * zendesk),
    )
    (folder / "simulator.json").write_bytes(msgspec.json.encode(account))
    toml = presort_toml(account, (desk, port, console), BUNDLE.as_posix(), f"[worker]\nbatch = {batch}")
    (folder / "presort.toml").write_text(toml, encoding="utf-8")
    with ExitStack() as stack:
        children: dict[str, list[subprocess.Popen[bytes]]] = {}

        def start(kind: str, command: Sequence[str], port: int | None = None) -> None:
            log = folder / f"{kind}.log"
            child = stack.enter_context(process(command, log=log, port=port, environ=environ))
            children.setdefault(kind, []).append(child)

        redis_url = stack.enter_context(redis_server(folder / "redis"))
        environ = {
            "PRESORT_CONFIG": str(folder / "presort.toml"),
            "PRESORT_REDIS_URL": redis_url,
            "PRESORT_WEBHOOK_SECRETS": SECRET,
            "PRESORT_ZENDESK_CLIENT_SECRET": account.client_secret,
            "WEB_CONCURRENCY": str(receivers),
        }
        simulator = ("integration.simulator", "--port", str(desk), "--config", str(folder / "simulator.json"))
        start("receiver", (sys.executable, "-m", "gunicorn", "-c", "python:integration.receiver.gunicorn"), port)
        start("simulator", (sys.executable, "-m", *simulator), desk)  # ends first, and lets go of the receiver
        start("beat", BEAT)
        yield Rig(
            folder=folder,
            zendesk_url=f"http://127.0.0.1:{desk}",
            receiver_url=f"http://127.0.0.1:{port}",
            environ=environ,
            store=Store(redis_url),
            children=children,
        )


@contextmanager
def workers(
    running: Rig,
    number: int,
    command: Sequence[str] = WORKER,
    *,
    environ: Mapping[str, str] | None = None,
    name: str = "worker",
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, from when all were heard of until the end of the block.

    Args:
        running: what they belong to.
        number: of processes.
        command: that starts one.
        environ: variables beside the rig's.
        name: of their logs.
    """
    with ExitStack() as stack:
        started = []
        for place in range(1, number + 1):
            log = running.folder / f"{name}-{place}.log"
            child = stack.enter_context(process(command, log=log, environ={**running.environ, **(environ or {})}))
            started.append(child)
        running.children.setdefault("worker", []).extend(started)
        names = [f"{socket.gethostname()}:{one.pid}" for one in started]
        wait_until(lambda: all(heard_of(running.store, name) for name in names), READY_S, "all workers")
        yield started
    running.children["worker"] = [one for one in running.children["worker"] if one not in started]


def heard_of(store: Store, worker: str) -> bool:
    """Whether a worker of this release is alive, or one of the release before, which had a key for each."""
    return worker in store.workers() or bool(store.redis.exists(f"presort:worker:{worker}"))
