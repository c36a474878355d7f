"""Plotly figures, as JSON that ``static/charts.js`` draws. Colours are names of the style sheet's: light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import escape

from integration.console.usually import Usual
from integration.records import Alert
from integration.times import span

STATES = (("firing", "firing", "--wrong"), ("over", "over", "--bar"))

Figure = dict[str, Any]
"""``data`` and ``layout`` as Plotly wants them, and ``text``: a sentence that says the same."""


class Mark(NamedTuple):
    """A moment to mark, Unix seconds."""

    at: float
    text: str


def counts(
    starts: Sequence[float],
    step_s: float,
    tickets: Sequence[int],
    usual: Sequence[Usual] | None,
    zone: ZoneInfo,
    *,
    text: str,
    marks: Sequence[Mark] = (),
) -> Figure:
    """Tickets as bars against what is usual.

    Args:
        starts: (T,) Unix seconds of the steps' begins.
        step_s: how long each is.
        tickets: (T,) counted.
        usual: (T,) and its band; None before anything was learned.
        zone: of the axis.
        text: the sentence that says the same.
        marks: moments to mark.
    """
    at = [_local(start + step_s / 2, zone) for start in starts]
    data: list[Figure] = []
    if usual is not None:
        edge = {"type": "scatter", "x": at, "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
        data = [
            edge | {"y": [round(one.low, 2) for one in usual], "showlegend": False},
            edge
            | {"y": [round(one.high, 2) for one in usual], "fill": "tonexty", "fillcolor": "--band"}
            | {"name": "nine of ten quiet times"},
        ]
    data.append(
        {"type": "bar", "x": at, "y": list(tickets), "name": "tickets", "marker": {"color": "--bar"}}
        | {"hovertemplate": "%{y} tickets<extra></extra>"}
    )
    if usual is not None:
        data.append(
            {"type": "scatter", "x": at, "y": [round(one.expected, 2) for one in usual], "mode": "lines"}
            | {"name": "usual", "line": {"color": "--usual", "width": 2, "dash": "dot"}}
            | {"hovertemplate": "%{y:.1f} usual<extra></extra>"}
        )
    layout = {
        "xaxis": {"type": "date", "title": {"text": f"time ({zone.key})"}},
        "yaxis": {"rangemode": "tozero", "title": {"text": f"tickets in {length(step_s)}"}},
        "hovermode": "x unified",
        "shapes": [
            {"type": "line", "x0": _local(one.at, zone), "x1": _local(one.at, zone), "y0": 0, "y1": 1, "yref": "paper"}
            | {"line": {"color": "--mark", "width": 1.5, "dash": "dash"}}
            for one in marks
        ],
        "annotations": [
            {"x": _local(one.at, zone), "y": 1, "yref": "paper", "yanchor": "bottom", "text": one.text}
            | {"showarrow": False, "font": {"color": "--mark"}, "yshift": 14 * place}
            for place, one in enumerate(marks)
        ],
    }
    return {"data": data, "layout": layout, "text": text}


def timeline(alerts: Sequence[Alert], zone: ZoneInfo, now: float) -> Figure:
    """Alerts as bars from begin to end, a line for each category that had one; ``now`` in Unix seconds."""
    data = []
    for state, name, colour in STATES:
        rows = [one for one in alerts if (one.state == "firing") is (state == "firing")]
        if rows:
            ends = [one.resolved_at or now for one in rows]
            data.append(
                {"type": "bar", "orientation": "h", "name": name, "marker": {"color": colour}}
                | {"y": [plain(one.name) for one in rows], "base": [_local(one.started_at, zone) for one in rows]}
                # A bar's length on an axis of dates is in milliseconds; the shortest can still be seen.
                | {"x": [1000 * max(end - one.started_at, 600) for one, end in zip(rows, ends, strict=True)]}
                | {"customdata": [_told(one, end) for one, end in zip(rows, ends, strict=True)]}
                | {"hovertemplate": "%{y}: %{customdata}<extra></extra>"}
            )
    firing = sum(one.state == "firing" for one in alerts)
    text = f"{firing} firing and {len(alerts) - firing} over, of {len({one.name for one in alerts})} categories."
    layout = {
        "barmode": "overlay",
        "bargap": 0.35,
        "xaxis": {"type": "date", "title": {"text": f"time ({zone.key})"}},
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout, "text": text}


def plain(name: str) -> str:
    """A name as Plotly shows it as it is: it reads a little HTML in texts, links among it."""
    return str(escape(name))


def length(step_s: float) -> str:
    """How long a bar is: ``1 minute``, ``5 minutes``, ``1 hour``, ``2 seconds``."""
    for unit, seconds in (("hour", 3600), ("minute", 60), ("second", 1)):
        if step_s >= seconds and step_s % seconds == 0:
            many = int(step_s // seconds)
            return f"{many} {unit}{'s' * (many > 1)}"
    return f"{step_s:g} seconds"


def _told(alert: Alert, end: float) -> str:
    return f"{alert.observed} tickets where {alert.expected:.1f} are usual, {span(end - alert.started_at)}"


def _local(at: float, zone: ZoneInfo) -> str:
    """Plotly knows no zones: what it is given, it shows."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}"
