"""*Funnel*: from the webhook to what stands on the solved ticket, by month and by model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from integration import backfills, outcomes
from integration.agreement import Interval, expected, funnel, funnel_by_model, wilson
from integration.console import context
from integration.console.figures import Figure
from integration.outcomes import Counts, month_of
from integration.records import Model
from integration.settings import Classifier
from integration.store import FUNNEL_TTL

routes = Blueprint("funnel", __name__, url_prefix="/funnel")

MONTHS = 12
"""Months of hindsight, at most."""

STEPS = (
    ("received", "Received", "webhooks of new tickets"),
    ("reconciled", "Found", "tickets that only Zendesk's export told of"),
    ("decided", "Decided", "a decision each for ticket and classifier"),
    ("eligible", "Eligible", "customers' tickets that were still there"),
    ("predicted", "Predicted", "there was a text, and the model was asked"),
    ("sure", "Sure", "the answer reached its threshold"),
    ("filled", "Filled", "the category is in the field"),
    ("suggested", "Suggested", "in the text fields beside it only"),
    ("left_alone", "Left alone", "nothing was written: a person was faster, the mode is shadow, the ticket is gone"),
    ("parked", "Parked", "waits for a person, or did"),
    ("kept", "Kept", "of the filled ones that were solved and looked back at in the month: nobody changed them"),
    ("overridden", "Overridden", "of the same: somebody changed them"),
    ("accepted", "Accepted", "of those that agents spoke of in the sidebar: they said yes"),
    ("corrected", "Corrected", "of the same: they chose another"),
)


HEARD = ("received", "reconciled")
"""How Presort hears of a ticket; all other shares are of those, or in a backfill of the decisions."""

ALWAYS = ("decided", "eligible", "predicted", "sure")

AFTER = (("kept", "overridden"), ("accepted", "corrected"))
"""Steps whose share is of each other: they are of tickets of other months too, or of few tickets."""

COLOURS = ("--bar", "--hint", "--mark", "--usual")
SYMBOLS = ("circle", "square", "diamond", "cross")


class Step(NamedTuple):
    """A step of the funnel; ``share`` is of what Presort heard of, or of those that went one of two ways."""

    title: str
    meaning: str
    reached: int
    share: float


class Month(NamedTuple):
    """What became of one model's answers about a month's tickets.

    Attributes:
        counts: of all categories together.
        agreed: the share of all answers that stand in the end.
        estimate: what the month's mix of categories lets one expect of ``agreed``, by the model's test rows; None for
            models that do not serve now.
        live: the share of sure answers that stand.
        kept: the share of written ones that nobody changed.
    """

    month: str
    model: str
    counts: Counts
    agreed: Interval | None
    estimate: float | None
    live: Interval | None
    kept: Interval | None


class Way(NamedTuple):
    """A month's steps by one model; ``month`` is what stands of its answers, None while nothing was looked back at."""

    model: str
    steps: list[Step]
    month: Month | None


@routes.get("/")
def show() -> str:
    """The whole page."""
    classifier, store, now = context.classifier(), context.store(), time.time()
    months = months_kept(now)
    month = request.args.get("month", "")
    month = month if month in months else months[0]
    seen, hindsight = funnel(store, month), _hindsight(classifier)
    return context.page(
        "funnel.html",
        classifier=classifier,
        classifiers=context.config().classifiers,
        month=month,
        months=months,
        kept_days=FUNNEL_TTL // 86400,
        steps=steps(seen),
        ways=ways(
            {step: seen[step] for step in HEARD},
            funnel_by_model(store, classifier.name, month),
            [one for one in hindsight if one.month == month],
        ),
        hindsight=hindsight,
        waiting=outcomes.unjudged(store.redis),
        backfill=backfills.current(store.redis),
        backfill_steps=steps(funnel(store, month, backfill=True)),
    )


@routes.get("/figure.json")
def figure() -> ResponseReturnValue:
    """Observed agreement by month and model, with the estimate beside it."""
    return jsonify(agreement(_hindsight(context.classifier())))


def steps(counts: Mapping[str, int]) -> list[Step]:
    """In the order of a ticket's way; what nothing took is left out, but for what every ticket should."""
    heard = HEARD if any(counts.get(name) for name in HEARD) else ("decided",)
    found = []
    for name, title, meaning in STEPS if any(counts.values()) else ():
        of = next((ways for ways in AFTER if name in ways), heard)
        whole = sum(counts.get(one, 0) for one in of)
        if name in ALWAYS or counts.get(name):
            found.append(Step(title, meaning, counts.get(name, 0), counts.get(name, 0) / whole if whole else 0.0))
    return found


