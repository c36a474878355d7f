"""``presort parked``: the messages that wait for a person. Never their text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from integration import parking
from integration.commands import connected
from integration.parking import BusyError, Done, tickets_of
from integration.records import Parked
from integration.store import Store
from integration.times import local_time

SHOWN_TICKETS = 5


@click.group()
def parked() -> None:
    """Show the messages that wait for a person, with their reasons; send them again, or drop them.

    Example: presort parked list
    """


@parked.command("list")
def show_all() -> None:
    """Show them, the oldest first: since when, task, tickets, reason.

    Example: presort parked list
    """
    with connected() as (config, store):
        rows = store.parked()
    for row in rows:
        click.echo(
            f"{row.id}  {_since(row.parked_at, config.zendesk.time_zone)}  {row.task}  {_tickets(row)}  {row.reason}"
        )
    click.echo(f"{len(rows)} parked")


@parked.command()
@click.argument("name", metavar="ID")
def show(name: str) -> None:
    """Show one whole, without the ticket's subject and description.

    Example: presort parked show 3f1c9a04b7de
    """
    with connected() as (config, store):
        row = _one(store, name)
    message = parking.shown(row)
    since = _since(row.parked_at, config.zendesk.time_zone)
    facts = (("parked", since), ("task", row.task), ("about", _tickets(row)), ("reason", row.reason))
    click.echo("\n".join(f"{name:8}{fact}" for name, fact in facts))
    click.echo(
        "It is not shown: it has no form that Presort knows, and may hold a ticket's text."
        if message is None
        else json.dumps(message, indent=2)
    )


@parked.command()
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are parked now.")
def retry(names: tuple[str, ...], *, everything: bool) -> None:
    """Send some of them, or --all, to their queues again; each once, however often it is asked for.

    Example: presort parked retry 3f1c9a04b7de
    """
    _asked(names, everything=everything)
    with _only_one(), connected() as (config, store):
        found = parking.retry(store, config.redis_url, names)
    for one in found.formless:
        click.echo(f"{one}: no message of a task that this release knows; it stays parked", err=True)
    click.echo(f"{len(found.done)} sent again, {_left(found)} left alone")


@parked.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
def drop(names: tuple[str, ...]) -> None:
    """Forget some of them for good: their tickets stay as they are.

    Example: presort parked drop 3f1c9a04b7de
    """
    with _only_one(), connected() as (_, store):
        found = parking.drop(store, names)
    click.echo(f"{len(found.done)} dropped, {_left(found)} left alone")


def _left(found: Done) -> int:
    """How many were left alone; those that were not there are named."""
    for one in found.missing:
        click.echo(f"{one}: not parked", err=True)
    return len(found.missing) + len(found.formless)


@contextmanager
def _only_one() -> Iterator[None]:
    try:
        yield
    except BusyError as error:
        raise click.ClickException(str(error)) from error


def _asked(names: Sequence[str], *, everything: bool) -> None:
    if bool(names) is everything:
        raise click.UsageError("name what to send again, or say --all")


def _one(store: Store, name: str) -> Parked:
    found = next((row for row in store.parked() if row.id == name), None)
    if found is None:
        raise click.ClickException(f"{name} is not parked; `presort parked list` shows what is")
    return found


def _tickets(row: Parked) -> str:
    ids = tickets_of(row)
    more = f" and {len(ids) - SHOWN_TICKETS} more" if len(ids) > SHOWN_TICKETS else ""
    return ("ticket " + ", ".join(map(str, ids[:SHOWN_TICKETS])) + more) if ids else "no ticket named"


def _since(at: float, zone: str) -> str:
    """Local time with its zone, and how long ago that was."""
    minutes = int(time.time() - at) // 60
    age = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
    return f"{local_time(at, zone)} ({age} ago)"
