"""*Categories*: how far each may go, how often it is right, what people make of it, and when its tickets come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from integration import counting, outcomes, usual
from integration.agreement import Interval, wilson
from integration.console import context, week
from integration.console.words import BY, MODES
from integration.controls import Controls, Demotion
from integration.counting import ALL, HOUR
from integration.outcomes import Counts, month_of
from integration.records import Model
from integration.settings import Classifier, Mode

routes = Blueprint("categories", __name__, url_prefix="/categories")

WEEKS = 4
"""Whole weeks whose mean stands against what is usual."""

SAMPLES = 12


class Line(NamedTuple):
    """A category and what became of a month's answers.

    Attributes:
        mode: of presort.toml.
        demotion: since when, and why, it is suggested at most.
        threshold: probability from which it may be filled; above 1 it never may; None where nobody said.
        live: the share of sure answers that stand in the end.
        coverage: the share of its answers that were sure.
        kept: the share of what Presort wrote that nobody changed.
        into: what the written ones were changed into, most frequent first.
    """

    tag: str
    name: str
    mode: Mode
    demotion: Demotion | None
    threshold: float | None
    counts: Counts
    live: Interval | None
    coverage: float | None
    kept: Interval | None
    into: list[tuple[str, int]]


@routes.get("/")
def show() -> str:
    """All of a classifier's, for one month."""
    classifier, redis = context.classifier(), context.redis()
    month, months = _month(classifier)
    model = context.store().model(classifier.name)
    counts = outcomes.totals(redis, classifier.name, month)
    found = lines(model, classifier, counts, _demoted(classifier))
    return context.page(
        "categories.html",
        classifier=classifier,
        classifiers=context.config().classifiers,
        model=model,
        month=month,
        months=months,
        lines=found,
        total=line(ALL, "All categories", classifier, None, outcomes.together(one.counts for one in found)),
        waiting=outcomes.unjudged(redis),
        modes=MODES,
    )


@routes.get("/one")  # a tag may hold a slash
def one() -> str:
    """One of them, whole."""
    of, tag, redis = context.classifier(), _tag(), context.redis()
    month, months = _month(of)
    model = context.store().model(of.name)
    counts = {who: one for (who, category), one in outcomes.counts(redis, of.name, month).items() if category == tag}
    known = {} if model is None else model.labels
    context.or_404(tag if tag in known or counts or _counted(of, tag) else None)
    total = outcomes.together(counts.values())
    newest = counting.newest(redis, of.name, tag, limit=SAMPLES)
    wrong = outcomes.wrong_examples(redis, of.name, tag, SAMPLES)
    zendesk = context.config().zendesk
    return context.page(
        "category.html",
        classifier=of,
        model=model,
        month=month,
        months=months,
        line=line(tag, known.get(tag, tag), of, model, total, demotion=_demoted(of).get(tag)),
        by_model={who: line(tag, who, of, None, one) for who, one in sorted(counts.items())},
        overrides=overrides(total, known),
        days=week.days(_week(of, tag)),
        newest=newest,
        wrong=wrong,
        urls={ticket: zendesk.ticket_url(ticket) for ticket in (*newest, *wrong)},
        on_test=None if model is None else model.precision.get(tag),
        modes=MODES,
    )


@routes.get("/one/figure.json")
def figure() -> ResponseReturnValue:
    """Its rate by hour of the week against what is usual."""
    return jsonify(week.figure(_week(context.classifier(), _tag()), context.zone()))


@routes.post("/one/restore")
def restore() -> ResponseReturnValue:
    """Give a demoted category its mode back."""
    of, tag = context.classifier(), _tag()
    if Controls(context.redis()).restore(of.name, tag, by=f"{context.user()} (console)"):
        flash("Restored: it has its mode of presort.toml again. What it got wrong before does not count a second time.")
    else:
        flash("It was not demoted any longer.")
    return redirect(url_for("categories.one", classifier=of.name, category=tag))


def lines(
    model: Model | None, classifier: Classifier, counts: Mapping[str, Counts], demoted: Mapping[str, Demotion]
) -> list[Line]:
    """The model's labels and whatever else was answered, most answers first."""
    names = {} if model is None else model.labels
    found = [
        line(tag, names.get(tag, tag), classifier, model, counts.get(tag, Counts()), demotion=demoted.get(tag))
        for tag in {**names, **dict.fromkeys(counts), **dict.fromkeys(demoted)}
    ]
    return sorted(found, key=lambda one: (-one.counts.predicted, one.name))


def line(
    tag: str,
    name: str,
    classifier: Classifier,
    model: Model | None,
    counts: Counts,
    *,
    demotion: Demotion | None = None,
) -> Line:
    """One category; a share of nothing is None."""
    names = {} if model is None else model.labels
    into = Counter[str]()
    for (_, what), tickets in counts.changed.items():
        into[names.get(what, what) or "(emptied)"] += tickets
    return Line(
        tag=tag,
        name=name,
        mode=classifier.categories.get(tag, classifier.mode),
        demotion=demotion,
        threshold=None if model is None else model.thresholds.get(tag),
        counts=counts,
        live=wilson(counts.right, counts.sure) if counts.sure else None,
        coverage=counts.sure / counts.predicted if counts.predicted else None,
        kept=wilson(counts.kept, counts.written) if counts.written else None,
        into=into.most_common(),
    )


class Override(NamedTuple):
    """So many answers turned out otherwise: into what, by whom, and whether Presort had written its own."""

    into: str
    by: str
    written: bool
    tickets: int


def overrides(counts: Counts, names: Mapping[str, str]) -> list[Override]:
    """What stands in the end where the answer does not, most frequent first."""
    found = [
        Override(names.get(into, into) or "(emptied)", BY.get(by, by), written, tickets)
        for written, cells in ((True, counts.changed), (False, counts.instead))
        for (by, into), tickets in cells.items()
    ]
    return sorted(found, key=lambda one: (-one.tickets, one.into, one.by))


def _week(classifier: Classifier, tag: str) -> week.Week:
    """The last whole weeks of counted hours, and what was learned."""
    redis, config = context.redis(), context.config()
    last = int(time.time() // HOUR) - 1  # the hour before this one may still get late tickets
    since = counting.counting_since(redis, classifier.name)
    first = max(last - WEEKS * week.HOURS, last if since is None else since)
    (tickets,) = counting.series(redis, "hours", classifier.name, [tag], first=first, last=max(first, last))
    base = usual.baseline(redis, classifier.name)
    row = None if base is None else next((one for one in base.rows if one.row == tag), None)
    return week.week(tickets, first, context.zone(), config.spikes.holidays, None if row is None else row.rate)


def _tag() -> str:
    return request.args.get("category", "")


def _demoted(classifier: Classifier) -> dict[str, Demotion]:
    found = Controls(context.redis()).demotions()
    return {category: one for (name, category), one in found.items() if name == classifier.name}


def _counted(classifier: Classifier, tag: str) -> bool:
    return bool(counting.newest(context.redis(), classifier.name, tag, limit=1)) or tag in _demoted(classifier)


def _month(classifier: Classifier) -> tuple[str, Sequence[str]]:
    """The month that the address names, and those to choose from, newest first."""
    known = {*outcomes.months(context.redis(), classifier.name), month_of(time.time())}
    months = sorted(known, reverse=True)
    wanted = request.args.get("month", "")
    return (wanted if wanted in known else months[0]), months
