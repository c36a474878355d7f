"""From a file of tickets to a data set and the report of how it was made."""

from __future__ import annotations

import time
from pathlib import Path

from model_export.dataset.arrays import assemble
from model_export.dataset.options import Options
from model_export.dataset.report import Report, Rule, count_supports, find_period
from model_export.dataset.rows import Dataset
from model_export.dataset.rules import apply_label_rules, make_rows
from model_export.dataset.selecting import select
from model_export.dataset.tickets import read_tickets


def build(path: Path, options: Options | None = None) -> tuple[Dataset, Report]:
    """Read a file and apply the rules; progress goes to stderr.

    Args:
        path: CSV, JSON Lines or Parquet; see ``reading``.
        options: columns and rules; None takes the defaults.

    Raises:
        DataError: no model can be made from the file; the message says why and what to do.
    """
    started = time.monotonic()
    options = options or Options()
    file = read_tickets(path, options)
    tickets, label_rules, unknown = apply_label_rules(file.tickets, options)
    rows, text_rules = make_rows(tickets, options)
    selection = select(rows, options)
    labels = sorted({label for part in selection.parts.values() for row in part for label in row.labels})
    dataset = assemble(selection.parts, labels, options.names, file.task)
    splits = (dataset.train, dataset.calibration, dataset.test)
    report = Report(
        source=str(path),
        task=file.task,
        read=len(file.tickets) + file.malformed,
        rules=(Rule("malformed", file.malformed), *label_rules, *text_rules, *selection.rules),
        problems=tuple(file.problems),
        unknown_labels=unknown,
        not_enough=selection.not_enough,
        min_support=options.min_support,
        kept=tuple(len(split.texts) for split in splits),
        supports=count_supports(dataset),
        periods=tuple(find_period(split) for split in splits) if options.columns.created_at else (),
        fingerprint=dataset.fingerprint,
        seconds=time.monotonic() - started,
    )
    return dataset, report
