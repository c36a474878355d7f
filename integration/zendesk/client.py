"""Zendesk's API as Presort uses it: nine calls, our own types, two kinds of error."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import requests
from zenpy import Zenpy
from zenpy.lib.api_objects import Ticket as ZenpyTicket
from zenpy.lib.exception import APIException, ZenpyException

from integration import settings
from integration.store import Store
from integration.zendesk.errors import (
    Conflict,
    NotFound,
    PermanentError,
    RateLimited,
    TemporaryError,
    UnreadableError,
    ZendeskError,
)
from integration.zendesk.session import OAuthSession

BULK = 100
"""Most tickets one request may read or update."""

FIELD_LIFE_S = 300
"""How long a field's type and options are believed before they are read again."""

ACCESS_S = 60.0
"""How often a closed door is tried."""

# At DEBUG zenpy logs requests and answers whole, ticket text included.
logging.getLogger("zenpy").setLevel(logging.INFO)


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it stands in Zendesk.

    Attributes:
        updated_stamp: ``updated_at`` as Zendesk wrote it, for a safe update.
        fields: custom field id to value; an empty field is None.
        created_at, updated_at: Unix seconds, to a second; None when Zendesk does not say.
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
    fields: dict[int, Any]


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


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One update in a ticket's history.

    Attributes:
        fields: the custom fields that it set or changed.
        classifiers: those of Presort's whose decision it carried out.
    """

    author_id: int | None
    fields: frozenset[int]
    classifiers: frozenset[str]


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
        self._zenpy = Zenpy(
            subdomain=config.subdomain,
            session=OAuthSession(config, client_secret, store),
            timeout=config.timeout_s,
            disable_cache=True,
        )

    def show_many(self, ids: Sequence[int]) -> dict[int, Ticket]:
        """Up to 100 tickets by id; deleted and unknown ones are absent."""
        if not ids:
            return {}
        with _translated():
            return {one.id: _ticket(one) for one in self._zenpy.tickets(ids=list(ids))}

    def update(self, update: Update) -> Ticket:
        """Update one ticket and return it as Zendesk then has it.

        Raises:
            Conflict: it changed since it was read.
            NotFound: it was deleted.
        """
        with _translated():
            return _ticket(self._zenpy.tickets.update(_payload(update)).ticket)

    def update_many(self, updates: Sequence[Update]) -> str:
        """Update up to 100 tickets in one request; returns the id of the job that does it."""
        with _translated():
            return str(self._zenpy.tickets.update([_payload(update) for update in updates]).id)

    def job(self, job_id: str) -> list[JobResult] | None:
        """Per-ticket results of a bulk update, None while it is under way.

        Raises:
            UnreadableError: the job as a whole failed or was killed, or its results are of no form.
        """
        with _translated():
            status = self._zenpy.job_status(id=job_id)
        if status.status in ("queued", "working"):
            return None
        if status.status != "completed":
            raise UnreadableError(f"Zendesk's job {job_id} {status.status}")
        with _translated():
            return [_job_result(row) for row in status.results or []]

    def choice_field(self, field_id: int) -> ChoiceField:
        """What a drop-down or a multi-select offers, read anew every five minutes.

        Raises:
            PermanentError: there is no such field, or it is of another type.
        """
        read_at, choices = self._choice_fields.get(field_id, (float("-inf"), None))
        if choices is None or time.monotonic() - read_at > FIELD_LIFE_S:
            try:
                with _translated():
                    field = self._zenpy.ticket_fields(id=field_id)
                    options = frozenset(_get(option, "value") for option in _get(field, "custom_field_options") or [])
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

    def export(self, place: str | int) -> Page:
        """A thousand tickets in the order of their latest change; deleted ones too, and some more than once.

        Zendesk leaves out what changed in the last minute, and allows ten of these requests a minute.

        Args:
            place: the cursor of the page before, or the Unix time to begin at.
        """
        start = {"cursor": place} if isinstance(place, str) else {"start_time": place}
        with _translated():
            page = self._zenpy.tickets.incremental(**start)
            if page.after_cursor is None:
                raise UnreadableError("Zendesk's page of the export has no cursor")
            # Its `values` are this page's; iterating it would ask for the next ones, out of our sight.
            return Page(
                tickets=[_ticket(one) for one in page.values or []],
                cursor=str(page.after_cursor),
                last=bool(page.end_of_stream),
            )

    def audits(self, ticket_id: int) -> list[Audit]:
        """A ticket's history, oldest first; Zendesk allows 500 of these requests a minute.

        Raises:
            NotFound: it was deleted.
        """
        with _translated():
            found = sorted(self._zenpy.tickets.audits(ticket_id), key=lambda one: (str(one.created_at), one.id))
            return [_audit(one) for one in found]

    def me(self) -> int:
        """The id of the user Presort acts as."""
        with _translated():
            return int(self._zenpy.users.me().id)

    def ticket_url(self, ticket_id: int) -> str:
        """Where an agent opens the ticket."""
        if self._config.url:
            return f"{self._config.url}/tickets/{ticket_id}"
        return f"https://{self._config.subdomain}.zendesk.com/agent/tickets/{ticket_id}"


@contextmanager
def _translated() -> Iterator[None]:
    """Everything zenpy and requests raise, as one of our own errors; ticket text stays out of the message."""
    try:
        yield
    except ZendeskError:
        raise
    except (requests.RequestException, APIException) as error:
        response = getattr(error, "response", None)
        if response is None:
            raise TemporaryError(f"Zendesk cannot be reached: {type(error).__name__}") from error
        raise _from_status(response) from error
    except (ZenpyException, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"Zendesk's answer could not be read: {type(error).__name__}") from error


def _from_status(response: requests.Response) -> ZendeskError:
    status, code = response.status_code, _error_code(response)
    if code == "TooManyJobs":
        return RateLimited("30 bulk jobs are running already (TooManyJobs)", 5.0)
    if status >= 500 or status == 408:
        return TemporaryError(f"Zendesk answered {status}")
    known = {
        401: PermanentError("Zendesk refused a token it has just given (401): is the OAuth client still enabled?"),
        403: PermanentError(
            "Zendesk forbids it (403): Presort's user needs the right to edit tickets, and to export them the role of "
            "an admin; scope read write"
        ),
        404: NotFound(f"Zendesk has no such thing: {code}"),
        409: Conflict(f"the ticket changed meanwhile: {code}"),
    }
    return known.get(status) or PermanentError(f"Zendesk refused the request: {status} {code}")


def _error_code(response: requests.Response) -> str:
    """The short code only: descriptions may quote what was sent."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return ""
    code = answer.get("error") if isinstance(answer, dict) else None
    title = code.get("title") if isinstance(code, dict) else code
    return title[:80] if isinstance(title, str) else ""


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
        created_at=_unix_time(raw.created_at),
        updated_at=_unix_time(raw.updated_at),
        subject=_readable(raw.subject),
        description=_readable(raw.description),
        channel=_get(via, "channel") if via else None,
        submitter_id=raw.submitter_id,
        fields={int(_get(field, "id")): _get(field, "value") for field in raw.custom_fields or []},
    )


def _audit(raw: Any) -> Audit:  # noqa: ANN401 - zenpy's objects have no types
    names = (str(_get(event, "field_name")) for event in raw.events or [])
    presort = _get(_get(raw.metadata, "custom"), "presort") or {}
    return Audit(
        author_id=raw.author_id,
        fields=frozenset(int(name) for name in names if name.isdecimal()),  # the others are Zendesk's own: "status"
        classifiers=frozenset(presort),
    )


def _job_result(row: Any) -> JobResult:  # noqa: ANN401 - zenpy's objects have no types
    error = _get(row, "error")
    failed = error is not None or _get(row, "success") is False
    return JobResult(ticket_id=int(_get(row, "id")), error=str(error or "failed") if failed else None)


def _get(holder: Any, name: str) -> Any:  # noqa: ANN401 - zenpy gives dicts in some places and objects in others
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def _unix_time(stamp: object) -> float | None:
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return None


def _readable(text: str | None) -> str | None:
    """Half a surrogate pair, from a text that was cut in the middle of an emoji, can be neither stored nor sent."""
    return text if text is None else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
