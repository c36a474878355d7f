"""The commands by which people hold Presort back, and see how it stands: pause, resume, restore, status."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator

import click

from integration import recounts
from integration.commands import connected
from integration.controls import Controls
from integration.settings import Classifier, Settings
from integration.store import Store
from integration.times import local_time

SHOWN_CHANGES = 5


def _whoever() -> str:
    """The user and the machine that a command was typed on."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


by_option = click.option("--by", default=_whoever, help="Who does it, for the record; you, unless said otherwise.")


@click.command()
@click.option("--reason", default="", help="Why, for the record.")
@by_option
def pause(*, reason: str, by: str) -> None:
    """Stop all writes at once; tickets are still sorted, and every decision is kept for later.

    No update is sent after this, but for one that is on its way; a bulk job that Zendesk has taken goes on there. A
    pause that must outlast the loss of all of Redis belongs into presort.toml: `paused = true` under [zendesk].

    Example: presort pause --reason "wrong categories since noon"
    """
    with connected() as (config, store):
        controls = Controls(store.redis)
        before = controls.switch()
        if before is not None and before.paused:
            click.echo(f"paused already, by {before.by}, since {local_time(before.at, config.zendesk.time_zone)}")
            return
        controls.throw(paused=True, by=by, reason=reason)
    click.echo("paused: nothing is written until `presort resume`")


@click.command()
@by_option
def resume(*, by: str) -> None:
    """Let writes go on: what waited is written in its order, within the account's limits.

    Example: presort resume
    """
    with connected() as (config, store):
        before = Controls(store.redis).throw(paused=False, by=by)
        waiting = store.depths()["deferred"]
    since = ""
    if before is not None and before.paused:
        since = f", after a pause since {local_time(before.at, config.zendesk.time_zone)}"
    click.echo(f"writes go on{since}; {waiting:,} messages wait")
    if config.zendesk.paused:
        click.echo("presort.toml still says `paused = true`: take it out and start the workers again", err=True)


@click.command()
@click.argument("classifier", required=False)
@click.argument("category", required=False)
@by_option
def restore(*, classifier: str | None, category: str | None, by: str) -> None:
    """Give a demoted CATEGORY its mode back; without arguments, show which are demoted and why.

    Example: presort restore category refund_request
    """
    if classifier and not category:
        raise click.UsageError("name the category too; without arguments all demoted ones are shown")
    with connected() as (config, store):
        controls = Controls(store.redis)
        if classifier and category:
            if not controls.restore(classifier, category, by=by):
                raise click.ClickException(f"{classifier}/{category} is not demoted; `presort restore` shows what is")
            click.echo(f"{classifier}/{category} has its mode of presort.toml again")
            return
        demotions = controls.demotions()
    for (name, one), demotion in sorted(demotions.items()):
        click.echo(f"{name} {one}  since {local_time(demotion.at, config.zendesk.time_zone)}  {demotion.reason}")
    click.echo(f"{len(demotions)} demoted")


@click.command()
def status() -> None:
    """Show whether Presort writes, what waits, and how far each classifier, category and brand may go.

    Example: presort status
    """
    with connected() as (config, store):
        controls, past, zone = Controls(store.redis), recounts.current(store.redis), config.zendesk.time_zone
        lines = [
            ("writes", _writes(config, controls)),
            ("workers", str(len(store.workers()))),
            ("waiting", ", ".join(f"{place} {count:,}" for place, count in store.depths().items())),
            *((("past hours", past.describe(time.time(), zone)),) if past else ()),
            *((one.name, line) for one in config.classifiers for line in _modes(one, store, controls, zone)),
            *(
                ("change", f"{local_time(one.at, zone)}  {one.by} {one.what}")
                for one in controls.changes(SHOWN_CHANGES)
            ),
        ]
    width = max(len(name) for name, _ in lines)
    click.echo("\n".join(f"{name:{width}}  {line}" for name, line in lines))


def _writes(config: Settings, controls: Controls) -> str:
    limits, switch, now = config.zendesk, controls.switch(), time.time()
    if limits.paused:
        return "paused in presort.toml"
    if switch is not None and switch.paused:
        why = f": {switch.reason}" if switch.reason else ""
        return f"paused by {switch.by} since {local_time(switch.at, limits.time_zone)}{why}"
    cap = limits.writes_per_day
    if cap is None:
        return "on"
    written = controls.written_on(now)
    full = "on" if written < cap else "waiting for 00:00 UTC"
    return f"{full}, {written:,} of {cap:,} tickets today ({written / cap:.1%})"


def _modes(classifier: Classifier, store: Store, controls: Controls, zone: str) -> Iterator[str]:
    """The mode and what differs from it; then what presort.toml names and the model does not know."""
    yield classifier.mode
    yield from (f"category {name}: {mode}" for name, mode in classifier.categories.items())
    yield from (f"brand {brand}: {mode}" for brand, mode in classifier.brands.items())
    for (name, category), demotion in controls.demotions().items():
        if name == classifier.name:
            yield f"category {category}: demoted to suggest since {local_time(demotion.at, zone)}: {demotion.reason}"
    model = store.model(classifier.name)
    if model is not None and (unknown := sorted(set(classifier.categories) - set(model.labels))):
        yield f"presort.toml names categories that {model.name}@{model.version} does not know: {', '.join(unknown)}"
