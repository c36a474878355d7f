"""The queue contract: task names, queues and the frozen payloads they carry.

Publisher and worker both import it; neither Celery nor Redis is needed to read it. Payloads travel as JSON. A reader
ignores fields it does not know and gives new ones a default, so that old and new releases can share a queue while a
deployment rolls. So a field may come if it has a default and may be ignored, and goes a release after it was last
read; what would be read wrongly is another task, by another name: an older worker parks that. The same holds for what
the store keeps; ``tests/test_upgrade.py`` has documents of the previous release.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import msgspec

CLASSIFY = "presort.classify"
"""One ``NewTicket``; taken in batches."""
WRITE = "presort.write"
"""One ``Writes``; several are merged into one request to Zendesk."""
CONFIRM = "presort.confirm"
"""One ``Job``: a bulk update whose per-ticket results are not known yet."""
RESUME = "presort.resume"
"""No payload: put what was deferred, and is due, back into its queue."""
WATCH = "presort.watch"
"""No payload: look at the counts, open and resolve alerts."""
RECONCILE = "presort.reconcile"
"""No payload: read a page of Zendesk's export for tickets without a decision, and for solved ones."""
JUDGE = "presort.judge"
"""No payload: look back at some of the solved tickets."""
RECOUNT = "presort.recount"
"""No payload: if the counts do not reach back, read a page of Zendesk's export for them."""
BACKFILL = "presort.backfill"
"""No payload: if nobody else wants anything, go on with old tickets."""
ASK = "presort.ask"
"""One ``Ask``: a person waits for what the model says of a text, and why."""
ORDER = "presort.order"
"""One ``Ask``: a person waits for what a registry of models has, or for another version in force (``registries``)."""

TICKETS_QUEUE = "presort.tickets"
WRITES_QUEUE = "presort.writes"
UPKEEP_QUEUE = "presort.upkeep"
"""Periodic work has a queue of its own, or an alert would wait behind the very backlog it should tell of."""

QUEUES = {
    CLASSIFY: TICKETS_QUEUE,
    WRITE: WRITES_QUEUE,
    CONFIRM: WRITES_QUEUE,
    RESUME: UPKEEP_QUEUE,
    WATCH: UPKEEP_QUEUE,
    RECONCILE: UPKEEP_QUEUE,
    JUDGE: UPKEEP_QUEUE,
    RECOUNT: UPKEEP_QUEUE,
    BACKFILL: UPKEEP_QUEUE,
    ASK: UPKEEP_QUEUE,
    ORDER: UPKEEP_QUEUE,
}


CURE = "if another release wrote it, let that one work it off, or update all processes; then `presort parked retry`"
"""For what this release cannot read."""

Time = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
"""Unix seconds; neither NaN nor infinite."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A payload: the one argument its task takes."""

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        payload: dict[str, Any] = msgspec.to_builtins(self)
        return payload

    @classmethod
    def from_json(cls, payload: Any) -> Self:  # noqa: ANN401 - checked here
        """Read it back.

        Raises:
            msgspec.ValidationError: a field is missing or of another type; the message has the cure and no text of a
                ticket's.
        """
        try:
            return msgspec.convert(payload, cls)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"no {cls.__name__} that this release can read ({error}): {CURE}") from None


