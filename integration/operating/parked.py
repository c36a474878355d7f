"""``presort parked``: the messages that wait for a person. Never their text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from integration import messages
from integration.console import connected
from integration.messages import Writes
from integration.publisher import create_celery, publish
from integration.records import Parked
from integration.store import Store
from integration.times import local_time

TEXTS = {"subject", "description"}
SHOWN_TICKETS = 5
LOCK_S = 60.0


def message_of(row: Parked) -> dict[str, Any] | None:
    """The payload of a parked message, however it came to be parked; None when it has no form to be sent in.

    A batch parks a task's arguments, the consumer the body of a message whose task it did not know: a list of
    arguments, options and callbacks.
    """
    payload = row.payload
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return None
    match payload:
        case dict():
            return payload
        case [dict() as first] | [[dict() as first], *_]:
            return first
        case _:
            return None


def tickets_of(row: Parked) -> list[int]:
    """The tickets that a parked message is about, as far as it says."""
    message = message_of(row) or {}
    decisions = message.get("decisions")
    parts = [message, *(decisions if isinstance(decisions, list) else [])]
    ids = (part.get("ticket_id") for part in parts if isinstance(part, dict))
    return sorted({one for one in ids if isinstance(one, int)})


def without_text(value: object) -> object:
    """The same with every subject and description left out."""
    if isinstance(value, dict):
        return {key: without_text(inner) for key, inner in value.items() if key not in TEXTS}
    return [without_text(inner) for inner in value] if isinstance(value, list) else value


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
    with connected() as (_, store):
        rows = store.parked()
    for row in rows:
        click.echo(f"{row.id}  {_since(row.parked_at)}  {row.task}  {_tickets(row)}  {row.reason}")
    click.echo(f"{len(rows)} parked")


@parked.command()
@click.argument("name", metavar="ID")
def show(name: str) -> None:
    """Show one whole, without the ticket's subject and description.

    Example: presort parked show 3f1c9a04b7de
    """
    with connected() as (_, store):
        row = _one(store, name)
    message = message_of(row) if row.task in messages.QUEUES else None  # another's may have a text under any name
    facts = (("parked", _since(row.parked_at)), ("task", row.task), ("about", _tickets(row)), ("reason", row.reason))
    click.echo("\n".join(f"{name:8}{fact}" for name, fact in facts))
    click.echo(
        "It is not shown: it has no form that Presort knows, and may hold a ticket's text."
        if message is None
        else json.dumps(without_text(message), indent=2)
    )


@parked.command()
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are parked now.")
def retry(names: tuple[str, ...], *, everything: bool) -> None:
    """Send some of them, or --all, to their queues again; each once, however often it is asked for.

    Example: presort parked retry 3f1c9a04b7de
    """
    _asked(names, everything=everything)
    with connected() as (config, store):
        celery = create_celery("presort.cli", config.redis_url)

        def send(row: Parked) -> bool:
            message = message_of(row)
            if message is None or row.task not in messages.QUEUES:
                click.echo(f"{row.id}: no message of a task that this release knows; it stays parked", err=True)
                return False
            publish(celery, row.task, _anew(store, row.task, message))
            return True

        sent, left = _each(store, names, send)
    click.echo(f"{sent} sent again, {left} left alone")


@parked.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
def drop(names: tuple[str, ...]) -> None:
    """Forget some of them for good: their tickets stay as they are.

    Example: presort parked drop 3f1c9a04b7de
    """
    with connected() as (_, store):
        dropped, left = _each(store, names, lambda _: True)
    click.echo(f"{dropped} dropped, {left} left alone")


def _anew(store: Store, task: str, message: dict[str, Any]) -> dict[str, Any]:
    """The message with nothing counted against it; its decisions are open again."""
    if task != messages.WRITE:
        return message
    try:
        writes = Writes.from_json(message)
    except msgspec.ValidationError:
        return message  # the worker parks it again, with the reason
    decisions = tuple(msgspec.structs.replace(one, attempts=0, collisions=0) for one in writes.decisions)
    store.reopen(decisions)
    return Writes(decisions=decisions).to_json()


def _each(store: Store, names: Sequence[str], act: Callable[[Parked], bool]) -> tuple[int, int]:
    """Act on these rows, or on all, and forget those for which it went well; how many did, and how many not.

    Acted on first and forgotten after, so that a crash repeats and never loses; one command at a time, so that two of
    them do not do the same twice.
    """
    done = 0
    with store.lock("parked", LOCK_S) as prolong:
        if prolong is None:
            raise click.ClickException("another `presort parked` is at it: try again when it has ended")
        rows = {row.id: row for row in store.parked()}
        asked = list(dict.fromkeys(names or rows))
        for name in asked:
            if name not in rows:
                click.echo(f"{name}: not parked", err=True)
            elif act(rows[name]):
                store.drop_parked(rows[name])
                done += 1
            prolong()
    return done, len(asked) - done


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


def _since(at: float) -> str:
    """Local time with its zone, and how long ago that was."""
    minutes = int(time.time() - at) // 60
    age = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
    return f"{local_time(at)} ({age} ago)"
