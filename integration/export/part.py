"""``FILE.part``: what was read so far, so that an export that was interrupted goes on where it stopped.

An SQLite file of one row a ticket, in its newest state, and of Zendesk's cursor. A page and the cursor behind it are
one transaction, so that no end of the process, however sudden, loses a ticket or repeats one; and a million tickets
need no memory. Of tickets that are left out it keeps the reason, not the text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from integration.zendesk.client import Value

SCHEMA = """
    CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT);
    CREATE TABLE IF NOT EXISTS ticket (
        id INTEGER PRIMARY KEY, left_out TEXT,
        created_at REAL, subject TEXT, description TEXT, label TEXT, predicted TEXT, label_by TEXT);
    CREATE INDEX IF NOT EXISTS undecided ON ticket (id) WHERE left_out IS NULL AND label_by IS NULL;
"""
UNDECIDED = "FROM ticket WHERE left_out IS NULL AND label_by IS NULL"


class PartError(Exception):
    """The file cannot be used; the message says why, and what to do."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket.

    Attributes:
        left_out: why no model should learn from it; then the rest stays empty.
        created_at: Unix seconds; None when Zendesk does not say.
        predicted: what Presort had said; None when it had said nothing, or has no field to say it in.
        label_by: who set the label (``zendesk.history.Setter``): "presort" when its own write is what stands; empty
            when it cannot have been, and so nobody asked; None while that is to be asked.
    """

    id: int
    left_out: str | None = None
    created_at: float | None = None
    subject: str = ""
    description: str = ""
    label: Value | None = None
    predicted: Value | None = None
    label_by: str | None = None


class Totals(NamedTuple):
    """What the file holds.

    Attributes:
        rows: tickets to learn from.
        by_bot: those of them whose label Presort wrote.
        labels: label to its tickets, most frequent first.
        left_out: reason to the tickets left out for it, most frequent first.
    """

    rows: int
    by_bot: int
    labels: dict[str, int]
    left_out: dict[str, int]


class Part:
    """An open file; see ``opened``."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Connected, with its tables, committing each statement by itself."""
        self._database = database

    @property
    def cursor(self) -> str | None:
        """Where Zendesk's export goes on; None before the first page."""
        found = self._database.execute("SELECT value FROM state WHERE name = 'cursor'").fetchone()
        return None if found is None else str(found[0])

    def add(self, rows: Iterable[Row], cursor: str) -> None:
        """Keep a page and where the next one begins. A ticket that comes again has changed: it replaces what was."""
        values = (
            (
                *(one.id, one.left_out, one.created_at, one.subject, one.description),
                *(_encoded(one.label), _encoded(one.predicted), one.label_by),
            )
            for one in rows
        )
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO ticket VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            self._database.execute("INSERT OR REPLACE INTO state VALUES ('cursor', ?)", (cursor,))

    def undecided(self) -> int:
        """How many tickets have a label that may be Presort's."""
        return int(self._database.execute(f"SELECT count(*) {UNDECIDED}").fetchone()[0])

    def next_undecided(self) -> int | None:
        """The id of one of them."""
        found = self._database.execute(f"SELECT id {UNDECIDED} LIMIT 1").fetchone()
        return None if found is None else int(found[0])

    def decide(self, ticket_id: int, *, label_by: str) -> None:
        """Note whose its label is."""
        self._database.execute("UPDATE ticket SET label_by = ? WHERE id = ?", (label_by, ticket_id))

    def rows(self) -> Iterator[Row]:
        """The tickets to learn from, in the order of their ids."""
        for ticket_id, created_at, subject, description, label, predicted, label_by in self._database.execute(
            "SELECT id, created_at, subject, description, label, predicted, label_by FROM ticket "
            "WHERE left_out IS NULL ORDER BY id"
        ):
            yield Row(
                id=ticket_id,
                created_at=created_at,
                subject=subject,
                description=description,
                label=msgspec.json.decode(label, type=Value),
                predicted=msgspec.json.decode(predicted, type=Value | None),
                label_by=label_by,
            )

    def totals(self) -> Totals:
        """Count everything."""
        rows, by_bot = self._database.execute(
            "SELECT count(*), count(*) FILTER (WHERE label_by = 'presort') FROM ticket WHERE left_out IS NULL"
        ).fetchone()
        labels = self._database.execute(
            "SELECT value, count(*) FROM ticket, json_each(label) WHERE left_out IS NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        left_out = self._database.execute(
            "SELECT left_out, count(*) FROM ticket WHERE left_out IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return Totals(rows, by_bot, dict(labels), dict(left_out))


@contextmanager
def opened(path: Path, asked: str) -> Iterator[Part]:
    """Open the file of a run or make it; only its owner may read it, and only one run at a time.

    Args:
        path: ``FILE.part``.
        asked: account, field and period: another run's tickets must not be mixed in.

    Raises:
        PartError: it is another run's, no such file, in use, or the disk is full. Also while it is used.
    """
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise PartError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as database:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.executescript(SCHEMA)
            database.execute("INSERT OR IGNORE INTO state VALUES ('asked', ?)", (asked,))
            (before,) = database.execute("SELECT value FROM state WHERE name = 'asked'").fetchone()
            if before != asked:
                raise PartError(
                    f"{path} holds what was read so far of {before}, not of {asked}: "
                    "ask for the same again, or remove that file to start anew"
                )
            yield Part(database)
    except sqlite3.OperationalError as error:
        cure = "is another `presort tickets` at it?" if "locked" in str(error) else "what was read so far is kept"
        raise PartError(f"{path}: {error}; {cure}") from error
    except sqlite3.DatabaseError as error:
        raise PartError(f"{path}: {error}; remove it to start anew") from error


def _encoded(label: Value | None) -> str:
    return msgspec.json.encode(label).decode()
