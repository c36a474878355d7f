"""Zendesk's API as Presort uses it: nine calls, our own types, two kinds of error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec
import requests
from zenpy.lib.api_objects import Ticket as ZenpyTicket

from integration import settings
from integration.store import Store
from integration.times import unix_time
from integration.zendesk.errors import NotFound, PermanentError, UnreadableError
from integration.zendesk.transport import connect, get, member, translated

BULK = 100
"""Most tickets one request may read or update."""

FOUND = 1_000
"""Tickets on a page of a search, the most that Zendesk gives."""

MESSAGES = 30
"""Comments looked at for a customer's first words."""

FIELD_LIFE_S = 300
"""How long a field's type and options are believed before they are read again."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it stands in Zendesk.

    Attributes:
        updated_stamp: ``updated_at`` as Zendesk wrote it, for a safe update.
        fields: custom field id to value; an empty field is None.
        created_at, updated_at: Unix seconds, to a second; None when Zendesk does not say.
        brand_id: None when Zendesk does not say.
        tags: the options of choice fields among them.
    """

    id: int
    status: str
    updated_stamp: str
    created_at: float | None
    updated_at: float | None
    subject: str | None
    description: str | None
    channel: str | None
    submitter_id: int | None
    requester_id: int | None = None
    brand_id: int | None = None
    tags: tuple[str, ...] = ()
    fields: dict[int, Any]


A = TypeVar("A")

