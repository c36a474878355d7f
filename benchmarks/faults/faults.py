"""What goes wrong: each a ``with`` block, in which it is so, and after which it is mended."""

from __future__ import annotations

import random
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from benchmarks.faults.people import People
from benchmarks.faults.stage import SOON_S, FaultError, kill
from benchmarks.services import meanwhile, wait_until
from demo.processes import stop
from demo.stage import Stage, call
from integration import messages
from integration.publisher import create_celery
from integration.store import Store

BATCH = 60
"""Tickets filed at once where a worker is to be met at work."""

PRODUCT = ("receiver", "worker-1", "worker-2", "beat")


class Scene(NamedTuple):
    """Where a fault happens, to whom, and for how many seconds."""

    running: Stage
    people: People
    seconds: float

    @property
    def store(self) -> Store:
        """Presort's Redis: to know when to strike, never to count."""
        return Store(self.running.redis_url)

    @property
    def redis(self) -> Redis:
        """The same, without its patience."""
        return Redis.from_url(self.running.redis_url, socket_timeout=30)

    def zendesk(self, **faults: object) -> None:
        """Set the local Zendesk's switches; without any, all is well."""
        call(f"{self.running.zendesk_url}/simulator/faults", faults)

    def updates(self) -> int:
        """Requests of Presort's to update tickets that Zendesk has got, answered or not."""
        requests: dict[str, int] = call(f"{self.running.zendesk_url}/simulator/summary")["requests"]
        return sum(number for route, number in requests.items() if route.startswith("PUT "))


@contextmanager
def worker_mid_batch(scene: Scene) -> Iterator[None]:
    """SIGKILL while it holds messages, the other one's hands bound meanwhile."""
    with _alone(scene.running):
        scene.people.file(BATCH)
        wait_until(lambda: scene.store.depths()["unacknowledged"] > 0, SOON_S, "a worker to take messages")
        kill(scene.running, "worker-1")
    yield
    scene.running.start("worker-1", {})


@contextmanager
def worker_mid_write(scene: Scene) -> Iterator[None]:
    """SIGKILL between a request to update tickets and its answer: once of one ticket, once of many; Zendesk obeys."""
    scene.zendesk(slow=2)
    for number in (1, BATCH):
        with _alone(scene.running):
            before = scene.updates()
            scene.people.file(number)
            wait_until(lambda before=before: scene.updates() > before, SOON_S, "a worker to write")  # type: ignore[misc]  # mypy cannot infer a lambda's default
            kill(scene.running, "worker-1")
        scene.running.start("worker-1", {})
    scene.zendesk()
    yield


@contextmanager
def workers_down(scene: Scene) -> Iterator[None]:
    """All of them, killed."""
    kill(scene.running, "worker-1")
    kill(scene.running, "worker-2")
    yield
    scene.running.start("worker-1", {})
    scene.running.start("worker-2", {})


@contextmanager
def beat_killed(scene: Scene) -> Iterator[None]:
    """Nothing that waits is released, nobody looks at the export."""
    kill(scene.running, "beat")
    yield
    scene.running.start("beat", {})


@contextmanager
def receiver_killed(scene: Scene) -> Iterator[None]:
    """Zendesk comes five times, then gives up; and stops calling altogether after too many errors."""
    scene.zendesk(breaker=60)
    kill(scene.running, "receiver")
    yield
    scene.running.start("receiver", {})
    scene.zendesk()


@contextmanager
def redis_restarted(scene: Scene) -> Iterator[None]:
    """Once asked to end, once killed; its append-only file stays."""
    redis = scene.running.children["redis"]
    redis.terminate()
    redis.wait()
    time.sleep(2)
    scene.running.start("redis", {})
    time.sleep(5)
    kill(scene.running, "redis")
    yield
    scene.running.start("redis", {})


@contextmanager
def redis_flushed(scene: Scene) -> Iterator[None]:
    """Everything that Presort knows is gone, with what waits in it."""
    scene.people.file(BATCH)
    wait_until(lambda: scene.store.waiting(messages.WRITE) > 0, SOON_S, "decisions to wait for their write")
    scene.redis.flushall()
    yield


@contextmanager
def redis_full(scene: Scene) -> Iterator[None]:
    """It takes nothing more, and keeps what it has."""
    scene.redis.config_set("maxmemory", 1)
    yield
    scene.redis.config_set("maxmemory", 0)


