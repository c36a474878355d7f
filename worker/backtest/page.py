"""The page on which an admin chooses: one HTML file, nothing loaded from elsewhere, no script.

It looks like the model's report (``model_export/report``), which this side must not import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

import numpy as np

from integration.times import span
from worker.backtest.figures import SMALLEST_H, Alert, Category, Figures, Sensitivity
from worker.backtest.history import History
from worker.backtest.picture import Scene, draw
from worker.backtest.replay import TICK, TICK_S, Episode
from worker.backtest.sensitivities import Pair

NAMES = {4: "hears most", 12: "in between", 52: "hears least"}

STYLE = """
:root { --ink: #1b1f24; --soft: #57606a; --ground: #fff; --card: #f5f7f9; --line: #d8dee4; --bar: #0072b2;
  --band: #cfe4f1; --began: #8a5a00; --fired: #c03d00; --ended: #00735a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --soft: #9aa4ae; --ground: #14171a; --card: #1d2126; --line: #343a41; --bar: #56b4e9;
    --band: #17415c; --began: #e69f00; --fired: #ff7f3f; --ended: #3fc79a }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 2rem 0 .2rem; overflow-wrap: anywhere }
p { max-width: 46rem; margin: .5rem 0 }
.soft { color: var(--soft); font-size: .9rem }
fieldset { border: 0; margin: 1.4rem 0 0; padding: 0; display: grid; gap: .7rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)) }
legend { padding: 0; margin-bottom: .5rem; font-weight: 600 }
label { display: block; background: var(--card); border: 2px solid transparent; border-radius: .6rem;
  padding: .8rem 1rem; cursor: pointer }
