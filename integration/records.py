"""What the store holds, as types: decisions and their outcomes, messages that wait, models, alerts.

Values are JSON in Redis; ``integration.store`` says under which key and for how long. A reader ignores fields it does
not know and gives new ones a default, as with messages.
"""

from __future__ import annotations

from collections import Counter
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
        thresholds: tag to the probability from which it may be filled; above 1 it never may.
        precision: tag to the share of its answers, sure or not, that were right on the model's own test rows; a tag
            without such rows is absent.
        target: the precision that filled categories must keep; None when nobody said.
        several: it may answer with several labels.
    """

    name: str
    version: str
    graph: str
    provider: str
    labels: dict[str, str]
    loaded_at: float
    thresholds: dict[str, float] = {}
    precision: dict[str, float] = {}
    target: float | None = None
    several: bool = False


class Tick(NamedTuple):
    """What was counted in one tick.

    Attributes:
        tickets: those with at least one sure category, each once.
        categories: tickets by category; one with several labels is under each of them.
    """

    tickets: int
    categories: dict[str, int]


class Agreed(NamedTuple):
    """One answer of the active model; several labels are one answer, see ``Shadow``.

    Attributes:
        category: that answer.
        tickets: that the active model put there.
        agreed: of them, that the staged model put there too.
        instead: where it put most of the others, None when there are no others.
    """

    category: str
    tickets: int
    agreed: int
    instead: str | None


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

    def agreement(self) -> list[Agreed]:
        """Per category how often the two agreed, the most frequent category first."""
        rows = []
        for category in {active for active, _ in self.pairs}:
            said = Counter({staged: count for (active, staged), count in self.pairs.items() if active == category})
            others = [staged for staged, _ in said.most_common() if staged != category]
            rows.append(Agreed(category, said.total(), said[category], others[0] if others else None))
        return sorted(rows, key=lambda row: (-row.tickets, row.category))


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket shown with an alert; ``subject`` is None when Zendesk could not be asked."""

    ticket_id: int
    url: str
    subject: str | None = None


Event = Literal["fired", "grew", "acknowledged", "resolved", "reopened", "settled", "gone"]
"""What last happened to an alert that people should hear: ``settled`` means that after a day the new level counts as
usual, ``gone`` that it ended because its label or classifier was removed."""

Severity = Literal["warning", "critical"]


class Word(NamedTuple):
    """A word that stands out in a spike: in how many of the spike's tickets, of how many, and of the usual ones."""

    word: str
    here: int
    of_here: int
    usually: int
    of_usually: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One spike of one category, from its first sign to its end. Times are Unix seconds.

    Attributes:
        category: the label's tag; ``A::*`` for all labels named ``A::...``, ``*`` for all tickets.
        name: what people read.
        kind: ``spike``, or ``silence``: no tickets at all.
        state: ``resolved`` alerts stay for the cooldown, in which the same one re-opens; ``settled`` ones have become
            the new normal.
        event: what last happened that is to be told.
        revision: grows with each change; a change is written only over the revision that it was made from.
        news: the revision of the last ``event``.
        told: channel name to the ``news`` that it has heard.
        telling: channel name to the ``news`` that was being sent; one that is not in ``told`` too was cut short, and
            may or may not have been heard.
        started_at: estimated begin of the spike.
        told_at: when its figures were last news: further growth is told every half an hour, or when the ratio doubles.
        observed, expected: tickets in the ``window_s`` seconds that speak most clearly.
        ratio_low, ratio_high: 90 % interval of observed / expected.
        peak: the highest observed / expected so far: its end is judged by that, for the figures fall with the spike.
        once_in_weeks: how rarely chance alone would show as much.
        share: the category's part of all tickets in the window.
        words: what stands out against the category's usual tickets.
        also: names of other categories that fire.
        incident: the id of the first alert of three or more that fired together; it alone is told, with its members
            in ``also``.
        silenced_until: nobody is told before.
        acknowledged_by: who looks after it.
        useful: what people said of it; feeds the budget of false alerts.
    """

    id: str
    classifier: str
    category: str
    name: str
    kind: Literal["spike", "silence"] = "spike"
    severity: Severity = "warning"
    state: Literal["firing", "resolved", "settled"] = "firing"
    event: Event = "fired"
    revision: int = 1
    news: int = 1
    told: dict[str, int] = {}
    telling: dict[str, int] = {}
    opened_at: float
    started_at: float
    told_at: float = 0.0
    resolved_at: float | None = None
    observed: int
    expected: float
    window_s: float
    ratio_low: float = 0.0
    ratio_high: float = 0.0
    peak: float = 0.0
    once_in_weeks: float
    share: float = 0.0
    samples: tuple[Sample, ...] = ()
    words: tuple[Word, ...] = ()
    also: tuple[str, ...] = ()
    incident: str | None = None
    silenced_until: float | None = None
    acknowledged_by: str | None = None
    acknowledged_at: float | None = None
    useful: bool | None = None
    flaps: int = 0
