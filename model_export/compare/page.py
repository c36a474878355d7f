"""A comparison as files: ``compare.html`` and ``compare.md`` to read, ``compare.json`` to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from model_export.compare.answers import Answers
from model_export.compare.figure import learning_curve
from model_export.compare.plan import Run
from model_export.compare.scoring import Point
from model_export.compare.words import in_words
from model_export.dataset.rows import Task
from model_export.report.page import number, percentage, render
from model_export.strategies import STRATEGIES


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a comparison says.

    Attributes:
        labels: how many there are.
        training, test: rows to learn from; rows that people labelled and that every run was scored on.
        settings: what the runs shared, by option.
        points: what succeeded, by strategy and size.
        failures: what did not, with the reason.
        next_command: what to type to get the best model.
    """

    task: Task
    labels: int
    training: int
    test: int
    fingerprint: str
    settings: dict[str, str]
    points: Sequence[Point]
    failures: Sequence[tuple[Run, str]]
    answers: Answers
    next_command: str


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write the three files and ``img/learning.svg``.

    Returns:
        The HTML page: one file without scripts, and without anything to fetch.
    """
    picture = learning_curve(comparison.points, comparison.answers)
    (folder / "img").mkdir(parents=True, exist_ok=True)
    (folder / "img" / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
    values = {
        "c": comparison,
        "picture": picture,
        "words": in_words(comparison.answers),
        "rows": table(comparison),
        "what": STRATEGIES,
    }
    for name in ("compare.html", "compare.md"):
        (folder / name).write_text(render(Path(__file__).with_name(f"{name}.j2"), values), encoding="utf-8")
    raw = msgspec.json.format(msgspec.json.encode(_as_json(comparison)), indent=2)
    (folder / "compare.json").write_bytes(raw + b"\n")
    return folder / "compare.html"


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """A header and a row a point, then a row a failure: what is printed, and what stands on the page."""
    multi, several = comparison.task == "multi", any(point.seeds > 1 for point in comparison.points)
    header = ["strategy", "rows", "macro-F1 (95 % range)", "accuracy", "fit s", "predict ms/1000"]
    if multi:
        header.insert(4, "micro-F1")
    if several:
        header.insert(3, "seeds (lowest to highest)")
    rows = [tuple(header)]
    for point in comparison.points:
        scores = point.scores
        macro = scores.macro_f1.interval()
        cells = [
            point.strategy,
            number(point.rows),
            f"{percentage(macro.value)} ({macro.low * 100:.1f} to {macro.high * 100:.1f})",
            percentage(scores.accuracy.value),
            f"{point.fit_seconds:,.1f}",
            f"{point.predict_ms:,.0f}",
        ]
        if multi:
            cells.insert(4, percentage(scores.micro_f1.value))
        if several:
            cells.insert(3, f"{point.seeds} ({point.spread[0] * 100:.1f} to {point.spread[1] * 100:.1f})")
        rows.append(tuple(cells))
    return rows


def _as_json(comparison: Comparison) -> dict[str, Any]:
    """Without the resamples: intervals say what they say."""
    answers = comparison.answers
    return {
        "task": comparison.task,
        "labels": comparison.labels,
        "training_rows": comparison.training,
        "test_rows": comparison.test,
        "fingerprint": comparison.fingerprint,
        "settings": comparison.settings,
        "points": [
            {
                "strategy": point.strategy,
                "rows": point.rows,
                "seeds": point.seeds,
                "spread": point.spread,
                "fit_seconds": point.fit_seconds,
                "predict_ms": point.predict_ms,
                **{name: figure.interval()._asdict() for name, figure in point.scores._asdict().items()},
            }
            for point in comparison.points
        ],
        "failures": [{**msgspec.structs.asdict(run), "reason": reason} for run, reason in comparison.failures],
        "best": {
            "strategy": answers.best.point.strategy,
            "rows": answers.best.point.rows,
            "runner_up": answers.best.runner_up.strategy if answers.best.runner_up else None,
            "lead": answers.best.lead._asdict() if answers.best.lead else None,
        },
        "fine_tuning_ahead_from": answers.crossing.ahead if answers.crossing else None,
        "fine_tuning_surely_ahead_from": answers.crossing.surely if answers.crossing else None,
        "enough": answers.enough.rows if answers.enough else None,
        "doubling_brings": answers.enough.doubling if answers.enough else None,
        "best_changes": [{"rows": rows, "strategy": strategy} for rows, strategy in answers.changes],
        "answers": dict(in_words(answers)),
        "next": comparison.next_command,
    }
