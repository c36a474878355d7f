"""``make demo``: plays the scenario against the whole product on this machine and shows what came of it.

Ends with status 0 only if every ticket got its decision and the alert fired and resolved.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from demo import history
from demo.processes import ProcessError
from demo.scenario import SECONDS, Arrival, arrivals
from demo.stage import CLASSIFIER, PASSWORD, WORKERS, Stage, call, stage
from integration import alerting
from integration.embedded_redis import NoRedisError
from integration.records import Record
from integration.store import Store

PATIENCE_S = 15
"""For the last tickets and the alert's end, after the last arrival."""


def main() -> None:
    """Play, summarise, judge."""
    folder = Path("var/demo") / time.strftime("%Y%m%d-%H%M%S")
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    try:
        with stage(folder) as running:
            click.echo(f"Watch it: {running.zendesk_url}/  (logs: {folder}, SEED={seed})")
            click.echo(f"The admin's console: {running.console_url}/  (any name, password {PASSWORD})")
            click.echo(f"What is usual, alerts know from {history.WEEKS} made-up weeks; a minute passes in a second.\n")
            filed = _play(running, seed)
            complaints = _summarise(running, filed)
            click.echo(f"\n  To watch it yourself: make demo KEEP=1, then open {running.zendesk_url}/")
            if os.environ.get("KEEP"):
                click.echo(f"\nKept running: {running.zendesk_url}/ - write a ticket of your own. Ctrl-C ends it.")
                threading.Event().wait()
    except (ProcessError, NoRedisError) as error:
        sys.exit(f"make demo: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    if complaints:
        sys.exit("\nFAILED: " + "; ".join(complaints))


def _play(running: Stage, seed: int) -> dict[int, Arrival]:
    """File the tickets in real time, then wait until everything is decided and the alert is over."""
    store = Store(running.redis_url)
    _until(lambda: len(store.workers()) >= WORKERS, 30)
    # Webhooks come twice now and then; nobody should notice.
    call(f"{running.zendesk_url}/simulator/faults", {"duplicate": 0.05})
    filed: dict[int, Arrival] = {}
    began = time.monotonic()
    shown = _Progress(running, store, began)
    for arrival in arrivals(seed):
        while (wait := began + arrival.at - time.monotonic()) > 0:
            time.sleep(min(wait, 0.2))
            shown.update(len(filed))
        ticket = {
            "subject": arrival.ticket.subject,
            "description": arrival.ticket.description,
            "channel": "email",
            "fields": {"Category": arrival.set_by_person} if arrival.set_by_person else {},
        }
        filed[call(f"{running.zendesk_url}/simulator/tickets", ticket)["id"]] = arrival

    def settled() -> bool:
        shown.update(len(filed))
        done = sum(store.funnel().get(step, 0) for step in ("filled", "suggested", "left_alone", "parked"))
        return done >= len(filed) and not any(one.state == "firing" for one in alerting.active(store.redis))

    _until(settled, PATIENCE_S)
    shown.finish()
    return filed


class _Progress:
    """One line, rewritten on a terminal, printed every five seconds elsewhere; alerts as they come."""

    def __init__(self, running: Stage, store: Store, began: float) -> None:
        self._running, self._store, self._began = running, store, began
        self._alerts = 0
        self._next = 0.0
        self._every = 0.5 if sys.stdout.isatty() else 5.0

    def update(self, filed: int) -> None:
        for alert in self._running.alerts[self._alerts :]:
            self._alerts += 1
            colour = "green" if alert["type"] == "success" else "yellow"
            click.echo(f"\r{'':100}\r" if sys.stdout.isatty() else "", nl=False)
            click.secho(f"  {self._seconds():4.0f} s  {alert['title']}", fg=colour, bold=True)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        funnel, depths = self._store.funnel(), self._store.depths()
        waiting = depths["tickets"] + depths["writes"] + depths["unacknowledged"] + depths["deferred"]
        line = (
            f"  {self._seconds():4.0f} s of {SECONDS:.0f}  filed {filed:3}  filled {funnel.get('filled', 0):3}  "
            f"suggested {funnel.get('suggested', 0):3}  left alone {funnel.get('left_alone', 0):3}  "
            f"messages waiting {waiting:3}"
        )
        click.echo(f"\r{line}" if sys.stdout.isatty() else line, nl=not sys.stdout.isatty())

    def finish(self) -> None:
        """Leave the line standing."""
        if sys.stdout.isatty():
            click.echo()

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _summarise(running: Stage, filed: dict[int, Arrival]) -> list[str]:
    """Print what happened; returns what went wrong."""
    store = Store(running.redis_url)
    records = {ticket_id: store.ticket(ticket_id, CLASSIFIER) for ticket_id in filed}
    finished = {ticket_id: record for ticket_id, record in records.items() if record and record.outcome}
    seen = call(f"{running.zendesk_url}/simulator/summary")
    outcomes = Counter(record.outcome for record in finished.values())
    left = Counter(record.reason for record in finished.values() if record.outcome == "left_alone")
    right = [filed[key].ticket.category == one.decision.category for key, one in finished.items() if _filled(one)]
    updates = sum(count for route, count in seen["requests"].items() if route.startswith("PUT "))
    click.secho("\n  What happened", bold=True)
    rows = [
        ("tickets filed", f"{len(filed)}, in phrasings the model never saw"),
        ("decided", _of(len(finished), len(filed))),
        ("category filled", f"{_of(outcomes['filled'], len(filed))}, right {_of(sum(right), len(right))}"),
        ("suggested", f"{_of(outcomes['suggested'], len(filed))}, too unsure to fill"),
        ("left alone", f"{outcomes['left_alone']}" + "".join(f", {n} {_words(reason)}" for reason, n in left.items())),
        ("webhook to field", f"p50 {seen['latency_s']['p50'] or 0:.2f} s, p99 {seen['latency_s']['p99'] or 0:.2f} s"),
        ("updates sent", f"{updates} requests for {seen['updates']} tickets (Zendesk allows 100 a minute)"),
    ]
    for name, value in rows:
        click.echo(f"  {name:18} {value}")
    fired = [alert for alert in running.alerts if alert["title"].startswith("Spike")]
    resolved = [alert for alert in running.alerts if alert["type"] == "success"]
    for alert in fired[:1]:
        click.secho("\n  The alert", bold=True)
        click.echo("  " + f"{alert['title']}\n{alert['message']}".replace("\n", "\n  "))
    for alert in resolved[:1]:
        click.echo(f"  {alert['title']}. {alert['message'].splitlines()[2]}")
    complaints = []
    if len(finished) < len(filed):
        complaints.append(f"{len(filed) - len(finished)} tickets got no decision")
    if outcomes["parked"]:
        complaints.append(f"{outcomes['parked']} tickets were parked")
    if len(fired) != 1 or len(resolved) != 1:
        complaints.append(f"{len(fired)} alerts fired and {len(resolved)} resolved, one of each was due")
    return complaints


def _filled(record: Record) -> bool:
    return record.outcome == "filled"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / max(whole, 1):.1%})"


def _words(reason: str | None) -> str:
    return {"person_set_it": "a person had set", "no_text": "without text"}.get(reason or "", str(reason))


def _until(met: Callable[[], bool], seconds: float) -> None:
    """Wait for it, not for ever: whoever judges sees what is missing."""
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
