"""The pages, in the order of the navigation. Another one is a module, a template, and a line here."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint

from integration.console import alerts, categories, funnel, models, now, settings_page, tickets, try_it


class Page(NamedTuple):
    """A page; its blueprint's view ``show`` is what the navigation leads to."""

    title: str
    routes: Blueprint


PAGES = (
    Page("Now", now.routes),
    Page("Categories", categories.routes),
    Page("Alerts", alerts.routes),
    Page("Funnel", funnel.routes),
    Page("Tickets", tickets.routes),
    Page("Models", models.routes),
    Page("Try it", try_it.routes),
    Page("Settings", settings_page.routes),
)
