"""A worker's own code behind the console, at the queue that questions and orders come through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from integration import messages
from integration.messages import Ask
from tests.worker.conftest import read_message
from worker import explaining, registrar
from worker.parts import Parts

DO = {messages.ASK: explaining.answer, messages.ORDER: registrar.carry_out}


@contextmanager
def working(parts: Parts) -> Iterator[None]:
    """For the length of a ``with`` block, a worker that does nothing else."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            found = parts.store.redis.brpop([messages.UPKEEP_QUEUE], timeout=0.1)
            if isinstance(found, list | tuple):
                task, payload = read_message(found[1])
                DO[task](parts, Ask.from_json(payload).id)

    parts.heartbeat()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()