label:has(:checked) { border-color: var(--bar) }
label:has(:focus-visible) { outline: 3px solid var(--bar); outline-offset: 2px }
label b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums }
label span { display: block; font-size: .88rem; color: var(--soft) }
@supports selector(:has(*)) { @media screen {
  .w4, .w12, .w52 { display: none }
  body:has(#w4:checked) .w4, body:has(#w12:checked) .w12, body:has(#w52:checked) .w52 { display: block }
} }
.scroll, figure { overflow-x: auto; margin: 1rem 0 }
.scroll:focus-visible, figure:focus-visible { outline: 3px solid var(--bar) }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; width: 100% }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem }
th, td { padding: .35rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
thead th { vertical-align: bottom; white-space: normal; line-height: 1.25 }
tbody th { font-weight: 500; overflow-wrap: anywhere; white-space: normal; min-width: 8rem }
th:first-child { text-align: left }
article { content-visibility: auto; contain-intrinsic-size: auto 24rem; break-inside: avoid }
svg { display: block; width: 100%; min-width: 34rem; max-width: 52rem; height: auto;
  font: 11.5px system-ui, sans-serif }
text { fill: var(--ink) } .right { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: var(--line); fill: none } .band { fill: var(--band) } .bars { fill: var(--bar) }
.usual { fill: none; stroke: var(--ink); stroke-width: 1.5 }
.mark { stroke-width: 2; fill: none } .began { stroke: var(--began); stroke-dasharray: 2 3 }
.fired { stroke: var(--fired) } .ended { stroke: var(--ended); stroke-dasharray: 7 4 }
dt { font-weight: 600; margin-top: .6rem } dd { margin: 0; max-width: 46rem }
code { background: var(--card); padding: .1rem .3rem; border-radius: .25rem }
"""

WORDS = {
    "Usual": "What the hour of the week brought in the past weeks, newer ones counting more: the dark line. The band "
    "around it holds nine of ten quiet bars.",
    "Began, alert, over": "When the spike is estimated to have begun (dotted), when people would have been told "
    "(solid), and when there was evidence that it had ended (dashed). What lasts a day becomes the new normal.",
    "Ratio": "Tickets over usual tickets in the time that made the alert fire. The range is where the true ratio lies "
    "in nine of ten cases; an alert needs all of it above the least ratio in presort.toml.",
    "Budget": "Each alert makes the next one of the same category harder, for as long as one alert is meant to "
    "take: so a category whose tickets come in swarms cannot tire you, whatever the statistics think of it.",
    "Smallest spike": f"How many tickets in {SMALLEST_H} hours are found at the category's average rate. At night it "
    'takes fewer, at the busiest hour more. "None" says that the category wanders too much: no '
    "tenfold or twentyfold spike is sure to be told from that.",
    "What this does not know": "It counts tickets under the category that they have now, the live watch under what the "
    "model was sure of when they came. It knows no silences, nobody who says that an alert was useful or not, "
    "and nothing of what the model confuses. Three alerts or more that fire together are told as one.",
}


def render(figures: Figures, history: History, found: Mapping[int, Pair]) -> str:
    """The whole page."""
    zone, chosen = figures.zone, figures.sensitivities[0].weeks
    period = f"{_day(figures.begin, zone)} to {_day(figures.end - 1, zone)}"
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
            f"<title>Spike alerts there would have been</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            "<h1>Spike alerts there would have been</h1>\n",
            f'<p class="soft">{figures.tickets:,} tickets, {escape(period)}, times in {escape(zone)}. Each day was '
            f"judged by what came before it; up to {_at(figures.judged_from, zone)} there was only learning."
            + (f" {figures.unsorted:,} tickets without a category count for nothing." if figures.unsorted else "")
            + "</p>\n",
            "<fieldset><legend>How sensitive shall it be? Look at the alerts below, and choose.</legend>\n",
            *(_card(one, figures, checked=one.weeks == chosen) for one in figures.sensitivities),
            "</fieldset>\n",
            *(
                f'<p class="w{one.weeks}">In presort.toml: <code>[spikes]</code> <code>weeks = {one.weeks}</code></p>\n'
                for one in figures.sensitivities
            ),
            _table(figures),
            *(_list(one, history, found[one.weeks].budgeted.episodes, zone) for one in figures.sensitivities),
            "<h2>The words used here</h2>\n<dl>\n",
            *(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>\n" for word, meaning in WORDS.items()),
            "</dl>\n</main>\n</body>\n</html>\n",
        ]
    )


def _card(one: Sensitivity, figures: Figures, *, checked: bool) -> str:
    weeks = max((figures.end - figures.judged_from) / (7 * 86400), 1e-9)
    return (
        f'<label><input type="radio" name="weeks" id="w{one.weeks}"{" checked" if checked else ""}> '
        f"{one.weeks} weeks, {NAMES[one.weeks]}<b>{_count(len(one.alerts), 'alert')}</b>"
        f"<span>{len(one.alerts) / weeks:.1f} a week in all, {one.per_category_month:.2f} per category and month "
        f"({one.per_category_month_without_budget:.2f} without the budget)</span>"
        f"<span>at most one false one per category in {one.weeks} weeks, as far as tickets behave</span></label>\n"
    )


def _table(figures: Figures) -> str:
    heads = "".join(
        f"<th>Alerts, {one.weeks} weeks (without budget)</th><th>Smallest spike, {one.weeks} weeks</th>"
        for one in figures.sensitivities
    )
    rows = zip(*(one.categories for one in figures.sensitivities), strict=True)
    return (
        '<h2>Category by category</h2>\n<div class="scroll" tabindex="0" role="region" aria-label="Categories"><table>'
        f"<caption>Smallest spike: tickets in {SMALLEST_H} hours, and times the usual rate</caption>\n"
        f"<thead><tr><th>Category</th><th>Tickets an hour</th><th>Months watched</th>{heads}</tr></thead>\n<tbody>\n"
        + "".join(
            f'<tr><th scope="row">{escape(row[0].name)}</th><td>{row[0].per_hour:.2f}</td><td>{row[0].months:.1f}</td>'
            + "".join(f"<td>{one.alerts} ({one.without_budget})</td><td>{_smallest(one)}</td>" for one in row)
            + "</tr>\n"
            for row in rows
        )
        + "</tbody></table></div>\n"
    )


def _smallest(one: Category) -> str:
    if one.smallest_tickets is None:
        return "none"
    return f"{np.ceil(one.smallest_tickets):,.0f} ({one.smallest_ratio:,.1f}x)"


def _list(one: Sensitivity, history: History, episodes: list[Episode], zone: str) -> str:
    body = "".join(_article(alert, episode, history, zone) for alert, episode in zip(one.alerts, episodes, strict=True))
    return (
        f'<section class="w{one.weeks}"><h2>{_count(len(one.alerts), "alert")} at {one.weeks} weeks</h2>\n'
        f"{body or '<p>None: nothing in this history is rare enough.</p>'}</section>\n"
    )


def _article(alert: Alert, episode: Episode, history: History, zone: str) -> str:
    title = f"{alert.category}: {'no tickets' if alert.kind == 'silence' else 'spike'}, {_at(alert.fired_at, zone)}"
    return (
        f"<article><h3>{escape(title)}</h3>\n<p>{escape(' '.join(sentences(alert, zone)))}</p>\n"
        f'<figure tabindex="0">{draw(_scene(alert, episode, history, zone), zone, title)}</figure></article>\n'
    )


def sentences(alert: Alert, zone: str) -> Iterator[str]:
    """What an alert would have said, and how it went on."""
    if alert.kind == "silence":
        yield f"No ticket for {span(alert.window_s)}, where {alert.expected:.1f} are usual."
    else:
        ratio = "" if alert.ratio is None else f", {alert.ratio:.1f} times as many"
        yield (
            f"{alert.observed} tickets in {span(alert.window_s)} where {alert.expected:.1f} are usual{ratio} "
            f"(90 % range {alert.ratio_low:.1f} to {alert.ratio_high:.1f})."
        )
    rare = "less than once in 10 years" if alert.once_in_weeks > 520 else f"once in {alert.once_in_weeks:,.0f} weeks"
    yield f"By chance {rare}."
    yield f"Began about {_at(alert.began_at, zone)}, told after {span(alert.fired_at - alert.began_at)}."
    if alert.ended_at is None:
        yield "It lasts when history ends."
    else:
        ended = "became the new normal" if alert.ended == "settled" else "was over"
        yield f"It {ended} {_at(alert.ended_at, zone)}, {span(alert.ended_at - alert.fired_at)} later."
    if alert.told_with is not None:
        yield f"Told together with {alert.told_with}."


def _scene(alert: Alert, episode: Episode, history: History, zone: str) -> Scene:
    ticks = slice(episode.first, episode.first + episode.usual.size)
    minutes = history.counts[episode.row, ticks.start * TICK : ticks.stop * TICK]
    marks = [("began", f"began about {_clock(alert.began_at, zone)}", alert.began_at)]
    marks.append(("fired", f"alert {_clock(alert.fired_at, zone)}", alert.fired_at))
    if alert.ended_at is not None:
        word = "new normal" if alert.ended == "settled" else "over"
        marks.append(("ended", f"{word} {_clock(alert.ended_at, zone)}", alert.ended_at))
    counts = minutes.reshape(-1, TICK).sum(axis=1, dtype=np.int64)
    return Scene(history.start + ticks.start * TICK_S, counts, episode.usual, episode.spread, marks)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _at(at: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%a %-d %b %Y %H:%M %Z}"


def _day(at: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%a %-d %b %Y}"


def _clock(at: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%H:%M}"
