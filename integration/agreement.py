"""The ``presort agreement`` command: how often agents agree, from webhook to what stands on the solved ticket."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import click

from integration import outcomes
from integration.commands import chosen, connected
from integration.controls import Controls
from integration.outcomes import Counts
from integration.records import Model
from integration.settings import Settings
from integration.store import Store
from integration.times import local_time

Z = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

STEPS = ("received", "eligible", "predicted", "filled")
INTO = 3
EXAMPLES = 5


class Interval(NamedTuple):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


def wilson(hits: int, tries: int) -> Interval:
    """A share with its 95 % score interval (Wilson 1927), which holds for few tries and near 0 and 1; tries > 0."""
    share, squared = hits / tries, Z * Z / tries
    middle = (share + squared / 2) / (1 + squared)
    half = Z * math.sqrt(share * (1 - share) / tries + squared / tries / 4) / (1 + squared)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def expected(answers: Mapping[str, int], precision: Mapping[str, float]) -> float | None:
    """The share of right answers that a month's mix of categories lets one expect: Hudl's estimate.

    a_m = sum_i p_i n_im / sum_i n_im, with p_i the precision of category i on the model's test rows and n_im how often
    it was answered in month m; over the categories that have a p_i, None when there are none.
    """
    known = {category: count for category, count in answers.items() if category in precision}
    if not (total := sum(known.values())):
        return None
    return sum(precision[category] * count for category, count in known.items()) / total


def funnel(store: Store, month: str, *, backfill: bool = False) -> Counter[str]:
    """A month's daily funnels added up; of all classifiers, since webhooks are counted for all of them."""
    total: Counter[str] = Counter()
    for day in _days(month):
        total.update(store.funnel(day, backfill=backfill))
    return total


def funnel_by_model(store: Store, classifier: str, month: str) -> dict[str, Counter[str]]:
    """A month's decisions of a classifier by model (``name@version``), each by step."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for day in _days(month):
        for (model, step), count in store.funnel_by_model(classifier, day).items():
            found[model][step] += count
    return dict(found)


def _days(month: str) -> Iterator[datetime]:
    day = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    while f"{day:%Y-%m}" == month:
        yield day
        day += timedelta(days=1)


def _month(_: click.Context, __: click.Parameter, value: str | None) -> str:
    try:
        return f"{datetime.strptime(value, '%Y-%m') if value else datetime.now(UTC):%Y-%m}"  # noqa: DTZ007 - a month
    except ValueError:
        raise click.BadParameter(f"{value} is not a month such as 2026-11") from None


@click.command()
@click.option("--classifier", "name", help="One of presort.toml's; all of them unless given.")
@click.option("--month", callback=_month, help="In which tickets were filed (UTC), such as 2026-11; the present one.")
def agreement(*, name: str | None, month: str) -> None:
    """Show how often agents agree: received, eligible, predicted, written, kept, and what was changed into what.

    A ticket counts once it is solved. Live precision is the share of sure answers that stand on the ticket in the end,
    whoever set them; behind it, in brackets, its 95 % interval.

    Example: presort agreement --month 2026-11
    """
    with connected() as (config, store):
        names = [one.name for one in chosen(config, name)]
        counts = {one: outcomes.counts(store.redis, one, month) for one in names}
        click.echo("\n".join(_funnel_lines(store, month, (one for each in counts.values() for one in each.values()))))
        for one in names:
            click.echo("\n" + "\n".join(_lines(config, store, one, month, counts[one])))


def _funnel_lines(store: Store, month: str, counts: Iterable[Counts]) -> Iterator[str]:
    seen, judged = funnel(store, month), list(counts)
    whole = seen["received"] or 1
    yield f"{month} (UTC)      decisions   % of received"
    for step in STEPS:
        title = "written" if step == "filled" else step
        yield f"  {title:12} {seen[step]:>12,}  {100 * seen[step] / whole:>13.1f}"
    written, kept = sum(one.written for one in judged), sum(one.kept for one in judged)
    share = f": {wilson(kept, written)}" if written else ""
    yield f"  {'kept':12} {kept:>12,}  of {written:,} written ones that are solved and were looked back at{share}"
    if waiting := outcomes.unjudged(store.redis):
        yield f"  {waiting:,} solved tickets wait to be looked back at"


def _lines(
    config: Settings, store: Store, classifier: str, month: str, counts: Mapping[tuple[str, str], Counts]
) -> Iterator[str]:
    if not counts:
        others = ", ".join(outcomes.months(store.redis, classifier)) or "none yet"
        yield f"{classifier}: no ticket filed in {month} was solved and looked back at; months with figures: {others}"
        return
    served = store.model(classifier)
    for model in sorted({model for model, _ in counts}):
        rows = {category: one for (counted, category), one in counts.items() if counted == model}
        serving = served if served and model == f"{served.name}@{served.version}" else None
        yield from _headline(classifier, model, rows, serving)
        names = served.labels if served else {}
        yield from _table(rows, names)
    for (name, category), demotion in Controls(store.redis).demotions().items():
        if name == classifier:
            since = local_time(demotion.at, config.zendesk.time_zone)
            yield f"  demoted: {category}, since {since}: {demotion.reason}"
    for category in sorted({category for _, category in counts}):
        if wrong := outcomes.wrong_examples(store.redis, classifier, category, EXAMPLES):
            yield f"  newest wrong: {category} {' '.join(f'#{one}' for one in wrong)}"


def _headline(classifier: str, model: str, rows: Mapping[str, Counts], served: Model | None) -> Iterator[str]:
    predicted, agreed = sum(one.predicted for one in rows.values()), sum(one.agreed for one in rows.values())
    sure, right = sum(one.sure for one in rows.values()), sum(one.right for one in rows.values())
    yield f"{classifier}: {model}"
    if sure:
        target = f", target {100 * served.target:.0f} %" if served and served.target else ""
        yield f"  live precision  {wilson(right, sure)}, {right:,} of {sure:,} sure answers{target}"
    estimate = expected({category: one.predicted for category, one in rows.items()}, served.precision if served else {})
    beside = "" if estimate is None else f"; {100 * estimate:.1f} % expected of this mix by its test rows"
    yield f"  all answers     {wilson(agreed, predicted)}, {agreed:,} of {predicted:,} answers{beside}"


def _table(rows: Mapping[str, Counts], names: Mapping[str, str]) -> Iterator[str]:
    width = max(len("category"), *(len(names.get(category, category)) for category in rows))
    yield f"  {'category':{width}}  answers    sure   right  live precision          written    kept  changed into"
    for category, one in sorted(rows.items(), key=lambda row: (-row[1].predicted, row[0])):
        live = str(wilson(one.right, one.sure)) if one.sure else "-"
        yield (
            f"  {names.get(category, category):{width}}  {one.predicted:>7,} {one.sure:>7,} {one.right:>7,}  {live:22}"
            f"  {one.written:>7,} {one.kept:>7,}  {_changes(one, names)}"
        ).rstrip()


def _changes(one: Counts, names: Mapping[str, str]) -> str:
    most = Counter(one.changed).most_common()
    shown = [
        f"{names.get(into, into) or '(emptied)'} {count:,}{'' if by == 'person' else f' by {by}'}"
        for (by, into), count in most[:INTO]
    ]
    return ", ".join(shown + [f"{len(most) - INTO} others"] * (len(most) > INTO))
