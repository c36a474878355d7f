"""What the store holds, as types: decisions and their outcomes, messages that wait, models, alerts.

Values are JSON in Redis; ``integration.store`` says under which key and for how long. A reader ignores fields it does
not know and gives new ones a default, as with messages.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from integration.messages import Decision

Outcome = Literal["filled", "suggested", "left_alone", "parked"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and what became of it.

    Attributes:
        outcome: None while the write is under way.
        reason: the decision's reason, or what the write met: ``person_set_it``, ``ticket_closed``, ...
        finished_at: Unix seconds.
    """

    decision: Decision
    outcome: Outcome | None = None
    reason: str | None = None
    finished_at: float | None = None


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """A message that waits for a time. Equal ones are one: a message that came twice waits once."""

    payload: dict[str, Any]
    reason: str


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A message that cannot be worked on until a person looks at it."""

    id: str
    task: str
    payload: Any
    reason: str
    parked_at: float


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker serves: all that the integration side may know of a model.

    Attributes:
        labels: tag to the name that people read.
        precision: tag to the share of its answers, sure or not, that were right on the model's own test rows; a tag
            without such rows is absent.
        target: the precision that filled categories must keep; None when nobody said.
    """

    name: str
    version: str
    graph: str
    provider: str
    labels: dict[str, str]
    loaded_at: float
    precision: dict[str, float] = {}
    target: float | None = None


class Tick(NamedTuple):
    """What was counted in one tick.

    Attributes:
        tickets: those with at least one sure category, each once.
        categories: tickets by category; one with several labels is under each of them.
    """

    tickets: int
    categories: dict[str, int]


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """What a staged model said beside the active one.

    Attributes:
        active, staged: ``name@version``.
        pairs: tickets by (the active model's answer, the staged model's). Several labels are one answer: their tags in
            alphabetical order, joined by ", ".
    """

    active: str
    staged: str
    pairs: dict[tuple[str, str], int]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket shown with an alert; ``subject`` is None when Zendesk could not be asked."""

    ticket_id: int
    url: str
    subject: str | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One spike of one category, from its first sign to its end. Times are Unix seconds.

    Attributes:
        started_at: estimated begin of the spike.
        observed, expected: tickets in the ``window_s`` seconds that speak most clearly.
        once_in_weeks: how rarely chance alone would show as much.
        told: channel to the state that it was last told; channels by a hash, since their URLs hold secrets.
    """

    id: str
    classifier: str
    category: str
    name: str
    state: Literal["firing", "resolved"] = "firing"
    opened_at: float
    started_at: float
    resolved_at: float | None = None
    observed: int
    expected: float
    window_s: float
    once_in_weeks: float
    samples: tuple[Sample, ...] = ()
    told: dict[str, str] = {}
