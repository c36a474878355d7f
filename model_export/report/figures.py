"""The report's pictures, each with a description in words for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from model_export.calibrate import Floats, Ints, lower_bound
from model_export.evaluate import Months, Reliability
from model_export.report.findings import Curve, Findings, LearningPoint
from model_export.report.look import BLUE, INK, MARKERS, NARROW, RED, WIDE, brief, drawing, percent, to_svg

SHOWN_CLASSES = 12
"""Rows of the confusion matrix; of more classes, those most often mixed up are shown."""

# From see-through to blue: the empty cell is the page's own colour, light or dark.
_PRESENCE = LinearSegmentedColormap.from_list("presence", [(0, 0.447, 0.698, 0), (0, 0.447, 0.698, 1)])


class Picture(NamedTuple):
    """An SVG document, its name, and what it shows in words."""

    name: str
    svg: str
    alt: str


def pictures(findings: Findings) -> dict[str, Picture]:
    """All pictures there are figures for, by name."""
    return {picture.name: picture for picture in _all(findings)}


def shown_classes(confusion: Ints) -> list[int]:
    """The classes worth a place in the matrix: all if they are few, or those most often mixed up."""
    wrong = confusion - np.diag(np.diag(confusion))
    mixed_up = wrong.sum(axis=0) + wrong.sum(axis=1)
    return sorted(np.argsort(-mixed_up, kind="stable")[:SHOWN_CLASSES].tolist())


def _all(findings: Findings) -> Iterator[Picture]:
    yield _coverage(findings)
    yield _reliability(findings.reliability)
    if findings.confusion is not None:
        yield _confusion(findings.confusion, findings.names)
    if findings.months is not None:
        yield _months(findings.months, findings.observed)
    for number, curve in enumerate(findings.curves, start=1):
        yield _training(curve, f"training-{number}")
    if findings.learning:
        yield _learning(findings.learning)


def _coverage(findings: Findings) -> Picture:
    with drawing(WIDE) as (figure, axes):
        if findings.curve is not None:
            axes.plot(*_thinned(*findings.curve), label="one threshold for all categories")
        words: list[str] = []
        for each in findings.promises or (findings.chosen,):
            share, right = each.delivery.coverage, each.delivery.precision
            if share:
                label = "" if words else "a threshold for each category, by promised precision"
                axes.plot(share, right, color=RED, marker="o", linestyle="none", label=label)
                promised = "?" if np.isnan(each.target) else f"{each.target * 100:.0f} %"
                axes.annotate(promised, (share, right), (5, 4), textcoords="offset points", fontsize=8)
                words.append(f"promised {promised}, {share:.0%} filled, {right:.0%} of them right")
        percent(axes.xaxis, axes.yaxis)
        axes.set(xlim=(0, 1.04), xlabel="tickets filled", ylabel="right among them")
        if axes.lines:
            figure.legend(loc="outside upper left", ncols=2, fontsize="small")
        alt = f"Share of tickets filled against share right among them: {'; '.join(words) or 'nothing can be filled'}."
        return Picture("coverage", to_svg(figure), alt)


def _thinned(coverage: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Points enough for a line; the first few tickets, which jump between 0 and 100 %, are left out."""
    rows = np.unique(np.linspace(min(30, len(coverage) - 1), len(coverage) - 1, 250).astype(np.int64))
    return coverage[rows], precision[rows]


def _reliability(measured: Reliability) -> Picture:
    some = measured.answers > 0
    said, right, answers = measured.confidence[some], measured.accuracy[some], measured.answers[some]
    with drawing(NARROW) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", label="exactly as sure as right")
        axes.plot(said, right, color=BLUE, linewidth=1)
        axes.scatter(said, right, s=15 + 200 * answers / answers.max(), color=BLUE, label="this model (size: tickets)")
        percent(axes.xaxis, axes.yaxis)
        axes.set(xlim=(0, 1.04), ylim=(0, 1.04), xlabel="how sure it said it was", ylabel="how often it was right")
        axes.legend(loc="upper left", fontsize="small", markerscale=0.5)
        words = "; ".join(f"said {s:.0%}, right {r:.0%}" for s, r in zip(said, right, strict=True))
        return Picture(
            "reliability", to_svg(figure), f"How sure the model was against how often it was right: {words}."
        )


