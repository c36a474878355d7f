"""Redis memory for each ticket: ``python -m benchmarks.memory --json``."""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from demo import tickets
from demo.processes import redis_server
from integration import inbox, messages
from integration.controls import Controls
from integration.messages import Decision, NewTicket
from integration.settings import Zendesk
from integration.store import Store

TICKETS = 20_000


def main() -> None:
    """Print bytes a ticket: queued, marked as delivered, finished, in the stream of decisions, under a day's cap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        store = Store(url)
        rng = random.Random(1)

        def used() -> int:
            return int(store.redis.info("memory")["used_memory"])

        start, characters = used(), 0
        for number in range(TICKETS):
            text = tickets.generate(rng, rng.choice(tickets.CATEGORIES).value)
            characters += len(text.subject) + len(text.description)
            message = NewTicket(
                ticket_id=10_000_000 + number,
                received_at=time.time(),
                text_known=True,
                subject=text.subject,
                description=text.description,
                created_at=time.time(),
                channel="email",
                actor_id=8447388090494,
            )
            delivery_id = f"cbe4028c-7239-495d-b020-{number:012}"
            inbox.put(store.redis, messages.CLASSIFY, message, delivery_id, ["category"])
        both = used() - start
        store.redis.delete(messages.TICKETS_QUEUE)
        marked = used() - start
        queued = both - marked
        start = used()
        for number in range(TICKETS):
            decision = _decision(10_000_000 + number)
            store.record([decision], tick_s=60)
            store.finish([(decision, "filled", "confident")])
        streamed = int(store.redis.memory_usage("presort:decisions", samples=0) or 0)
        recorded = used() - start - streamed
        start = used()
        capped = Zendesk(subdomain="acme", client_id="presort", writes_per_day=TICKETS)
        controls = Controls(store.redis)
        for number in range(TICKETS):
            controls.admit([10_000_000 + number], capped, time.time())
        counted = used() - start
    figures = {
        "tickets": TICKETS,
        "mean_text_chars": round(characters / TICKETS),
        "queued_bytes": round(queued / TICKETS),
        "delivery_mark_bytes": round(marked / TICKETS),
        "record_bytes": round(recorded / TICKETS),
        "stream_bytes": round(streamed / TICKETS),
        "cap_bytes": round(counted / TICKETS),
    }
    print(json.dumps(figures) if args.json else "\n".join(f"{key:20} {value}" for key, value in figures.items()))


def _decision(ticket_id: int) -> Decision:
    return Decision(
        id="d" * 32,
        ticket_id=ticket_id,
        classifier="category",
        action="fill",
        reason="confident",
        category="delivery_delay",
        confidence=0.9412,
        top=(("delivery_delay", 0.9412), ("refund_request", 0.0213), ("damaged_item", 0.0112)),
        threshold=0.8,
        model="demo@20261124T072852Z",
        created_at=time.time(),
        received_at=time.time(),
        decided_at=time.time(),
        before={str(360000000101 + place): None for place in range(4)},
    )


if __name__ == "__main__":
    main()
