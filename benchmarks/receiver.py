"""Webhooks a second on one core: ``python -m benchmarks.receiver --json``.

The shipped receiver on one core; Redis and the load generator share the other. Every delivery is a signed
``ticket.created`` event of its own, so every one is verified, looked up, published and marked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from benchmarks import services
from demo.processes import redis_server
from integration.messages import TICKETS_QUEUE
from integration.zendesk import signature

DESCRIPTION = "The parcel I ordered two weeks ago has still not arrived and the tracking page has not moved. " * 5


class Load(NamedTuple):
    """For each answer its latency in seconds and whether it was a 200."""

    seconds: list[float]
    good: list[bool]


def request(number: int) -> bytes:
    """A whole HTTP request, signed now."""
    body = json.dumps(
        {
            "account_id": 1,
            "id": f"delivery-{number}",
            "type": "zen:event-type:ticket.created",
            "subject": f"zen:ticket:{number}",
            "time": "2026-01-01T00:00:00.000000000Z",
            "zendesk_event_version": "2022-11-06",
            "event": {},
            "detail": {
                "id": str(number),
                "subject": "Where is my parcel?",
                "description": DESCRIPTION,
                "created_at": "2026-01-01T00:00:00Z",
                "via": {"channel": "email"},
            },
        }
    ).encode()
    now = datetime.now(UTC).isoformat()
    head = (
        f"POST /webhooks/zendesk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{signature.TIMESTAMP_HEADER}: {now}\r\n"
        f"{signature.SIGNATURE_HEADER}: {signature.sign(services.SECRET, now, body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(port: int, requests: list[bytes], load: Load) -> None:
    """One connection, one request after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for one in requests:
        began = time.perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(length)
        load.seconds.append(time.perf_counter() - began)
        load.good.append(head.startswith(b"HTTP/1.1 200"))
    writer.close()


async def run(port: int, first: int, count: int, connections: int) -> tuple[Load, float]:
    """The load over several connections, and the seconds it took."""
    share = count // connections
    plans = [[request(first + c * share + i) for i in range(share)] for c in range(connections)]
    loads = [Load([], []) for _ in plans]
    began = time.perf_counter()
    await asyncio.gather(*(send(port, plan, load) for plan, load in zip(plans, loads, strict=True)))
    took = time.perf_counter() - began
    return Load([s for load in loads for s in load.seconds], [g for load in loads for g in load.good]), took


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    here, there = {cpus[0]}, {cpus[-1]}
    os.sched_setaffinity(0, here)
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder), here) as redis_url,
        services.receiver(redis_url, there) as port,
    ):
        warm, _ = asyncio.run(run(port, 1, 500, args.connections))  # connections, imports, caches
        load, took = asyncio.run(run(port, 1_000_000, args.requests, args.connections))
        queued = Redis.from_url(redis_url).llen(TICKETS_QUEUE)
    sent = len(load.seconds)
    missing = len(warm.good) + sent - int(queued)
    figures = {
        "requests_per_s": round(sent / took, 1),
        "p50_ms": round(percentile(load.seconds, 0.50) * 1000, 2),
        "p99_ms": round(percentile(load.seconds, 0.99) * 1000, 2),
        "errors": load.good.count(False) + abs(missing),
    }
    print(json.dumps(figures) if args.json else "\n".join(f"{key:15} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
