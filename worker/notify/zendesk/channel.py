"""Writes an alert's ticket. What it has told stands in the ticket's own audits, so a repetition tells nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from integration.notices import Notice
from integration.zendesk.errors import PermanentError, Refused, TemporaryError, ZendeskError
from worker.notify.errors import SendError
from worker.notify.news import News, Target
from worker.notify.zendesk import payload
from worker.writing import take_slot

UNSOLVED = (
    "; a ticket without an assignee is solved only where Admin Center has 'Auto-assign tickets upon solve' on, and "
    "Presort's user is in the group"
)


def send(to: Target, news: News) -> str:
    """Open, comment, solve or re-open the ticket of an alert.

    Raises:
        SendError: temporary while writes are paused, or the account's update budget is spent.
    """
    tickets, wanted = to.parts.alert_tickets, payload.external_id(news.alert)
    with _translated(to):
        found = tickets.find(wanted)
        if found is None:
            if news.alert.state != "firing":
                return "no ticket, so nothing to solve"
            made = payload.opening(news, group_id=to.channel.group_id, zone=to.zone)
            return f"ticket {tickets.create(made, f'{wanted}-{news.alert.news}')} created"
        if news.id in tickets.told(found.id):
            return f"ticket {found.id} says so already"
        if (wait := take_slot(to.parts)) > 0:
            raise SendError("the account's update budget is spent", permanent=False, retry_after=wait)
        change = payload.change(news, status=found.status, zone=to.zone)
        try:
            tickets.update(found.id, change)
        except Refused as error:
            raise SendError(f"{error}{UNSOLVED if change.get('status') == 'solved' else ''}", permanent=True) from error
        return f"ticket {found.id} updated" + (f", {change['status']}" if "status" in change else "")


def post(to: Target, notice: Notice, *, again: bool) -> str:  # noqa: ARG001 - the external id says so already
    """A ticket for news without an end; raises as ``send`` does."""
    made = payload.notice(notice, group_id=to.channel.group_id)
    with _translated(to):
        found = to.parts.alert_tickets.find(made["external_id"])
        if found is not None:
            return f"ticket {found.id} says so already"
        return f"ticket {to.parts.alert_tickets.create(made, made['external_id'])} created"


@contextmanager
def _translated(to: Target) -> Iterator[None]:
    """Whoever pauses writes means these too; and Zendesk's errors are a channel's."""
    if (paused := to.parts.controls.paused(to.parts.config.zendesk)) is not None:
        raise SendError(f"writes are {paused}", permanent=False)
    try:
        yield
    except TemporaryError as error:
        raise SendError(str(error), permanent=False, retry_after=error.retry_after, perhaps_heard=True) from error
    except Refused as error:
        raise SendError(f"{error}; check the channel's group_id in presort.toml", permanent=True) from error
    except PermanentError as error:
        raise SendError(str(error), permanent=True) from error
    except ZendeskError as error:
        raise SendError(str(error), permanent=False, perhaps_heard=True) from error