def _confusion(confusion: Ints, names: tuple[str, ...]) -> Picture:
    shown = shown_classes(confusion)
    shares = confusion[np.ix_(shown, shown)] / np.maximum(confusion[shown].sum(axis=1, keepdims=True), 1)
    ticks, labels = np.arange(len(shown)) + 0.5, [brief(names[label]) for label in shown]
    side = 1.9 + 0.36 * len(shown)
    with drawing((side + 0.3, side)) as (figure, axes):
        axes.grid(visible=False)
        axes.pcolormesh(shares, cmap=_PRESENCE, vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                colour = "white" if share > 0.55 else INK
                axes.text(column + 0.5, row + 0.5, f"{share * 100:.0f}", color=colour, ha="center", va="center", size=8)
        axes.set_xticks(ticks, labels, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, labels)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set(aspect="equal", xlabel="what the model said", ylabel="what it was")
        words = ", ".join(f"{names[label]} {shares[row, row]:.0%}" for row, label in enumerate(shown))
        alt = f"Which categories are taken for which, in percent of a category's tickets. Recognised: {words}."
        return Picture("confusion", to_svg(figure), alt)


def _months(months: Months, observed: dict[str, tuple[int, int]]) -> Picture:
    estimated = months.accuracy[[months.names.index(name) for name in observed]]
    right, tickets = np.array(list(observed.values())).T
    found = right / tickets
    at = np.arange(len(found))
    with drawing(WIDE) as (figure, axes):
        axes.axhspan(months.low, months.high, color=RED, alpha=0.15, linewidth=0, label="middle third of estimates")
        axes.plot(at, estimated, color=RED, marker="s", label="estimated from the mix")
        error = [found - lower_bound(right, tickets, 0.025), 1 - lower_bound(tickets - right, tickets, 0.025) - found]
        axes.errorbar(at, found, yerr=error, color=BLUE, marker="o", capsize=3, label="observed, 95 % range")
        axes.set_xticks(at, list(observed), rotation=45, ha="right", rotation_mode="anchor")
        percent(axes.yaxis)
        axes.set(ylabel="right first time")
        figure.legend(loc="outside upper left", ncols=3, fontsize="small")
        words = "; ".join(
            f"{name} estimated {e:.0%}, observed {f:.0%}" for name, e, f in zip(observed, estimated, found, strict=True)
        )
        return Picture("months", to_svg(figure), f"Accuracy by month: {words}.")


def _training(curve: Curve, name: str) -> Picture:
    words = []
    with drawing(NARROW) as (figure, axes):
        for number, (label, points) in enumerate(curve.series.items()):
            x, y = np.array(points).T
            marker = MARKERS[number % len(MARKERS)] if len(x) <= 20 else ""
            axes.plot(x, y, marker=marker, label=label)
            words.append(f"{label} from {y[0]:.3g} to {y[-1]:.3g}")
        axes.set(xlabel=curve.x_label, ylabel=curve.y_label, xscale="log" if curve.log_x else "linear")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(fontsize="small")
        return Picture(name, to_svg(figure), f"{curve.title}: {'; '.join(words)}.")


def _learning(points: tuple[LearningPoint, ...]) -> Picture:
    sizes = sorted({point.rows for point in points})
    with drawing(WIDE) as (figure, axes):
        for number, strategy in enumerate(dict.fromkeys(point.strategy for point in points)):
            own = sorted((point for point in points if point.strategy == strategy), key=lambda point: point.rows)
            middle, low, high = np.array([point.macro_f1 for point in own]).T
            marker = MARKERS[number % len(MARKERS)]
            error = np.abs([middle - low, high - middle])
            axes.errorbar([p.rows for p in own], middle, yerr=error, marker=marker, capsize=3, label=strategy)
        axes.set(xscale="log", xlabel="tickets learned from", ylabel="macro-F1")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        percent(axes.yaxis)
        axes.legend(fontsize="small")
        words = "; ".join(f"{p.strategy} with {p.rows:,} tickets {p.macro_f1.value:.0%}" for p in points)
        return Picture("learning", to_svg(figure), f"Macro-F1 by number of training tickets: {words}.")
