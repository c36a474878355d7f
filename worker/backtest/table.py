"""The figures as a table for the terminal."""

from __future__ import annotations

import math

from worker.backtest.figures import SMALLEST_H, Category, Figures

NAME_WIDTH = 32


def table(figures: Figures) -> str:
    """A line a category: at each sensitivity its alerts, in brackets without the budget, and its smallest spike."""
    first = figures.sensitivities[0]
    width = min(NAME_WIDTH, max(len("per category-month"), *(len(one.name) for one in first.categories)))
    heads = "".join(f"{f'{one.weeks} weeks':>12} {'smallest':>9}" for one in figures.sensitivities)
    lines = [f"{'category':{width}} {'tickets/h':>10} {'months':>7}{heads}"]
    for row in zip(*(one.categories for one in figures.sensitivities), strict=True):
        cells = "".join(f"{f'{one.alerts} ({one.without_budget})':>12} {_smallest(one):>9}" for one in row)
        lines.append(f"{_cut(row[0].name, width):{width}} {row[0].per_hour:10.2f} {row[0].months:7.1f}{cells}")
    rates = (
        f"{f'{one.per_category_month:.2f} ({one.per_category_month_without_budget:.2f})':>12} {'':9}"
        for one in figures.sensitivities
    )
    lines.append(f"{'per category-month':{width}} {'':10} {first.months:7.1f}{''.join(rates)}".rstrip())
    note = (
        "Alerts at each sensitivity, in brackets without the budget of false alerts; smallest: the tickets in "
        f"{SMALLEST_H} hours that are found at the usual rate, - where it wanders too much."
    )
    return "\n".join([*lines, "", note])


def _smallest(one: Category) -> str:
    return "-" if one.smallest_tickets is None else f"{math.ceil(one.smallest_tickets):,}"


def _cut(name: str, width: int) -> str:
    name = "".join(sign if sign.isprintable() else "?" for sign in name)  # a file's could steer the terminal
    return name if len(name) <= width else f"{name[: width - 1]}…"
