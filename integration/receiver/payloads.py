"""What Zendesk's webhooks say, turned into ``NewTicket``.

Two kinds exist and a webhook has one of them: an event subscription sends Zendesk's envelope with the ticket in it; a
trigger sends the body that its author wrote, which for Presort carries ids only.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

from integration.messages import NewTicket
from integration.times import unix_time
from integration.zendesk.webhooks import TICKET_CREATED

TEXT_CHARS = 20_000
"""Characters of subject and of description that travel: more than any model reads, and it bounds the queue."""


class PayloadError(Exception):
    """A body that is neither kind of webhook; the message says what is wrong with it."""


class Ignored(Exception):  # noqa: N818 - not an error: the answer to a delivery that is none of our business
    """A delivery of a kind Presort has no use for."""


class _Via(msgspec.Struct):
    channel: str | None = None


class _Detail(msgspec.Struct):
    """The ticket of an event: ids are strings, whatever the documentation's examples show."""

    id: str | int
    subject: str | None = None
    description: str | None = None
    created_at: str | None = None
    actor_id: str | int | None = None
    requester_id: str | int | None = None
    brand_id: str | int | None = None
    tags: list[str] | str | None = None
    via: _Via | None = None


class _Event(msgspec.Struct):
    type: str


class _Created(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    detail: _Detail


class _Trigger(msgspec.Struct):
    ticket_id: str | int


def parse(body: bytes, *, received_at: float) -> tuple[str, NewTicket]:
    """Read either kind of body.

    Args:
        body: raw, already verified.
        received_at: Unix seconds.

    Returns:
        The id to recognise a repeated delivery by (the trigger kind has none of its own, and tells of a ticket once),
        and the ticket.

    Raises:
        Ignored: an event of a type other than ``ticket.created``.
        PayloadError: not JSON, or neither kind.
    """
    document = _json(body)
    if not isinstance(document, dict):
        raise PayloadError("the body is not a JSON object: set the webhook's request format to JSON")
    try:
        if "type" in document:
            return _from_event(document, received_at)
        if "ticket_id" in document:
            ticket = NewTicket(
                ticket_id=_number(msgspec.convert(document, _Trigger).ticket_id, "ticket_id"), received_at=received_at
            )
            return f"ticket:{ticket.ticket_id}", ticket
    except msgspec.ValidationError as error:
        raise PayloadError(f"the body is not what Zendesk sends: {error}") from None
    raise PayloadError(
        "the body has neither `type` (event subscription) nor `ticket_id` (trigger): "
        'a trigger\'s body must be {"ticket_id": "{{ticket.id}}"}'
    )


def _json(body: bytes) -> Any:  # noqa: ANN401 - checked by the caller
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise PayloadError("the body is nested too deeply to be a webhook of Zendesk's") from None
    # A text cut in the middle of an emoji leaves half a surrogate pair, one in another encoding invalid UTF-8. The body
    # is signed, so it is a customer's ticket all the same: what cannot be read becomes U+FFFD.
    try:
        text = json.dumps(json.loads(body.decode("utf-8-sig", "replace")), ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON ({error}): set the webhook's request format to JSON") from None


def _from_event(document: dict[str, Any], received_at: float) -> tuple[str, NewTicket]:
    kind = msgspec.convert(document, _Event).type
    if kind != TICKET_CREATED:
        raise Ignored(f"event type {kind[:100]} is not {TICKET_CREATED}; subscribe the webhook to that alone")
    event = msgspec.convert(document, _Created)
    detail = event.detail
    return event.id, NewTicket(
        ticket_id=_number(detail.id, "detail.id"),
        received_at=received_at,
        text_known=True,
        subject=detail.subject[:TEXT_CHARS] if detail.subject else None,
        description=detail.description[:TEXT_CHARS] if detail.description else None,
        created_at=unix_time(detail.created_at),  # without it the worker counts the ticket when it came
        channel=detail.via.channel if detail.via else None,
        actor_id=_number(detail.actor_id, "detail.actor_id") if detail.actor_id else None,
        requester_id=_number(detail.requester_id, "detail.requester_id") if detail.requester_id else None,
        brand_id=_number(detail.brand_id, "detail.brand_id") if detail.brand_id else None,
        tags=tuple(detail.tags.split() if isinstance(detail.tags, str) else detail.tags or ()),
    )


def _number(value: str | int, name: str) -> int:
    written = str(value)
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 20 else 0
    if not 0 < number < 2**63:
        raise PayloadError(f"`{name}` is not a ticket id")
    return number