class NewTicket(Message, frozen=True, kw_only=True):
    """A ticket to classify, as the webhook told of it.

    Attributes:
        received_at: when the webhook came, Unix seconds.
        text_known: whether subject and description are the ticket's; a trigger's webhook carries ids only, then the
            worker reads the ticket.
        created_at: when the ticket was created, Unix seconds; None when the webhook does not say.
        channel: Zendesk's ``via.channel``.
        actor_id: who created it; our own user's tickets are not sorted.
        requester_id: the customer; None when the webhook does not say.
        brand_id: the ticket's brand; None when the webhook does not say.
        tags: the ticket's; see ``settings.Spikes.ignored_tags``.
        messages_read: the description is the customer's own messages, read in place of a stub (see ``STUB_CHANNELS``).
        looks: how often such messages were looked for in vain.
        classifiers: those to decide; empty for all of them. After a loss of Redis a ticket may carry some decisions.
        backfill: an old ticket: no news, so it does not count for alerts, and has a funnel of its own.
        attempts: how often a temporary error sent it back.
        trace: the W3C ``traceparent`` of how it was heard of, while traces are sent (see ``tracing``).
    """

    ticket_id: int
    received_at: Time
    text_known: bool = False
    subject: str | None = None
    description: str | None = None
    created_at: Time | None = None
    channel: str | None = None
    actor_id: int | None = None
    requester_id: int | None = None
    brand_id: int | None = None
    tags: tuple[str, ...] = ()
    messages_read: bool = False
    looks: int = 0
    classifiers: tuple[str, ...] = ()
    backfill: bool = False
    attempts: int = 0
    trace: str | None = None


class Decision(Message, frozen=True, kw_only=True):
    """What was decided about one ticket for one classifier; kept as the record of it.

    Attributes:
        id: unique; travels into the ticket's audit.
        action: what should be written: the category, only our own fields, or nothing.
        reason: why, as a code: ``confident``, ``below_threshold``, ``shadow_mode``, ``suggest_mode``, ``demoted``,
            ``no_text``, ``stub_text``, ``other_language``, ``own_ticket``, ``ticket_deleted``.
        category: the option's tag that answers best: the most probable one, and with several labels the most probable
            of those that reached their thresholds, if one did; None when the model was not asked.
        values: every tag that reached its threshold, most probable first, if the model may answer with several labels;
            None if it answers with one.
        confidence: the calibrated probability of ``category`` in [0, 1].
        top: (tag, probability) of the three most probable tags and of all ``values``, best first.
        threshold: from which confidence on ``category`` may be filled; None in a language the model was not made for.
        model: ``name@version``.
        language: of the text (ISO 639-1), where the model was made for some; None when it was not asked or not sure.
        created_at, received_at, decided_at: Unix seconds.
        before: what stood in the fields that its write set, by field id, texts cut to 100 characters; empty until a
            write was sent.
        backfill: see ``NewTicket``.
        news: whether the ticket counts for alerts; one that was imported does not.
        attempts: how often an outage sent its write back.
        collisions: how often the ticket's own update failed, because it changed meanwhile or for a reason of its own.
        trace: see ``NewTicket``.
    """

    id: str
    ticket_id: int
    classifier: str
    action: Literal["fill", "suggest", "leave"]
    reason: str
    category: str | None = None
    values: tuple[str, ...] | None = None
    confidence: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    threshold: float | None = None
    model: str
    created_at: Time
    received_at: Time
    decided_at: Time
    language: str | None = None
    before: dict[str, Any] = {}
    backfill: bool = False
    news: bool = True
    attempts: int = 0
    collisions: int = 0
    trace: str | None = None

    @property
    def sure(self) -> tuple[str, ...]:
        """The tags that may be filled, and that count: those that reached their thresholds, best first."""
        if self.values is not None:
            return self.values
        if self.category is None or self.confidence is None or self.threshold is None:
            return ()
        return (self.category,) if self.confidence >= self.threshold else ()

    @property
    def answers(self) -> tuple[str, ...]:
        """What the model says of the ticket: the sure tags, or else the best one; nothing when it was not asked."""
        return self.sure or (() if self.category is None else (self.category,))


class Writes(Message, frozen=True, kw_only=True):
    """Decisions to write back.

    Attributes:
        has_slot: the account's update budget was already charged for them.
    """

    decisions: tuple[Decision, ...]
    has_slot: bool = False


class Job(Message, frozen=True, kw_only=True):
    """A bulk update under way.

    Attributes:
        id: Zendesk's job id.
        decisions: what it writes, in the order of the job's results.
        attempts: how often it was asked for.
    """

    id: str
    decisions: tuple[Decision, ...]
    attempts: int = 0


class Ask(Message, frozen=True, kw_only=True):
    """A question or an order that waits in Redis under this id; see ``asking``."""

    id: str
