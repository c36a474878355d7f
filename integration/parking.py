"""What is done with parked messages, by a command or in the console: shown without their text, sent again, dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from integration import messages
from integration.messages import Writes
from integration.publisher import create_celery, publish
from integration.records import Parked
from integration.store import Store

TEXTS = {"subject", "description"}
LOCK_S = 60.0


class BusyError(Exception):
    """Somebody else is at it."""


class Done(NamedTuple):
    """Ids of parked messages: what was done, what was not parked, and what has no form to be sent in."""

    done: tuple[str, ...]
    missing: tuple[str, ...]
    formless: tuple[str, ...]


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


def shown(row: Parked) -> dict[str, Any] | None:
    """Its payload without ticket text; None for what has no form that this release knows: it may hold some."""
    message: Any = message_of(row) if row.task in messages.QUEUES else None
    if message is None:
        return None
    return {name: without_text(value) for name, value in message.items() if name not in TEXTS}


def retry(store: Store, redis_url: str, names: Sequence[str]) -> Done:
    """Send parked messages to their queues again, all of them where none is named; each once, whoever asks how often.

    Raises:
        BusyError: somebody else is at it.
        kombu.exceptions.OperationalError: the broker cannot be reached; what was sent is parked no longer.
    """
    celery = create_celery("presort.parked", redis_url)

    def send(row: Parked) -> bool:
        message = message_of(row)
        if message is None or row.task not in messages.QUEUES:
            return False
        publish(celery, row.task, _anew(store, row.task, message))
        return True

    return _each(store, names, send)


def drop(store: Store, names: Sequence[str]) -> Done:
    """Forget parked messages for good.

    Raises:
        BusyError: somebody else is at it.
    """
    return _each(store, names, lambda _: True) if names else Done((), (), ())


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


def _each(store: Store, names: Sequence[str], act: Callable[[Parked], bool]) -> Done:
    """Act on these rows, or on all, and forget those for which it went well.

    Acted on first and forgotten after, so that a crash repeats and never loses; one at a time, so that two people do
    not do the same twice.
    """
    done, missing, formless = [], [], []
    with store.lock("parked", LOCK_S) as prolong:
        if prolong is None:
            raise BusyError("somebody else sends or drops parked messages: try again when they are done")
        rows = {row.id: row for row in store.parked()}
        for name in dict.fromkeys(names or rows):
            if name not in rows:
                missing.append(name)
            elif act(rows[name]):
                store.drop_parked(rows[name])
                done.append(name)
            else:
                formless.append(name)
            prolong()
    return Done(tuple(done), tuple(missing), tuple(formless))
