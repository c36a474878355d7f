"""The product's processes, set up for measuring."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import free_port, process

SECRET = "benchmark"  # noqa: S105 - signs and verifies on this machine only


@contextmanager
def receiver(redis_url: str, cpus: set[int] | None = None) -> Iterator[int]:
    """The receiver as it is shipped, one gunicorn worker; yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "presort.toml"
        config.write_text(
            f'[zendesk]\nsubdomain = "benchmark"\nclient_id = "benchmark"\n[receiver]\nport = {port}\n'
            '[[classifier]]\nfield_id = 1\nbundle = "none"\n',
            encoding="utf-8",
        )
        environ = {
            "PRESORT_CONFIG": str(config),
            "PRESORT_REDIS_URL": redis_url,
            "PRESORT_WEBHOOK_SECRETS": SECRET,
            "PRESORT_ZENDESK_CLIENT_SECRET": "unused",
        }
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:integration.receiver.gunicorn"]
        with process(gunicorn, log=folder / "receiver.log", port=port, environ=environ, cpus=cpus):
            yield port


def wait_until(done: Callable[[], object], patience_s: float, what: str) -> None:
    """Wait until ``done()``.

    Raises:
        TimeoutError: it was not within ``patience_s``; says ``what`` was waited for.
    """
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:.0f} s in vain for {what}")
        time.sleep(0.02)


@contextmanager
def meanwhile(work: Callable[[], object], every_s: Callable[[], float]) -> Iterator[None]:
    """Beside the block, do some work again and again, after as many seconds as ``every_s`` says each time."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(every_s()):
            work()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
