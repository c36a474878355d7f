"""An earlier release and this one on the same Redis, as while a deployment rolls forward or back: real processes."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.scale.rig import Rig, rig, workers
from benchmarks.services import wait_until
from demo.stage import CLASSIFIER
from demo.tickets import Ticket
from integration import messages
from integration.controls import Controls
from integration.publisher import create_celery, publish
from tests.conftest import need
from tests.worker.conftest import SURE

EARLIER = "973bd52"
"""The commit that stands for the previous release: 0.1.0 as it was before messages changed last."""

ROOT = Path(__file__).parent.parent
PATIENCE_S = 60.0

NOW: dict[str, str] = {"PYTHONPATH": str(ROOT)}
WORKER = (sys.executable, "-P", "-m", "worker", "run")  # -P: from PYTHONPATH, not from this folder


@pytest.fixture(scope="module")
def then(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which a process runs the earlier release's code."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or no repository here: the earlier release cannot be taken out of it")
    command = [git, "archive", "--format=tar", EARLIER, "integration", "worker", "model_export"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    if done.returncode:
        need(f"the history has no {EARLIER}: fetch all of it (git fetch --unshallow)")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, then: dict[str, str]) -> Iterator[Rig]:  # noqa: ARG001 - skips first
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PRESORT_LOG", "json")
        with rig(tmp_path_factory.mktemp("rig"), zendesk=100) as running:
            yield running


def file(running: Rig, number: int) -> list[int]:
    """Customers' tickets; their webhooks are on the way."""
    return running.file(number, [Ticket(*SURE)])


def filled(running: Rig, tickets: list[int]) -> bool:
    records = running.store.tickets(tickets, CLASSIFIER)
    return len(records) == len(tickets) and all(one.outcome == "filled" for one in records)


def written_once(running: Rig, tickets: list[int]) -> None:
    """Wait until each is; nothing is parked, or was decided or written a second time, of all tickets ever."""
    wait_until(lambda: filled(running, tickets), PATIENCE_S, f"{len(tickets)} tickets to be written")
    wait_until(lambda: not sum(running.store.depths().values()), PATIENCE_S, "empty queues")
    assert running.store.parked() == []
    assert running.summary()["updates"] == running.summary()["tickets"]["created"]
    assert running.store.funnel()["decided"] == running.summary()["tickets"]["created"]


def decided(running: Rig, name: str) -> set[int]:
    """Tickets that a worker's log says it decided."""
    lines = (running.folder / f"{name}-1.log").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    return {row["ticket"] for row in rows if row["message"] == "decided"}


def test_workers_of_two_releases_share_the_work(running: Rig, then: dict[str, str]) -> None:
    """Tickets come until both have decided some and either has written what the other decided."""
    tickets: list[int] = []
    with (
        workers(running, 1, WORKER, environ=then, name="then"),
        workers(running, 1, WORKER, environ=NOW, name="now"),
    ):

        def both_worked() -> bool:
            tickets.extend(file(running, 7))
            return len(tickets) > 100 and bool(decided(running, "then")) and bool(decided(running, "now"))

        wait_until(both_worked, PATIENCE_S, "both releases to decide some")
        written_once(running, tickets)
    assert decided(running, "then") | decided(running, "now") == set(tickets)
    assert not decided(running, "then") & decided(running, "now")


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_what_one_release_leaves_the_other_finishes(running: Rig, then: dict[str, str], back: bool) -> None:  # noqa: FBT001 - parametrised
    """Decisions that wait while writes are paused, a message that waits for its time, and one that nobody has read."""
    first, second = (NOW, then) if back else (then, NOW)
    controls = Controls(running.store.redis)
    controls.throw(paused=True, by="anna")
    with ExitStack() as stack:
        stack.enter_context(workers(running, 1, WORKER, environ=first, name=f"first-{back}"))
        tickets = file(running, 30)
        wait_until(lambda: running.store.waiting(messages.WRITE) == len(tickets), PATIENCE_S, "decisions that wait")
    assert decided(running, f"first-{back}") == set(tickets)
    unread = file(running, 5)
    wait_until(lambda: running.store.depths()["tickets"] == len(unread), PATIENCE_S, "webhooks that wait")
    with workers(running, 1, WORKER, environ=second, name=f"second-{back}"):
        controls.throw(paused=False, by="anna")
        written_once(running, tickets + unread)
    assert decided(running, f"second-{back}") == set(unread)


def test_what_a_worker_cannot_read_is_parked_by_name(running: Rig) -> None:
    celery = create_celery("a test", running.environ["PRESORT_REDIS_URL"])
    with workers(running, 1, WORKER, environ=NOW, name="alone"):
        publish(celery, messages.CLASSIFY, {"ticket": 4711})
        (ticket,) = file(running, 1)
        wait_until(lambda: filled(running, [ticket]) and running.store.parked(), PATIENCE_S, "a parked message")
    (row,) = running.store.parked()
    assert "no NewTicket that this release can read" in row.reason
    assert "`presort parked retry`" in row.reason
