"""Real processes, each ended with its ``with`` block: for the demo, the tests and the benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from integration import embedded_redis


class ProcessError(Exception):
    """A process that did not start, or ended by itself; the message says where its log is."""


def free_port(wanted: int = 0) -> int:
    """``wanted`` when nobody listens on it, else a free TCP port on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: Sequence[str],
    *,
    log: Path,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    cpus: set[int] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process.

    Args:
        command: its arguments, the program first.
        log: file for what it prints.
        port: returns only when something listens there.
        environ: variables beside this process's own.
        cpus: the cores it may use.

    Raises:
        ProcessError: it ended before its port opened, or the port did not open in 30 s.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(command, env={**os.environ, **(environ or {})}, stdout=out, stderr=out)
    try:
        if cpus:
            os.sched_setaffinity(child.pid, cpus)
        if port is not None:
            _wait_for_port(port, child, log)
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """Ask a process to end, then make it."""
    child.terminate()
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()


@contextmanager
def redis_server(folder: Path, cpus: set[int] | None = None) -> Iterator[str]:
    """A Redis server that keeps its data in ``folder``; yields its URL."""
    port = free_port()
    with process(embedded_redis.command(folder, port), log=folder / "redis.log", port=port, cpus=cpus):
        yield f"redis://127.0.0.1:{port}/0"


def _wait_for_port(port: int, child: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ProcessError(f"{child.args!r} ended with status {child.returncode}: see {log}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise ProcessError(f"{child.args!r} does not listen on port {port} after {seconds:.0f} s: see {log}")
