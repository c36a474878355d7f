"""The learning curve: macro-F1 over training rows, a line a strategy."""

from __future__ import annotations

from collections.abc import Sequence

from model_export.compare.answers import Answers
from model_export.compare.scoring import Point
from model_export.report.figures import Picture
from model_export.report.look import COLOURS, INK, MARKERS, WIDE, drawing, percent, to_svg

NAME = "learning"


def learning_curve(points: Sequence[Point], answers: Answers) -> Picture:
    """Bands are the points' own 95 % intervals; a dotted line stands where another strategy becomes the best."""
    words = []
    sizes = sorted({point.rows for point in points})
    with drawing(WIDE) as (figure, axes):
        for number, strategy in enumerate(dict.fromkeys(point.strategy for point in points)):
            own = sorted((point for point in points if point.strategy == strategy), key=lambda point: point.rows)
            macro = [point.scores.macro_f1.interval() for point in own]
            rows = [point.rows for point in own]
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            style = "-" if number < len(COLOURS) else "--"  # there are more strategies than colours
            axes.plot(rows, [m.value for m in macro], style, color=colour, marker=marker, label=strategy)
            axes.fill_between(rows, [m.low for m in macro], [m.high for m in macro], color=colour, alpha=0.15, lw=0)
            words.append(
                f"{strategy} from {macro[0].value:.0%} with {rows[0]:,} to {macro[-1].value:.0%} with {rows[-1]:,}"
            )
        for size, strategy in answers.changes:
            axes.axvline(size, color=INK, linewidth=0.8, linestyle=":")
            axes.annotate(
                f"{strategy} leads",
                (size, 0.01),
                (3, 0),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=8,
                rotation=90,
            )
            words.append(f"from {size:,} on {strategy} is best")
        axes.set(xscale="log", xlabel="tickets learned from", ylabel="macro-F1")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        percent(axes.yaxis)
        figure.legend(loc="outside upper left", ncols=4, fontsize="small")
        return Picture(NAME, to_svg(figure), f"Macro-F1 by number of training tickets: {'; '.join(words)}.")
