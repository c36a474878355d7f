"""Plays a file of old tickets against a running simulator, in their own rhythm or faster.

``presort simulate --replay tickets.csv.xz --speed 600``
"""

from __future__ import annotations

import csv
import gzip
import lzma
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TextIO

import click
import requests

from integration.simulator.wire import seconds

BATCH = 500
"""Tickets in one request when the replay is behind, or in no rhythm at all."""
SHOWN_PROBLEMS = 5
COLUMNS = {
    "time": ("created_at", "created", "time", "timestamp", "date"),
    "subject": ("subject", "title"),
    "text": ("description", "text", "body"),
}
"""Header names that are tried, in order, for what no option names."""


class ReplayError(Exception):
    """The replay cannot start; the message says what to change."""


class OldTicket(NamedTuple):
    """A row worth playing; ``at`` in Unix seconds."""

    at: float
    subject: str
    text: str


@dataclass
class Problems:
    """Rows that were left out; the first row after the header has the number 1."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, row: int, reason: str) -> None:
        """Count a row, and keep the reason of the first few."""
        self.count += 1
        if len(self.first) < SHOWN_PROBLEMS:
            self.first.append(f"row {row}: {reason}")


class Outcome(NamedTuple):
    """What a replay did."""

    created: int
    failed: int
    seconds: float


def parse_time(text: str) -> float:
    """Unix seconds of an ISO 8601 time, of one with a space before its offset, or of a plain number; UTC by default.

    Raises:
        ValueError: it is none of them.
    """
    text = text.strip()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return float(text)
    return seconds(re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", text))


def read_tickets(
    path: Path, names: dict[str, str | None], wanted: Callable[[float], bool], problems: Problems
) -> list[OldTicket]:
    """The tickets of a CSV file, oldest first; all of them in memory, to know how many are left.

    Args:
        path: plain, or compressed as its suffix ``.gz`` or ``.xz`` says.
        names: header names for ``time``, ``subject`` and ``text``; None tries the usual ones.
        wanted: whether to play a ticket of that Unix time.
        problems: takes the malformed rows.

    Raises:
        ReplayError: the file cannot be read, or a column is not in its header.
    """
    csv.field_size_limit(16 * 1024 * 1024)
    try:
        return _read(path, names, wanted, problems)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ReplayError(f"{path} cannot be read: {error}: does it exist, whole, and is its ending right?") from error


def _read(
    path: Path, names: dict[str, str | None], wanted: Callable[[float], bool], problems: Problems
) -> list[OldTicket]:
    tickets = []
    with _open(path) as file:
        reader = csv.reader(file)
        columns = _columns(next(reader, []), names)
        for number, row in _rows(reader, problems):
            try:
                at, subject, text = (row[columns[name]] for name in ("time", "subject", "text"))
                when = parse_time(at)
            except IndexError:
                problems.add(number, f"has only {len(row)} columns")
            except ValueError:
                problems.add(number, f"{at[:40]!r} is not a time")
            else:
                if not (text.strip() or subject.strip()):
                    problems.add(number, "has no text")
                elif wanted(when):
                    tickets.append(OldTicket(when, subject.strip(), text.strip() or subject.strip()))
    return sorted(tickets, key=lambda ticket: ticket.at)


def play(
    tickets: Sequence[OldTicket],
    send: Callable[[Sequence[OldTicket]], None],
    *,
    speed: float,
    progress: Callable[[int, int], None],
) -> Outcome:
    """Send each ticket when its time has come, several at once when behind.

    Args:
        tickets: oldest first.
        send: takes up to ``BATCH`` tickets; a ``requests.RequestException`` makes them failed ones.
        speed: how many seconds of the file pass in one; 0 sends as fast as the simulator takes them.
        progress: told, after each request, its number of tickets and that of all so far.
    """
    started, done, failed = time.monotonic(), 0, 0
    while done < len(tickets):
        played = (time.monotonic() - started) * speed
        end = done
        while end < min(len(tickets), done + BATCH) and (not speed or tickets[end].at - tickets[0].at <= played):
            end += 1
        if end == done:
            time.sleep(min(1.0, (tickets[done].at - tickets[0].at - played) / speed))
            continue
        try:
            send(tickets[done:end])
        except requests.RequestException:
            failed += end - done
        progress(end - done, end)
        done = end
    return Outcome(done - failed, failed, time.monotonic() - started)


def sender(session: requests.Session, url: str, channel: str) -> Callable[[Sequence[OldTicket]], None]:
    """Creates tickets at the simulator with the base URL ``url``."""

    def send(tickets: Sequence[OldTicket]) -> None:
        rows = [{"subject": one.subject, "description": one.text, "channel": channel} for one in tickets]
        session.post(f"{url.rstrip('/')}/simulator/tickets", json={"tickets": rows}, timeout=60).raise_for_status()

    return send


def replay(
    path: Path,
    url: str,
    *,
    speed: float = 1.0,
    period: tuple[str | None, str | None, str | None] = (None, None, None),
    channel: str = "web",
    columns: dict[str, str | None] | None = None,
) -> None:
    """Play a file against the simulator at ``url`` with a progress bar, and print what came of it.

    Args:
        path: CSV, plain or compressed.
        url: the running simulator.
        speed: see ``play``.
        period: first time, last time and day to play, each ISO 8601 or None.
        channel: the tickets' via.channel.
        columns: header names for ``time``, ``subject`` and ``text``; what is left out is looked for.

    Raises:
        ReplayError: the file, the period or the simulator is not what it must be; the message names the cure.
    """
    problems = Problems()
    first, last = _period(*period)
    names = {name: (columns or {}).get(name) for name in COLUMNS}
    try:
        tickets = read_tickets(path, names, lambda at: first <= at < last, problems)
        with requests.Session() as session:
            session.get(f"{url.rstrip('/')}/simulator/summary", timeout=10).raise_for_status()
            begun = time.monotonic()

            def rate(done: int | None) -> str | None:
                return f"{done / (time.monotonic() - begun):.0f}/s" if done else None

            with click.progressbar(length=len(tickets), label="tickets", show_pos=True, item_show_func=rate) as bar:
                outcome = play(tickets, sender(session, url, channel), speed=speed, progress=bar.update)
    except requests.RequestException as error:
        raise ReplayError(
            f"no simulator answers at {url}: start one with `presort simulate` or `make demo KEEP=1`"
        ) from error
    click.echo(f"{outcome.created} tickets in {outcome.seconds:.1f} s, {outcome.failed} not accepted by the simulator")
    if problems.count:
        click.echo(f"{problems.count} malformed rows left out: {'; '.join(problems.first)}")


def _period(start: str | None, end: str | None, day: str | None) -> tuple[float, float]:
    """First and last Unix time of the tickets to play."""
    try:
        first = parse_time(start) if start else float("-inf")
        last = parse_time(end) if end else float("inf")
        if day:
            midnight = parse_time(day)
            first, last = max(first, midnight), min(last, midnight + timedelta(days=1).total_seconds())
    except ValueError as error:
        raise ReplayError(f"--from, --to and --day take ISO 8601 times: {error}") from None
    return first, last


def _open(path: Path) -> TextIO:
    """Bytes that are no UTF-8 become replacement characters: one broken letter is no reason to lose a ticket."""
    match path.suffix:
        case ".xz":
            return lzma.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
        case ".gz":
            return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
        case _:
            return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _columns(header: Sequence[str], names: dict[str, str | None]) -> dict[str, int]:
    columns = {}
    for what, name in names.items():
        tried = (name,) if name else COLUMNS[what]
        found = next((one for one in tried if one in header), None)
        if found is None:
            raise ReplayError(
                f"no column {' or '.join(tried)} in the header ({', '.join(header)}): name it with --{what}-column"
            )
        columns[what] = header.index(found)
    return columns


def _rows(reader: Iterator[list[str]], problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers; one that is no CSV is counted and the next one read."""
    number = 0
    while True:
        number += 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(number, str(error))
            continue
        if row:
            yield number, row