@contextmanager
def redis_slow(scene: Scene) -> Iterator[None]:
    """It answers nobody for half a second to six, again and again: longer than receiver and workers wait."""
    rng = random.Random(1)
    with meanwhile(
        lambda: scene.redis.client_pause(int(rng.uniform(500, 6000))), every_s=lambda: rng.uniform(0.5, 1.5)
    ):
        yield


@contextmanager
def zendesk_down(scene: Scene) -> Iterator[None]:
    """503 to every request."""
    scene.zendesk(down=True)
    yield
    scene.zendesk()


@contextmanager
def zendesk_limited(scene: Scene) -> Iterator[None]:
    """429 to every request, with the seconds to wait."""
    scene.zendesk(rate_limited=scene.seconds)
    yield
    scene.zendesk()


@contextmanager
def deliveries_doubled(scene: Scene) -> Iterator[None]:
    """Half of them come twice, all of them within five seconds in any order."""
    scene.zendesk(duplicate=0.5, shuffle=5)
    yield
    scene.zendesk()


@contextmanager
def deliveries_lost(scene: Scene) -> Iterator[None]:
    """Two of five are never sent."""
    scene.zendesk(drop=0.4)
    yield
    scene.zendesk()


@contextmanager
def clocks_jump(scene: Scene) -> Iterator[None]:
    """One worker an hour ahead, one an hour behind, beat an hour ahead, the receiver five minutes; then all back.

    Zendesk's and Redis's clocks are right. Clocks that only count seconds are, too, as when a real clock is set.
    """
    running = scene.running
    library = running.logs / "clock.so"
    run("cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("clock.c")))
    for name in PRODUCT:
        stop(running.children[name])
        _set_clock(running, name, 0)
        running.start(name, {"LD_PRELOAD": str(library), "CLOCK_FILE": str(running.logs / f"{name}.clock")})
    time.sleep(10)
    for name, seconds in {"worker-1": 3600, "worker-2": -3600, "receiver": 300, "beat": 3600}.items():
        _set_clock(running, name, seconds)
    yield
    for name in PRODUCT:
        _set_clock(running, name, 0)


POISON_TEXTS = (
    "\x00\x01\x1b[2J ",
    "<div>" * 2_000,  # more, and its words are beyond what is read of a ticket: that would be one without text
    "\u202e\u200d\ufeff" * 5_000,
    "🙈👩‍👩‍👧" * 2_000,
    "a" * 60_000 + " ",
    "{{ticket.id}} %s %(x)s {0.__class__} ",
    "> " * 20_000 + "\n\n",
)
POISON_MESSAGES: tuple[object, ...] = (None, [], {"ticket_id": "?"}, {"ticket_id": 1, "received_at": "NaN"}, "zzz", 5)
POISON_ENTRIES = ("no JSON", "5", "[]", "null", "{}", '{"properties": {}}', "[" * 100_000)


@contextmanager
def poison(scene: Scene) -> Iterator[None]:
    """Texts, messages and entries of the queue that break what they can, in the midst of other tickets."""
    celery = create_celery("presort.poison", scene.running.redis_url)
    for text in POISON_TEXTS:
        scene.people.file(1, text)
        scene.people.file(4)
    for task in (messages.CLASSIFY, messages.WRITE, messages.CONFIRM, "presort.of_a_newer_release"):
        for message in POISON_MESSAGES:
            queue = messages.QUEUES.get(task, messages.TICKETS_QUEUE)
            celery.send_task(task, args=[message], queue=queue, argsrepr="()")
            scene.people.file(1)
    scene.redis.lpush(messages.TICKETS_QUEUE, *POISON_ENTRIES)
    yield


@contextmanager
def _alone(running: Stage) -> Iterator[None]:
    """The second worker stands still, so that it is the first that works."""
    other = running.children["worker-2"]
    other.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        other.send_signal(signal.SIGCONT)


def _set_clock(running: Stage, name: str, seconds: int) -> None:
    """Written over, not anew: the process has mapped the file."""
    path = running.logs / f"{name}.clock"
    path.touch()
    with path.open("r+b") as file:
        file.write(struct.pack("q", seconds))


def run(*command: str) -> None:
    """Run a system command.

    Raises:
        FaultError: it failed.
    """
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise FaultError(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise FaultError(f"{' '.join(command)}: {error.stderr.strip()}") from None