Value = str | list[str]
"""Of a custom field: a text, a drop-down's tag, or a multi-select's tags."""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Custom fields to set on one ticket, unless it changed since ``updated_stamp``.

    Attributes:
        metadata: lands in the ticket's audit as ``metadata.custom``.
    """

    ticket_id: int
    updated_stamp: str
    fields: dict[int, Value]
    metadata: dict[str, Any]


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a job did to one ticket; ``error`` is None when it was updated."""

    ticket_id: int
    error: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the export.

    Attributes:
        cursor: asks for the next page, now or in a year.
        last: whether this is all there is at present.
    """

    tickets: list[Ticket]
    cursor: str
    last: bool


class Found(NamedTuple):
    """A page of a search.

    Attributes:
        cursor: asks for the next page, within an hour; None after the last one.
    """

    tickets: list[Ticket]
    cursor: str | None


class Change(NamedTuple):
    """What an update made of a custom field, and whether a trigger did that on its own account."""

    value: Any
    by_rule: bool = False


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of Presort's as it stands in the audit of its write; see ``messages.Decision``."""

    model: str = ""
    action: str = ""
    answers: tuple[str, ...] = ()
    threshold: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    backfill: bool = False

    @property
    def sure(self) -> bool:
        """Whether its answers had reached their thresholds."""
        best = max((probability for value, probability in self.top if value in self.answers), default=0.0)
        return self.threshold is not None and best >= self.threshold


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One update in a ticket's history.

    Attributes:
        channel: it came through, such as ``web``, ``api`` or ``rule``.
        fields: the custom fields that it set or changed.
        decisions: those of Presort's that it carried out, by classifier.
    """

    author_id: int | None
    channel: str | None = None
    fields: dict[int, Change] = {}
    decisions: dict[str, Decided] = {}


class ChoiceField(NamedTuple):
    """A field that holds tags: a drop-down one, a multi-select (``multi``) any number of them."""

    multi: bool
    options: frozenset[str]


class Zendesk:
    """One client a process. Every method raises ``TemporaryError``, ``PermanentError`` or one of their kinds."""

    def __init__(self, config: settings.Zendesk, client_secret: str, store: Store) -> None:
        """Connects with the first call."""
        self._config = config
        self._choice_fields: dict[int, tuple[float, ChoiceField]] = {}
        self._zenpy = connect(config, client_secret, store)

    def show_many(self, ids: Sequence[int]) -> dict[int, Ticket]:
        """Up to 100 tickets by id; deleted and unknown ones are absent."""
        if not ids:
            return {}
        # Not by zenpy's own method: its objects took a third of what a worker does beside asking the model.
        with translated():
            asked = {"ids": ",".join(map(str, ids))}
            answer = _read(get(self._zenpy, self._config, "tickets/show_many.json", asked), _Tickets)
            return {one.id: _ticket(one) for one in answer.tickets}

    def update(self, update: Update) -> Ticket:
        """Update one ticket and return it as Zendesk then has it.

        Raises:
            Conflict: it changed since it was read.
            NotFound: it was deleted.
        """
        with translated():
            return _ticket(self._zenpy.tickets.update(_payload(update)).ticket)

    def update_many(self, updates: Sequence[Update]) -> str:
        """Update up to 100 tickets in one request; returns the id of the job that does it."""
        with translated():
            return str(self._zenpy.tickets.update([_payload(update) for update in updates]).id)

    def job(self, job_id: str) -> list[JobResult] | None:
        """Per-ticket results of a bulk update, None while it is under way.

        Raises:
            UnreadableError: the job as a whole failed or was killed, or its results are of no form.
        """
        with translated():
            status = _read(get(self._zenpy, self._config, f"job_statuses/{job_id}.json"), _Job).job_status
        if status.status in ("queued", "working"):
            return None
        if status.status != "completed":
            raise UnreadableError(f"Zendesk's job {job_id} {status.status}")
        with translated():
            return [_job_result(row) for row in status.results or []]

    def choice_field(self, field_id: int) -> ChoiceField:
        """What a drop-down or a multi-select offers, read anew every five minutes.

        Raises:
            PermanentError: there is no such field, or it is of another type.
        """
        read_at, choices = self._choice_fields.get(field_id, (float("-inf"), None))
        if choices is None or time.monotonic() - read_at > FIELD_LIFE_S:
            try:
                with translated():
                    field = self._zenpy.ticket_fields(id=field_id)
                    options = frozenset(
                        member(option, "value") for option in member(field, "custom_field_options") or []
                    )
            except NotFound:
                raise PermanentError(f"field {field_id} does not exist: check field_id in presort.toml") from None
            if field.type not in ("tagger", "multiselect"):
                raise PermanentError(
                    f"field {field_id} is of type {field.type}: field_id in presort.toml must be a drop-down's or a "
                    "multi-select's"
                )
            choices = ChoiceField(field.type == "multiselect", options)
            self._choice_fields[field_id] = (time.monotonic(), choices)
        return choices

    def export(self, place: str | int, per_page: int = 1000) -> Page:
        """Up to a thousand tickets in the order of their latest change; deleted ones too, and some more than once.

        Zendesk leaves out what changed in the last minute, and allows ten of these requests a minute.

        Args:
            place: the cursor of the page before, or the Unix time to begin at.
            per_page: tickets on it.
        """
        start = {"cursor": place} if isinstance(place, str) else {"start_time": place}
        with translated():
            page = self._zenpy.tickets.incremental(**start, per_page=per_page)
            if page.after_cursor is None:
                raise UnreadableError("Zendesk's page of the export has no cursor")
            # Its `values` are this page's; iterating it would ask for the next ones, out of our sight.
            return Page(
                tickets=[_ticket(one) for one in page.values or []],
                cursor=str(page.after_cursor),
                last=bool(page.end_of_stream),
            )

    def search(self, query: str, cursor: str | None = None) -> Found:
        """A thousand tickets in the order they were filed; Zendesk allows a hundred of these requests a minute.

        Args:
            query: in Zendesk's search syntax, without a type.
            cursor: of the page before.
        """
        # Not by zenpy's own method: it writes the type into the query as well, which Zendesk refuses here.
        asked = {"query": query, "filter[type]": "ticket", "page[size]": str(FOUND)}
        if cursor is not None:
            asked["page[after]"] = cursor
        with translated():
            page = get(self._zenpy, self._config, "search/export.json", asked).json()
            more = page["meta"]["has_more"]
            return Found(
                tickets=[_ticket(ZenpyTicket(**row)) for row in page["results"]],
                cursor=str(page["meta"]["after_cursor"]) if more else None,
            )

    def messages(self, ticket_id: int, requester_id: int | None) -> str | None:
        """What the customer wrote after the description, oldest first; None when that is nothing.

        Args:
            ticket_id: of messaging, whose description is not the customer's.
            requester_id: the customer; None takes whoever stands behind the description for it.

        Raises:
            NotFound: it was deleted.
        """
        with translated():
            comments = list(islice(self._zenpy.tickets.comments(ticket_id), MESSAGES))
            customer = requester_id or (comments[0].author_id if comments else None)
            texts = [member(one, "plain_body") or one.body for one in comments[1:] if one.author_id == customer]
            return _readable("\n".join(text for text in texts if text and text.strip())) or None

    def audits(self, ticket_id: int) -> list[Audit]:
        """A ticket's history, oldest first; Zendesk allows 500 of these requests a minute.

        Raises:
            NotFound: it was deleted.
        """
        with translated():
            found = sorted(self._zenpy.tickets.audits(ticket_id), key=lambda one: (str(one.created_at), one.id))
            return [_audit(one) for one in found]

    def me(self) -> int:
        """The id of the user Presort acts as."""
        with translated():
            return int(self._zenpy.users.me().id)

    def ticket_url(self, ticket_id: int) -> str:
        """Where an agent opens the ticket."""
        return self._config.ticket_url(ticket_id)


class _Row(msgspec.Struct):
    """A ticket in an answer, by Zendesk's names; ``_ticket`` takes zenpy's objects too."""

    id: int
    status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    subject: str | None = None
    description: str | None = None
    via: dict[str, Any] | None = None
    submitter_id: int | None = None
    requester_id: int | None = None
    brand_id: int | None = None
    tags: list[str] | None = None
    custom_fields: list[dict[str, Any]] | None = None


class _Tickets(msgspec.Struct):
    tickets: list[_Row]


class _Status(msgspec.Struct):
    status: str
    results: list[dict[str, Any]] | None = None


class _Job(msgspec.Struct):
    job_status: _Status


def _read(answer: requests.Response, kind: type[A]) -> A:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError:
        # Half a surrogate pair is JSON to the standard library alone.
        return msgspec.convert(answer.json(), kind)


def _payload(update: Update) -> ZenpyTicket:
    return ZenpyTicket(
        id=update.ticket_id,
        custom_fields=[{"id": field, "value": value} for field, value in update.fields.items()],
        metadata=update.metadata,
        safe_update=True,
        updated_stamp=update.updated_stamp,
    )


def _ticket(raw: Any) -> Ticket:  # noqa: ANN401 - zenpy's objects have no types
    via = raw.via
    return Ticket(
        id=int(raw.id),
        status=str(raw.status or ""),
        updated_stamp=str(raw.updated_at),
        created_at=unix_time(raw.created_at),
        updated_at=unix_time(raw.updated_at),
        subject=_readable(raw.subject),
        description=_readable(raw.description),
        channel=member(via, "channel") if via else None,
        submitter_id=raw.submitter_id,
        requester_id=raw.requester_id,
        brand_id=raw.brand_id,
        tags=tuple(map(str, raw.tags or ())),
        fields={int(member(field, "id")): member(field, "value") for field in raw.custom_fields or []},
    )


def _audit(raw: Any) -> Audit:  # noqa: ANN401 - zenpy's objects have no types
    presort = member(member(raw.metadata, "custom"), "presort") or {}
    changes = {str(member(event, "field_name")): event for event in raw.events or []}
    return Audit(
        author_id=raw.author_id,
        channel=_channel(raw),
        fields={
            int(name): Change(member(event, "value"), _channel(event) == "rule")
            for name, event in changes.items()
            if name.isdecimal()  # the others are Zendesk's own: "status"
        },
        decisions={str(name): _decided(one) for name, one in dict(presort).items()},
    )


def _decided(raw: object) -> Decided:
    """Anyone with rights to the ticket may have written it: what is of no form says nothing."""
    try:
        return msgspec.convert(raw, Decided, from_attributes=True)
    except msgspec.ValidationError:
        return Decided()


def _channel(holder: Any) -> str | None:  # noqa: ANN401 - zenpy's objects have no types
    via = member(holder, "via")
    return member(via, "channel") if via else None


def _job_result(row: Any) -> JobResult:  # noqa: ANN401 - zenpy's objects have no types
    error = member(row, "error")
    failed = error is not None or member(row, "success") is False
    return JobResult(ticket_id=int(member(row, "id")), error=str(error or "failed") if failed else None)


def _readable(text: str | None) -> str | None:
    """Half a surrogate pair, from a text that was cut in the middle of an emoji, can be neither stored nor sent."""
    return text if text is None else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
