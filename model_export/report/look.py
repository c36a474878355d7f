"""How the report's pictures look: colours, lettering, and an SVG that follows the reader's light or dark setting."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.typing import RcKeyType

# Okabe and Ito's colours, told apart with any kind of colour vision; these are also seen on black and on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
BLUE, RED = COLOURS[:2]
MARKERS = ("o", "s", "^", "D", "v")  # and by shape, in print
INK = "#1b1f24"

WIDE, NARROW = (6.4, 3.5), (5.0, 3.6)
"""Inches; small enough that the lettering is still read when a phone shows them."""

_STYLE = f"<style>:root{{--ink:{INK}}}@media(prefers-color-scheme:dark){{:root{{--ink:#e3e6ea}}}}</style>"
_LOOK: dict[RcKeyType, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.size": 9.5,
    "grid.alpha": 0.12,
    "grid.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "presort",  # the same figures give the same file
    "text.color": INK,
    "text.parse_math": False,  # a category may be called $refund$
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing(size: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure of so many inches in our look; draw and ``to_svg`` inside, for the look ends with it."""
    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=size)
        yield figure, figure.subplots()


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document on a transparent ground; its ink is dark on light and light on dark."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    start = svg.index("<svg")
    end = svg.index(">", start) + 1
    return svg[start:end] + _STYLE + svg[end:].replace(INK, f"var(--ink,{INK})")


def percent(*axes: Axis) -> None:
    """Label shares as percentages, with as many digits as tell the ticks apart."""
    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))


def brief(name: str, longest: int = 24) -> str:
    """A name that fits beside a picture; nested options ``A::B`` show their last part."""
    name = name.rsplit("::", 1)[-1]
    return name if len(name) <= longest else name[: longest - 1] + "…"
