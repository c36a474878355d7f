"""Sends prepared requests over a few connections that stay open: ``python -m benchmarks.pipeline.load PLAN SENT``.

A process of its own, so that its CPU time is told apart. Plain sockets: the cheapest client there is.
"""

from __future__ import annotations

import itertools
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from integration.zendesk.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send.

    Attributes:
        port: on loopback.
        path: of every request, a POST of JSON.
        bodies: in their order.
        secret: signs each as Zendesk does; empty for no signature.
        per_s: requests a second; 0 as fast as they are answered.
        connections: that are kept open, with one request at a time each.
    """

    port: int
    path: str
    bodies: list[str]
    secret: str = ""
    per_s: float = 0
    connections: int = 4


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        at: when each request left, Unix seconds, in the plan's order; 0 when none did.
        refused: answers other than 200.
        cpu_s: of this process while it sent.
        took_s: from the first request to the last answer.
    """

    at: list[float]
    refused: int
    cpu_s: float
    took_s: float


def send(plan: Plan) -> Sent:
    """Send all of it."""
    at, refused = [0.0] * len(plan.bodies), itertools.count()
    numbers = iter(range(len(plan.bodies)))
    lock, began, cpu = threading.Lock(), time.time(), time.process_time()

    def work() -> None:
        with socket.create_connection(("127.0.0.1", plan.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = connection.makefile("rb")
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                if plan.per_s:
                    time.sleep(max(0.0, began + number / plan.per_s - time.time()))
                request = _request(plan, plan.bodies[number].encode())
                at[number] = time.time()
                connection.sendall(request)
                if _status(answers) != 200:
                    next(refused)

    threads = [threading.Thread(target=work) for _ in range(plan.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Sent(at=at, refused=next(refused), cpu_s=time.process_time() - cpu, took_s=time.time() - began)


def _request(plan: Plan, body: bytes) -> bytes:
    head = (
        f"POST {plan.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    if plan.secret:
        now = datetime.now(UTC).isoformat()
        head += f"{TIMESTAMP_HEADER}: {now}\r\n{SIGNATURE_HEADER}: {sign(plan.secret, now, body)}\r\n"
    return head.encode() + b"\r\n" + body


def _status(answers: BinaryIO) -> int:
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)
    return status


def main(plan: Path, sent: Path) -> None:
    """Read the plan, follow it, and write down what came of it."""
    aside = sent.with_suffix(".partial")
    aside.write_bytes(msgspec.json.encode(send(msgspec.json.decode(plan.read_bytes(), type=Plan))))
    aside.rename(sent)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
