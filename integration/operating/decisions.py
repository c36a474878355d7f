"""``presort decisions``: what was decided, why, and what became of it. Never ticket text."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import click
import msgspec

from integration.commands import Utc, connected
from integration.stream import Ended, begins, read

TIME = Utc(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])

COLUMNS = (
    *("ended_at", "ticket_id", "classifier", "outcome", "outcome_reason", "action", "reason", "category", "answers"),
    *("confidence", "threshold", "top", "model", "version", "language", "before", "backfill", "decision"),
    *("created_at", "received_at", "decided_at"),
)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins one (OWASP, "CSV Injection"): labels and model names are whatever somebody called them."""


def row(ended: Ended) -> dict[str, Any]:
    """A decision under ``COLUMNS``; times as ISO 8601 in UTC."""
    record, one = ended.record, ended.record.decision
    model, _, version = one.model.partition("@")
    values = {
        **msgspec.structs.asdict(one),
        "ended_at": _iso(ended.at),
        "outcome": record.outcome,
        "outcome_reason": record.reason,
        "answers": list(one.answers),
        "top": [list(pair) for pair in one.top],
        "model": model,
        "version": version,
        "decision": one.id,
        "created_at": _iso(one.created_at),
        "received_at": _iso(one.received_at),
        "decided_at": _iso(one.decided_at),
    }
    return {name: values[name] for name in COLUMNS}


def write(rows: Iterable[dict[str, Any]], form: Literal["csv", "jsonl"], file: TextIO) -> int:
    """Write them as CSV, lists and objects in it as JSON, or as a JSON object a line; returns how many there were."""
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n") if form == "csv" else None
    if table:
        table.writeheader()
    count = 0
    for count, one in enumerate(rows, 1):  # noqa: B007 - the last number is the answer
        if table:
            table.writerow({name: _cell(value) for name, value in one.items()})
        else:
            file.write(msgspec.json.encode(one).decode() + "\n")
    return count


@click.command()
@click.option("--since", type=TIME, required=True, help="Those that ended on this day (UTC) or later.")
@click.option("--until", type=TIME, help="Those that ended before this day (UTC).")
@click.option("--csv", "form", flag_value="csv", default="csv", help="With a header line; the default.")
@click.option("--jsonl", "form", flag_value="jsonl", help="A JSON object a line.")
def decisions(*, since: datetime, until: datetime | None, form: Literal["csv", "jsonl"]) -> None:
    """Write the decisions that ended, with model, probabilities, reason and outcome, to standard output.

    Kept are the newest 100,000 of the last 40 days: a busy account exports them every day. A decision that was parked
    and sent again has a line for each end. Days and times are UTC's; there is no ticket text.

    Example: presort decisions --since 2026-11-01 --until 2026-12-01 --csv
    """
    start, end = since.timestamp(), until.timestamp() if until else None
    with connected() as (_, store):
        oldest = begins(store.redis)
        count = write(map(row, read(store.redis, start, end)), form, sys.stdout)
    kept = "" if oldest is None or oldest <= start else f"; the oldest that is kept ended at {_iso(oldest)}"
    click.echo(f"{count:,} decisions{kept}", err=True)


def _cell(value: object) -> object:
    """Lists and objects as JSON; a text that a spreadsheet would take for a formula, behind an apostrophe."""
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
