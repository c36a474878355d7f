"""Sends a text by Apprise. It knows no end of an alert and no repetition: both are in the words."""

from __future__ import annotations

import logging

from integration.notices import Notice
from worker.notify.apprise import payload
from worker.notify.errors import SendError
from worker.notify.http import TIMEOUT_S
from worker.notify.news import News, Target

# Apprise logs a URL it does not understand whole, token and all, and at DEBUG what it sends, subjects and all.
logging.getLogger("apprise").setLevel(logging.CRITICAL)


def send(to: Target, news: News) -> str:
    """Tell what last happened to an alert; raises what ``post`` does."""
    return _post(to, payload.document(news, to.zone))


def post(to: Target, notice: Notice, *, again: bool) -> str:
    """Tell news without an end.

    Raises:
        SendError: permanent when Apprise does not understand the URL, else temporary: it says only that it failed.
    """
    return _post(to, payload.notice(notice, again=again))


def _post(to: Target, text: payload.Text) -> str:
    import apprise  # noqa: PLC0415 - takes half a second to import, and most processes never send

    sender = apprise.Apprise()
    if not sender.add(to.secret) or len(sender) != 1:
        raise SendError(
            f"{to.channel.variable} (or PRESORT_ALERT_URLS, for `alerts`) holds no URL that Apprise understands: its "
            "wiki lists a form for each service",
            permanent=True,
        )
    for service in sender:
        service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_S
        service.redirects = False  # what is told goes to the host that the admin named
    kind = apprise.NotifyType(text.kind)
    # As it stands: a subject is a customer's text, and no markup.
    if not sender.notify(title=text.title, body=text.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
        raise SendError(
            "it was refused, or nobody answered: Apprise does not say which; check the URL's token or password",
            permanent=False,
        )
    return "sent"
