"""A category's tickets by hour of the local week: counted in some weeks, and what is usual."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

from integration.console.figures import Figure
from integration.times import week_hour

HOURS = 168
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Week(NamedTuple):
    """Both (168,) tickets an hour, 0 = Monday 00:00.

    Attributes:
        counted: the mean of the counted hours; None where none of them is such an hour of the week.
        usual: what was learned; None before that.
        weeks: how many weeks of hours were counted.
    """

    counted: tuple[float | None, ...]
    usual: tuple[float, ...] | None
    weeks: float


class Day(NamedTuple):
    """Tickets a day: the mean of those counted, None where an hour of it was never counted; and what is usual."""

    name: str
    counted: float | None
    usual: float | None


def week(
    tickets: Sequence[int], first: int, zone: ZoneInfo, holidays: Collection[date], rate: Sequence[float] | None
) -> Week:
    """Put hours into their week.

    Args:
        tickets: (H,) in each Unix hour from ``first`` on.
        first: the first of them.
        zone: in which weeks are local.
        holidays: days on which a Sunday's rates are expected.
        rate: (168,) tickets an hour that are usual.
    """
    sums, hours = [0] * HOURS, [0] * HOURS
    for place, count in enumerate(tickets):
        at = week_hour(first + place, zone, holidays)
        sums[at] += count
        hours[at] += 1
    counted = tuple(total / many if many else None for total, many in zip(sums, hours, strict=True))
    return Week(counted, None if rate is None else tuple(rate), len(tickets) / HOURS)


def days(found: Week) -> list[Day]:
    """Monday to Sunday."""
    rows = []
    for place, name in enumerate(DAYS):
        part = slice(24 * place, 24 * (place + 1))
        counted = [one for one in found.counted[part] if one is not None]
        rows.append(
            Day(
                name,
                sum(counted) if len(counted) == 24 else None,
                None if found.usual is None else sum(found.usual[part]),
            )
        )
    return rows


def sentence(found: Week) -> str:
    """What the picture shows, in words."""
    counted = [(one, at) for at, one in enumerate(found.counted) if one is not None]
    if not counted:
        return "No whole hour was counted yet."
    most, at = max(counted)
    if not most:
        return f"No ticket in {found.weeks:.1f} weeks."
    text = f"Most tickets on {DAYS[at // 24]} at {at % 24:02}:00, {most:.1f} an hour"
    if found.usual is not None:
        text += f", where {found.usual[at]:.1f} are usual"
    return f"{text}; the mean of {found.weeks:.1f} weeks."


def figure(found: Week, zone: ZoneInfo) -> Figure:
    """Bars of what was counted, and a line of what is usual."""
    at = [hour + 0.5 for hour in range(HOURS)]
    names = [f"{DAYS[hour // 24]} {hour % 24:02}:00" for hour in range(HOURS)]
    data: list[Figure] = [
        {"type": "bar", "x": at, "y": [None if one is None else round(one, 3) for one in found.counted]}
        | {"name": "counted", "marker": {"color": "--bar"}, "customdata": names}
        | {"hovertemplate": "%{customdata}: %{y:.2f} counted<extra></extra>"}
    ]
    if found.usual is not None:
        data.append(
            {"type": "scatter", "x": at, "y": [round(one, 3) for one in found.usual], "mode": "lines", "name": "usual"}
            | {"line": {"color": "--usual", "width": 2, "shape": "hvh"}, "customdata": names}
            | {"hovertemplate": "%{customdata}: %{y:.2f} usual<extra></extra>"}
        )
    layout = {
        "bargap": 0,
        "xaxis": {
            "range": [0, HOURS],
            "tickvals": [24 * day + 12 for day in range(7)],
            "ticktext": [name[:3] for name in DAYS],
            "title": {"text": f"time ({zone.key})"},
            "showgrid": False,
        },
        "yaxis": {"rangemode": "tozero", "title": {"text": "tickets an hour"}},
        "shapes": [
            {"type": "line", "x0": 24 * day, "x1": 24 * day, "y0": 0, "y1": 1, "yref": "paper"}
            | {"line": {"color": "--line", "width": 1}}
            for day in range(1, 7)
        ],
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout, "text": sentence(found)}
