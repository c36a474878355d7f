"""History from Zendesk's export: the same tickets under the same labels as the counts that the live watch rebuilds."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from integration.settings import Classifier
from integration.zendesk.client import Ticket
from integration.zendesk.patience import Patience
from worker.answers import labels_of
from worker.backtest.csv_file import COLUMNS
from worker.backtest.history import History, gathered
from worker.parts import Parts
from worker.planning import SEPARATOR
from worker.reconcile import PAGE
from worker.recounting import EVERY_S
from worker.unwanted import is_unwanted

Filed = dict[int, tuple[float, tuple[str, ...]]]


def read(
    parts: Parts,
    classifier: Classifier,
    since: float,
    until: float,
    *,
    progress: Callable[[float, int], None],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Filed:
    """When each ticket was filed, and its labels, by its id; those without a label too.

    A ticket that was filed in the period cannot have changed before it, so the export is read from ``since`` on: half
    of the requests a minute that Zendesk allows, the workers need the others.

    Args:
        parts: settings, client and model.
        classifier: whose labels.
        since: only tickets filed then or later, Unix seconds.
        until: only tickets filed before.
        progress: is told after each page which part of the time has been read, and how many tickets.
        say: tells the person why nothing happens.
        sleep: waits so many seconds.

    Raises:
        ZendeskError: it is permanent, there is no access, or it failed too often in a row.
    """
    labels = parts.predictors[classifier.name].manifest.labels
    own, began, filed = parts.own_user_id, parts.clock(), Filed()
    place: str | int = int(since)
    while True:
        page = Patience(say, sleep).ask(partial(parts.exporting.export, place, per_page=PAGE))
        for one in page.tickets:
            filed.pop(one.id, None)  # it has changed since it was read
            if _counts(parts, one, own) and since <= (one.created_at or 0.0) < until:
                filed[one.id] = (one.created_at or 0.0, labels_of(one, classifier, labels))
        changed = [one.updated_at for one in page.tickets if one.updated_at is not None]
        if changed:
            progress((changed[-1] - since) / max(began - since, 1.0), len(page.tickets))
        if page.last:
            return filed
        place = page.cursor
        sleep(EVERY_S)


def counted(parts: Parts, classifier: Classifier, filed: Filed) -> History:
    """What was read as history.

    Raises:
        HistoryError: no ticket has a label of the model's.
    """
    labels = parts.predictors[classifier.name].manifest.labels
    return gathered(labels, filed.values(), f"Zendesk's field {classifier.field_id} ({classifier.name})")


def keep(filed: Filed, path: Path) -> None:
    """Write what was read as a file that ``--csv`` reads; it holds times and categories, and no word of a ticket."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for at, labels in sorted(filed.values()):
            writer.writerow([datetime.fromtimestamp(at, UTC).isoformat(), SEPARATOR.join(labels)])


def _counts(parts: Parts, ticket: Ticket, own: int) -> bool:
    return ticket.submitter_id != own and not is_unwanted(parts, ticket)
