"""Findings as a page to read: ``report.html`` in one file, and ``report.md`` with its pictures beside it."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model_export.calibrate import fewest_answers
from model_export.evaluate import Interval
from model_export.report.figures import pictures, shown_classes
from model_export.report.findings import Findings, Mistake

WORST = 10
"""Categories whose mistakes are quoted, and confusions that are listed."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~$])")


class Category(NamedTuple):
    """A line of the table of categories; counts and shares as in ``Findings``."""

    name: str
    support: int
    answers: int
    hits: int
    precision: float
    recall: float
    f1: float
    threshold: str
    filled: int
    right: int
    mistakes: tuple[Mistake, ...]


class Confusion(NamedTuple):
    """So many of one category's tickets were taken for another."""

    truth: str
    answer: str
    tickets: int
    support: int


def write_report(folder: Path, findings: Findings) -> Path:
    """Write ``report.html``, ``report.md`` and ``img/*.svg``; texts and names in them are escaped.

    Returns:
        The HTML page: one file without scripts, and without anything to fetch.
    """
    drawn = pictures(findings)
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for picture in drawn.values():
        (folder / "img" / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
    rows = categories(findings)
    values = {
        "f": findings,
        "pictures": drawn,
        "categories": rows,
        "quoted": [category for category in rows if category.mistakes][:WORST],
        "confusions": _confusions(findings),
        "all_shown": findings.confusion is None or len(shown_classes(findings.confusion)) == len(findings.names),
        "baseline": findings.names[findings.baseline.label],
        "promised": None if np.isnan(target := findings.chosen.target) else percentage(target, 0),
        "fewest": fewest_answers(target) if findings.promises else None,
    }
    for name in ("report.html", "report.md"):
        (folder / name).write_text(render(Path(__file__).with_name(f"{name}.j2"), values), encoding="utf-8")
    return folder / "report.html"


def render(template: Path, values: Mapping[str, object]) -> str:
    """Fill in ``NAME.html.j2`` or ``NAME.md.j2``; whatever it prints is escaped for that form."""
    is_html = template.name.endswith(".html.j2")
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=is_html,  # noqa: S701 # nosec B701 - Markdown is escaped as Markdown
        finalize=None if is_html else _escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "pct": percentage, "n": number, "of": part, "day": _day, "data_uri": _data_uri, "megabytes": _megabytes
    }  # fmt: skip
    environment.filters.update(filters)
    return environment.get_template(template.name).render(values)


def percentage(share: float, decimals: int = 1) -> str:
    """``0.8204`` as ``82.0 %``; a dash for what could not be measured."""
    return "-" if np.isnan(share) else f"{share * 100:.{decimals}f}\N{NO-BREAK SPACE}%"


def with_range(figure: Interval) -> str:
    """``82.0 % (95 % range 80.1 % to 83.9 %)``."""
    return f"{percentage(figure.value)} (95 % range {percentage(figure.low)} to {percentage(figure.high)})"


def number(value: float) -> str:
    """``12345`` as ``12,345``."""
    return f"{value:,}"


def part(right: int, whole: int) -> str:
    """``82.0 % (1,419 of 1,730)``; a dash for a share of nothing."""
    return f"{percentage(right / whole)} ({right:,} of {whole:,})" if whole else "-"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _data_uri(svg: str) -> str:
    """A picture inside its page, so that the page is one file."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _escape_markdown(value: object) -> object:
    """Whatever a template prints is shown as it is written: no HTML, no emphasis, no link, no table cell."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _MARKDOWN.sub(r"\\\1", html.escape(" ".join(value.split()), quote=False))


def categories(findings: Findings) -> list[Category]:
    """Worst first; categories without a test ticket last, for nothing is known of them."""
    scores, delivery = findings.scores, findings.chosen.delivery
    rows = [
        Category(
            name,
            int(scores.support[i]),
            int(scores.answers[i]),
            int(scores.hits[i]),
            float(scores.precision[i]),
            float(scores.recall[i]),
            float(scores.f1[i]),
            _fills(findings.chosen.thresholds[i].value),
            int(delivery.filled[i]),
            int(delivery.right[i]),
            findings.mistakes.get(i, ()),
        )
        for i, name in enumerate(findings.names)
    ]
    return sorted(rows, key=lambda row: (row.support == 0, row.f1, row.name))


def _fills(value: float) -> str:
    return "only suggested" if value > 1 else "always" if value == 0 else f"from {percentage(value)}"


def _confusions(findings: Findings) -> list[Confusion]:
    if findings.confusion is None:
        return []
    wrong = findings.confusion - np.diag(np.diag(findings.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")
    pairs = (divmod(int(index), len(findings.names)) for index in order if wrong.flat[index])
    return [
        Confusion(findings.names[t], findings.names[a], int(wrong[t, a]), int(findings.scores.support[t]))
        for t, a in islice(pairs, WORST)
    ]
