"""What every page has at hand: settings, store, the account's time zone, and how a page is shown."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from flask import abort, current_app, g, render_template, request
from redis import Redis

from integration import alerting
from integration.controls import Controls
from integration.settings import Classifier, Settings
from integration.store import Store

EXTENSION = "presort_console"

T = TypeVar("T")


class Context(NamedTuple):
    """One a process."""

    config: Settings
    store: Store


def _context() -> Context:
    found: Context = current_app.extensions[EXTENSION]
    return found


def config() -> Settings:
    """The settings."""
    return _context().config


def store() -> Store:
    """The store, whose errors become the page that says so."""
    return _context().store


def redis() -> Redis:
    """Its connection."""
    return _context().store.redis


def zone() -> ZoneInfo:
    """In which people read times."""
    return ZoneInfo(config().zendesk.time_zone)


def user() -> str:
    """Who asks, for the record; "" where nobody has signed in."""
    return str(g.get("user", ""))


def from_script() -> bool:
    """Whether one of our scripts asks, and not a person who opens a page."""
    return "X-Requested-With" in request.headers


def note(what: str) -> None:
    """Remember, and log, what the person did."""
    Controls(redis()).note(f"{user()} (console)", what)


def classifier() -> Classifier:
    """The one that the address names, else the first; 404 for one that there is not."""
    found = config().classifiers
    name = request.args.get("classifier", found[0].name)
    return or_404(next((one for one in found if one.name == name), None))


def or_404(found: T | None) -> T:
    """What was found; the page that says "not found" where nothing was."""
    if found is None:
        abort(404)
    return found


def page(template: str, **more: Any) -> str:  # noqa: ANN401 - a template takes anything
    """A whole page: the template, with what the frame around it shows."""
    frame = {
        "firing": sum(one.state == "firing" for one in alerting.active(redis())),
        "refusal": Controls(redis()).refusal(config().zendesk, time.time()),
    }
    return render_template(f"console/{template}", **(frame | more))
