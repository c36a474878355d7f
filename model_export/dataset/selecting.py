"""Which rows are kept, and in which part, once the rules for single rows are done."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

import click
import numpy as np

from model_export.dataset.duplicates import near_duplicates
from model_export.dataset.options import Options
from model_export.dataset.report import Rule
from model_export.dataset.rows import DataError, Row
from model_export.dataset.rules import without_labels
from model_export.dataset.splitting import EXCESS, PARTS, TWIN, Numbers, split_at_random, split_by_time


class Selection(NamedTuple):
    """The rows kept, by part and oldest first.

    Attributes:
        parts: ``PARTS`` to rows, none of them empty.
        not_enough: labels that were left out, with the rows they had.
        rules: what each rule took.
    """

    parts: dict[str, list[Row]]
    not_enough: dict[str, int]
    rules: list[Rule]


def select(rows: Sequence[Row], options: Options) -> Selection:
    """Split, cap near-duplicates, and leave out labels that then have too few rows, or none in train.

    Leaving out a label moves the cuts, which may take a row from another: it is split again until every label has
    enough, so that the parts' shares and the minimum support both hold for what is kept.

    Raises:
        DataError: fewer than two labels have enough rows, or a part would be empty.
    """
    rows = sorted(rows, key=lambda row: (row.created_at, row.ticket_id, row.text, row.labels, row.weight))
    with click.progressbar(rows, label="finding near-duplicates", file=sys.stderr) as bar:
        clusters = near_duplicates(row.text for row in bar)
    given, not_enough = len(rows), dict[str, int]()
    while True:
        _check_labels(rows, not_enough, options.min_support)
        parts = _split(rows, clusters, options)
        by_part = {
            name: [row for row, part in zip(rows, parts, strict=True) if part == index]
            for index, name in enumerate(PARTS)
        }
        if not by_part["train"]:  # then every label is scarce, but that is not why
            _refuse_empty(by_part, rows)
        scarce = _scarce(rows, by_part, options.min_support)
        if not scarce:
            break
        not_enough |= scarce
        stripped = [without_labels(row, scarce) for row in rows]
        left = [number for number, row in enumerate(stripped) if row.labels]
        rows = [stripped[number] for number in left]
        clusters = np.unique(clusters[left], return_inverse=True)[1]
    if not all(by_part.values()):
        _refuse_empty(by_part, rows)
    rules = [
        Rule("label without enough data", given - len(rows)),
        Rule("near-duplicate of a row in an earlier part", int((parts == TWIN).sum())),
        Rule(f"near-duplicate, {options.near_duplicates} kept of its kind", int((parts == EXCESS).sum())),
    ]
    return Selection(by_part, not_enough, rules)


def _split(rows: Sequence[Row], clusters: Numbers, options: Options) -> Numbers:
    weights = np.array([row.weight for row in rows], dtype=np.float32)
    if options.split == "time":
        created_at = np.array([row.created_at for row in rows])
        return split_by_time(created_at, weights, clusters, options.near_duplicates)
    support = Counter(label for row in rows for label in row.labels)
    number = {label: index for index, label in enumerate(sorted(support))}
    # A row of several labels counts to its rarest one: the others have rows enough elsewhere.
    strata = np.array([number[min(row.labels, key=lambda label: (support[label], label))] for row in rows])
    return split_at_random(strata, weights, clusters, options.near_duplicates, options.seed)


def _scarce(rows: Sequence[Row], by_part: Mapping[str, Sequence[Row]], min_support: int) -> dict[str, int]:
    support = Counter(label for part in by_part.values() for row in part for label in row.labels)
    trained = {label for row in by_part["train"] for label in row.labels}
    labels = {label for row in rows for label in row.labels}
    return {label: support[label] for label in sorted(labels) if support[label] < min_support or label not in trained}


def _check_labels(rows: Sequence[Row], not_enough: Mapping[str, int], min_support: int) -> None:
    labels = {label for row in rows for label in row.labels}
    if len(labels) > 1:
        return
    if not not_enough:
        raise DataError(
            f"every row has the label {min(labels)!r}, and a classifier chooses between two at least: "
            "give rows of other labels, or name another column with --column label=NAME"
        )
    most = sorted(not_enough.items(), key=lambda item: -item[1])
    raise DataError(
        f"{f'only {min(labels)!r}' if labels else 'no label'} has enough data: at least {min_support} rows, one of "
        f"them in train. The others: {', '.join(f'{label!r} {count}' for label, count in most[:5])}. "
        "Collect more, merge labels with --aliases, or lower --min-support"
    )


def _refuse_empty(by_part: Mapping[str, Sequence[Row]], rows: Sequence[Row]) -> NoReturn:
    empty = " and ".join(name for name, part in by_part.items() if not part)
    raise DataError(
        f"no row is left for {empty}: there are {len(rows)} rows, at {len({row.created_at for row in rows})} different "
        f"times, and of near-duplicates only {sum(map(len, by_part.values()))} are kept. "
        "Name the column with the creation times, give more rows, or use --split random"
    )
