"""Our whole way: gunicorn, Redis, workers, beat; beside them the local Zendesk and the load generator."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.pipeline import stage
from benchmarks.pipeline.load import Plan
from benchmarks.receiver import percentile
from benchmarks.services import wait_until
from benchmarks.usage import cpu_s
from demo.processes import free_port
from demo.stage import presort_toml
from integration.settings import WEBHOOK_PATH
from integration.store import Store

WORKERS = 2
LOAD = 0.8
"""Of the rate that was measured: the share at which seconds from webhook to field are taken."""

WARM_UP = 64

Say = Callable[[str], None]


class Run(NamedTuple):
    """Tickets that were sent, and what the local Zendesk says of them.

    Attributes:
        per_s: from the first webhook to the last written field.
        seconds: from a ticket's webhook to its field, of each that was written.
        cpu_ms: milliseconds of CPU a ticket, by process.
        requests: to Zendesk, a ticket.
        lost: never written.
        written_twice: more than once.
    """

    per_s: float
    seconds: list[float]
    cpu_ms: dict[str, float]
    requests: float
    lost: int
    written_twice: int


@contextmanager
def running(folder: Path, bundle: Path) -> Iterator[tuple[stage.Place, int]]:
    """All of the product's processes and what is around them; yields the receiver's port too."""
    with stage.place(folder) as place:
        port = free_port()
        zendesk = urlsplit(place.zendesk).port
        assert zendesk
        toml = presort_toml(stage.ACCOUNT, (zendesk, port, free_port()), bundle.as_posix())
        (folder / "presort.toml").write_text(toml, encoding="utf-8")
        environ = {
            "PRESORT_CONFIG": str(folder / "presort.toml"),
            "PRESORT_REDIS_URL": place.redis_url,
            "PRESORT_WEBHOOK_SECRETS": stage.SECRET,
            "PRESORT_ZENDESK_CLIENT_SECRET": stage.ACCOUNT.client_secret,
        }
        python = [sys.executable, "-m"]
        place.start("receiver", [*python, "gunicorn", "-c", "python:integration.receiver.gunicorn"], environ, port)
        for number in range(1, WORKERS + 1):
            place.start(f"worker-{number}", [*python, "worker", "run"], environ)
        place.start("beat", [*python, "worker", "beat"], environ)
        store = Store(place.redis_url)
        wait_until(lambda: len(store.workers()) == WORKERS, 60, f"the workers: see {folder}/worker-1.log")
        yield place, port


def _cpu_s(place: stage.Place) -> dict[str, float]:
    return {name: cpu_s(pid) for name, pid in place.pids.items()}


def play(place: stage.Place, plan: Plan, ids: Sequence[int], patience_s: float, say: Say = lambda _: None) -> Run:
    """Send the plan's webhooks, one a ticket, and wait until all are written or patience ends."""
    before, asked, cpu_before = stage.written(place), stage.requests(place), _cpu_s(place)
    with stage.sending(place, plan) as sent_file:
        deadline = time.monotonic() + patience_s
        while (done := stage.written(place) - before) < len(ids) and time.monotonic() < deadline:
            say(f"{done} of {len(ids)} written")
            time.sleep(1)
        cpu_after, asked = _cpu_s(place), stage.requests(place) - asked
        sent = stage.read_sent(sent_file)
    found = stage.record(place, ids)
    written = [(at, found[one].at) for one, at in zip(ids, sent.at, strict=True)]
    seconds = [there - at for at, there in written if there is not None]
    last = max((there for _, there in written if there is not None), default=float("inf"))
    spent = {name: after - cpu_before[name] for name, after in cpu_after.items()} | {"generator": sent.cpu_s}
    return Run(
        per_s=len(seconds) / (last - min(sent.at)),
        seconds=seconds,
        cpu_ms={name: 1000 * one / len(ids) for name, one in spent.items()},
        requests=asked / len(ids),
        lost=len(ids) - len(seconds),
        written_twice=sum(one.times > 1 for one in found.values()),
    )


def plan(place: stage.Place, port: int, texts: Sequence[str], *, per_s: float = 0) -> tuple[Plan, list[int]]:
    """File the texts, and how to tell of them; the tickets' ids too."""
    ids = stage.file(place, texts)
    bodies = [stage.event(one, text, f"delivery-{one}") for one, text in zip(ids, texts, strict=True)]
    return Plan(port=port, path=WEBHOOK_PATH, bodies=bodies, secret=stage.SECRET, per_s=per_s), ids


def measure(
    folder: Path, bundle: Path, texts: Sequence[str], *, tickets: int, calm_s: float, say: Say
) -> tuple[Run, Run]:
    """As fast as it goes, then for ``calm_s`` seconds at ``LOAD`` of that."""
    many = [texts[number % len(texts)] for number in range(tickets)]
    with running(folder, bundle) as (place, port):
        play(place, *plan(place, port, many[:WARM_UP]), patience_s=60)
        fast = play(place, *plan(place, port, many), patience_s=60 + tickets, say=say)
        calm = many[: max(1, min(tickets, int(calm_s * LOAD * fast.per_s)))]
        slow = play(place, *plan(place, port, calm, per_s=LOAD * fast.per_s), patience_s=60 + calm_s, say=say)
    return fast, slow


def quantile(run: Run, share: float) -> float | None:
    """Seconds from webhook to field; None when nothing was written."""
    return round(percentile(run.seconds, share), 3) if run.seconds else None