def ways(heard: Mapping[str, int], by_model: Mapping[str, Mapping[str, int]], judged: Sequence[Month]) -> list[Way]:
    """From received to kept by model.

    Args:
        heard: tickets by ``HEARD``, which come before any model.
        by_model: what became of each model's decisions, by step.
        judged: what stands of the month's answers; kept and overridden are taken from here.
    """
    known = {one.model: one for one in judged}
    found = []
    for model in sorted({*by_model, *known}):
        month = known.get(model)
        written, kept = (month.counts.written, month.counts.kept) if month else (0, 0)
        after = {"kept": kept, "overridden": written - kept}
        found.append(Way(model, steps({**heard, **by_model.get(model, {}), **after}), month))
    return found


def months_of(by_month: Mapping[str, Mapping[tuple[str, str], Counts]], served: Model | None) -> list[Month]:
    """By month, newest first, and model."""
    rows = []
    for month in sorted(by_month, reverse=True):
        found = by_month[month]
        for model in sorted({model for model, _ in found}):
            counts = {category: one for (counted, category), one in found.items() if counted == model}
            total = outcomes.together(counts.values())
            serves = served is not None and model == f"{served.name}@{served.version}"
            answers = {category: one.predicted for category, one in counts.items()}
            rows.append(
                Month(
                    month=month,
                    model=model,
                    counts=total,
                    agreed=wilson(total.agreed, total.predicted) if total.predicted else None,
                    estimate=expected(answers, served.precision) if serves and served else None,
                    live=wilson(total.right, total.sure) if total.sure else None,
                    kept=wilson(total.kept, total.written) if total.written else None,
                )
            )
    return rows


def agreement(rows: Sequence[Month]) -> Figure:
    """A point with its interval for each month and model, and the estimates."""
    shown = [one for one in reversed(rows) if one.agreed is not None]
    data: list[Figure] = []
    models = list(dict.fromkeys(one.model for one in reversed(shown)))  # the newest has the first colour
    for place, model in reversed(list(enumerate(models))):
        colour, symbol = COLOURS[place % len(COLOURS)], SYMBOLS[place % len(SYMBOLS)]
        own = [(one, one.agreed) for one in shown if one.model == model and one.agreed is not None]
        data.append(
            {"type": "scatter", "mode": "markers", "name": model, "x": [one.month for one, _ in own]}
            | {
                "y": [round(100 * share.value, 2) for _, share in own],
                "marker": {"size": 10, "color": colour, "symbol": symbol},
            }
            | {"text": [f"{one.counts.agreed:,} of {one.counts.predicted:,} answers" for one, _ in own]}
            | {"hovertemplate": "%{x}: %{y:.1f} %, %{text}<extra></extra>"}
            | {
                "error_y": {
                    "type": "data",
                    "color": colour,
                    "symmetric": False,
                    "array": [round(100 * (share.high - share.value), 2) for _, share in own],
                    "arrayminus": [round(100 * (share.value - share.low), 2) for _, share in own],
                }
            }
        )
    estimates = [one for one in shown if one.estimate is not None]
    if estimates:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "expected of the month's mix",
                "x": [one.month for one in estimates],
            }
            | {"y": [round(100 * (one.estimate or 0), 2) for one in estimates]}
            | {"marker": {"symbol": "line-ew-open", "size": 22, "line": {"width": 3}, "color": "--ink"}}
            | {"hovertemplate": "%{x}: %{y:.1f} % expected<extra></extra>"}
        )
    layout = {
        "xaxis": {"type": "category", "title": {"text": "month (UTC) in which tickets were filed"}},
        "yaxis": {"title": {"text": "answers that stand, %"}, "rangemode": "normal"},
    }
    return {"data": data, "layout": layout, "text": _sentence(shown)}


def _sentence(shown: Sequence[Month]) -> str:
    if not shown or shown[-1].agreed is None:
        return "No solved ticket was looked back at yet."
    last = shown[-1]
    text = f"{last.month}, {last.model}: {shown[-1].agreed} of {last.counts.predicted:,} answers stand"
    return f"{text}, {100 * last.estimate:.1f} % were expected." if last.estimate is not None else f"{text}."


def _hindsight(classifier: Classifier) -> list[Month]:
    redis = context.redis()
    months = outcomes.months(redis, classifier.name)[-MONTHS:]
    by_month = {month: outcomes.counts(redis, classifier.name, month) for month in months}
    return months_of(by_month, context.store().model(classifier.name))


def months_kept(now: float) -> list[str]:
    """UTC months of which daily funnels are left at a time (Unix seconds), newest first."""
    oldest = datetime.fromtimestamp(now, UTC) - timedelta(seconds=FUNNEL_TTL)
    found, at = [], datetime.fromtimestamp(now, UTC).replace(day=1)
    while f"{at:%Y-%m}" >= f"{oldest:%Y-%m}":
        found.append(month_of(at.timestamp()))
        at = (at - timedelta(days=1)).replace(day=1)
    return found
