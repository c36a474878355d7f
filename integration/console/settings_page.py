"""*Settings*: what presort.toml says and means, which secrets are set, and the switch that pauses all writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from integration.console import context
from integration.controls import Controls
from integration.settings import Settings, meanings

routes = Blueprint("settings", __name__, url_prefix="/settings")

SHOWN_CHANGES = 50
REASON_CHARS = 200

SECRETS = {
    "zendesk_client_secret": "PRESORT_ZENDESK_CLIENT_SECRET",
    "webhook_secrets": "PRESORT_WEBHOOK_SECRETS",
    "agent_secrets": "PRESORT_AGENT_SECRETS",
    "console_password": "PRESORT_CONSOLE_PASSWORD",
    "console_key": "PRESORT_CONSOLE_KEY",
}


class Setting(NamedTuple):
    """A line of the page; ``given`` is False for what is as it comes."""

    name: str
    value: str
    given: bool
    meaning: str


class Group(NamedTuple):
    """A group of presort.toml."""

    title: str
    about: str
    settings: list[Setting]


class Secret(NamedTuple):
    """Whether the console's own process has a secret; never which."""

    name: str
    given: bool


@routes.get("/")
def show() -> str:
    """The whole page."""
    config, controls = context.config(), Controls(context.redis())
    cap = config.zendesk.writes_per_day
    return context.page(
        "settings.html",
        groups=list(groups(config)),
        secrets=list(secrets(config)),
        switch=controls.switch(),
        in_file=config.zendesk.paused,
        cap=cap,
        written=None if cap is None else controls.written_on(time.time()),
        waiting=context.store().depths()["deferred"],
        changes=controls.changes(SHOWN_CHANGES),
    )


@routes.post("/pause")
def pause() -> ResponseReturnValue:
    """Stop all writes at once; every decision is kept."""
    controls = Controls(context.redis())
    before = controls.switch()
    if before is not None and before.paused:
        flash(f"Paused already, by {before.by}.")
    else:
        reason = request.form.get("reason", "").strip()[:REASON_CHARS]
        controls.throw(paused=True, by=f"{context.user()} (console)", reason=reason)
        flash("Paused: tickets are still sorted, and nothing is written until somebody resumes.")
    return redirect(url_for("settings.show"))


@routes.post("/resume")
def resume() -> ResponseReturnValue:
    """Let writes go on."""
    Controls(context.redis()).throw(paused=False, by=f"{context.user()} (console)")
    flash("Writes go on: what waited is written in its order, within the account's limits.")
    return redirect(url_for("settings.show"))


def groups(config: Settings) -> Iterator[Group]:
    """Every setting of presort.toml as it holds now."""
    yield _group("zendesk", config.zendesk)
    yield _group("receiver", config.receiver)
    yield _group("console", config.console)
    for classifier in config.classifiers:
        yield _group(f"classifier {classifier.name}", classifier)
    yield _group("worker", config.worker)
    yield _group("spikes", config.spikes)
    for channel in config.channels:
        yield _group(f"channel {channel.name}", channel)
    yield _group("ledger", config.ledger)


def secrets(config: Settings) -> Iterator[Secret]:
    """Which are set in this process's environment."""
    for field, name in SECRETS.items():
        yield Secret(name, bool(getattr(config, field)))
    for channel in config.channels:
        if channel.kind != "zendesk":
            yield Secret(f"secret of channel {channel.name}", channel.name in config.channel_secrets)


def _group(title: str, group: msgspec.Struct) -> Group:
    meaning = meanings(type(group))
    found = [
        Setting(
            name=field.name,
            value=_shown(getattr(group, field.name)),
            given=getattr(group, field.name) != _default(field),
            meaning=_plain(meaning.get(field.name, "")),
        )
        for field in msgspec.structs.fields(type(group))
    ]
    return Group(title, _plain((type(group).__doc__ or "").partition("\n")[0]), found)


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever TOML can say
    """As presort.toml would say it."""
    match value:
        case None:
            shown = "not set"
        case bool():
            shown = str(value).lower()
        case str() if "@" in value and "://" in value:  # whoever put a password into an address
            shown = f'"{urlsplit(value).scheme}://..."'
        case str():
            shown = f'"{value}"'
        case dict():
            shown = ", ".join(f"{name} = {_shown(one)}" for name, one in value.items()) or "none"
        case list() | tuple():
            shown = ", ".join(map(_shown, value)) or "none"
        case _:
            shown = str(value)
    return shown


def _plain(text: str) -> str:
    """A docstring's words for people who read no docstrings."""
    code, text = text.startswith("``"), " ".join(text.split()).replace("``", "")
    return text if code else text[:1].upper() + text[1:]
