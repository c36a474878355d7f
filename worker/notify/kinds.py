"""The registry: what each kind of channel can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from integration.notices import Notice
from worker.notify.alertmanager import channel as alertmanager
from worker.notify.apprise import channel as apprise
from worker.notify.news import News, Target
from worker.notify.pagerduty import channel as pagerduty
from worker.notify.webhook import channel as webhook
from worker.notify.zendesk import channel as zendesk


class Post(Protocol):
    """Tells news without an end; ``again``: perhaps told before. Returns and raises as ``Kind.send`` does."""

    def __call__(self, to: Target, notice: Notice, *, again: bool) -> str:
        """Tell one."""


class Kind(NamedTuple):
    """How one kind of channel is spoken to.

    Attributes:
        send: tells what last happened to an alert; returns what was answered, in a line for people; raises
            ``SendError``.
        post: tells a notice; None where notices have no place: nobody is woken by one, and it would never end.
        refresh: says again which alerts fire; None where it is enough to say so once.
    """

    send: Callable[[Target, News], str]
    post: Post | None = None
    refresh: Callable[[Target, Sequence[News]], str] | None = None


KINDS: Mapping[str, Kind] = {
    "apprise": Kind(apprise.send, apprise.post),
    "pagerduty": Kind(pagerduty.send),
    "alertmanager": Kind(alertmanager.send, refresh=alertmanager.refresh),
    "webhook": Kind(webhook.send, webhook.post),
    "zendesk": Kind(zendesk.send, zendesk.post),
}
