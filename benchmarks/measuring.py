"""What measuring, logging and (not) tracing cost a worker for each ticket: ``python -m benchmarks.measuring``."""

from __future__ import annotations

import logging
import logging.config
import os
import sys
import time
import timeit
from collections.abc import Callable
from typing import get_args

from integration import logs, tracing
from integration.measures import DECIDED, DECIDED_SECONDS, OUTCOMES, WRITTEN_SECONDS, Tally
from integration.messages import Decision

TICKETS = 20_000


def main() -> None:
    """Print microseconds a ticket."""
    one = Decision(
        id="0" * 32,
        ticket_id=4711,
        classifier="category",
        action="fill",
        reason="confident",
        category="refund",
        model="support@1",
        created_at=0,
        received_at=time.time(),
        decided_at=time.time(),
    )
    tally = Tally()

    def measure() -> None:
        tally.count(DECIDED, one.classifier, one.category or "", one.action)
        tally.observe(DECIDED_SECONDS, one.decided_at - one.received_at, one.classifier)
        tally.count(OUTCOMES, one.classifier, "filled")
        tally.observe(WRITTEN_SECONDS, 0.4, one.classifier)

    def trace() -> None:
        for name in ("queue", "classify", "single update", "filled"):
            tracing.note(name, one.trace, 0, 1, ticket=one.ticket_id)

    log = logging.getLogger("presort.writing")

    def write() -> None:
        about = logs.of(one)
        log.info("decided", extra=about | {"action": one.action, "reason": one.reason, "model": one.model})
        log.info("sent", extra=about)
        log.info("filled", extra=about | {"outcome": "filled", "reason": one.reason, "after_s": 0.412})

    print(f"{'a ticket':38}  µs of CPU")
    _show("four measurements", measure)
    _show("four spans, while nothing is traced", trace)
    for form in get_args(logs.Format):
        document = logs.document(form)
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - no path but a device
            document["handlers"]["stderr"]["stream"] = nowhere
            logging.config.dictConfig(document)
            _show(f"three lines of a log, {form}", write)
    print(f"Python {sys.version.split()[0]}, {TICKETS:,} tickets, best of 5")


def _show(what: str, work: Callable[[], None]) -> None:
    best = min(timeit.repeat(work, timer=time.process_time, number=TICKETS, repeat=5)) / TICKETS
    print(f"{what:38}  {best * 1e6:.1f}")


if __name__ == "__main__":
    main()
