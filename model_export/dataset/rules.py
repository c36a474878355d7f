"""The rules for single rows, in their order, and the errors when one of them leaves nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence, Sized
from typing import TypeVar

import click
import msgspec

from model_export.bundle.text import prepare_text
from model_export.dataset.options import Options
from model_export.dataset.report import Rule
from model_export.dataset.rows import DataError, Row
from model_export.dataset.tickets import Ticket

SHOWN = 5

Labelled = TypeVar("Labelled", Ticket, Row)
Kept = TypeVar("Kept", bound=Sized)


def apply_label_rules(tickets: list[Ticket], options: Options) -> tuple[list[Ticket], list[Rule], dict[str, int]]:
    """Tickets in their newest state whose labels the field offers today.

    Returns:
        The tickets; what each rule took; the labels that are not offered, with the rows that had them.

    Raises:
        DataError: none is left.
    """
    rules: list[Rule] = []
    if options.columns.ticket_id:
        # An export that goes on has a ticket that changed once more, further down.
        tickets = _took(rules, "older state of a ticket", tickets, [*{one.ticket_id: one for one in tickets}.values()])
    tickets = _took(rules, "no label", tickets, [ticket for ticket in tickets if ticket.labels])
    if not tickets:
        raise DataError(
            f"column {options.columns.label!r} is empty in every row: name another with --column label=NAME"
        )
    renamed = _rename(tickets, options.aliases)
    changed = sum(new.labels != old.labels for new, old in zip(renamed, tickets, strict=True))
    rules.append(Rule("label renamed or merged (kept)", changed, keeps=True))

    counts = Counter(label for ticket in renamed for label in ticket.labels)
    offered = set(counts if options.allowed is None else options.allowed)
    unknown = {label: rows for label, rows in counts.most_common() if label not in offered}
    stripped = [without_labels(ticket, unknown) for ticket in renamed]
    tickets = _took(rules, "label not offered by the field", renamed, [ticket for ticket in stripped if ticket.labels])
    if not tickets:
        raise DataError(
            f"the field offers none of the labels in the file: {_some(unknown)} there, {_some(offered)} allowed. "
            "Give the file's labels or the allowed ones as the field's values, or rename them with --aliases"
        )
    return tickets, rules, unknown


def make_rows(tickets: list[Ticket], options: Options) -> tuple[list[Row], list[Rule]]:
    """Prepared texts, each as much believed as whoever wrote its label.

    Returns:
        The rows; what each rule took.

    Raises:
        DataError: none is left.
    """
    rules: list[Rule] = []
    by_bot = "label written by Presort"
    if options.bot_weight:
        rules.append(
            Rule(f"{by_bot} (kept, weight {options.bot_weight:g})", sum(t.by_bot for t in tickets), keeps=True)
        )
    else:
        tickets = _took(rules, by_bot, tickets, [ticket for ticket in tickets if not ticket.by_bot])
        if not tickets:
            raise DataError("Presort wrote every label itself, people none: there is nothing to learn from yet")
    with click.progressbar(tickets, label="preparing texts", file=sys.stderr) as bar:
        rows = [
            Row(
                ticket_id=ticket.ticket_id,
                created_at=ticket.created_at,
                text=prepare_text(ticket.subject, ticket.description),
                labels=ticket.labels,
                weight=options.bot_weight if ticket.by_bot else 1.0,
            )
            for ticket in bar
        ]
    rows = _took(rules, "no text", tickets, [row for row in rows if row.text])
    if not rows:
        raise DataError(
            f"column {options.columns.description!r} has no text in any row: "
            "name another with --column description=NAME"
        )
    return rows, rules


def without_labels(row: Labelled, labels: Container[str]) -> Labelled:
    """The same row without these labels, perhaps without any."""
    kept = tuple(label for label in row.labels if label not in labels)
    return row if len(kept) == len(row.labels) else msgspec.structs.replace(row, labels=kept)


def _rename(tickets: Sequence[Ticket], aliases: Mapping[str, str]) -> list[Ticket]:
    return [
        msgspec.structs.replace(ticket, labels=tuple(sorted({aliases.get(label, label) for label in ticket.labels})))
        for ticket in tickets
    ]


def _took(rules: list[Rule], name: str, before: Sized, after: Kept) -> Kept:
    rules.append(Rule(name, len(before) - len(after)))
    return after


def _some(labels: Iterable[str]) -> str:
    first = sorted(labels)[: SHOWN + 1]
    return ", ".join(map(repr, first[:SHOWN])) + (", ..." if len(first) > SHOWN else "")
