"""A test alert for one channel, by the same way as a real one; `presort alerts test` shows what it yields."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec

from integration.records import Alert
from worker.notify import words
from worker.notify.kinds import KINDS
from worker.notify.news import News, Target
from worker.parts import Parts


class NoChannelError(Exception):
    """There is no channel of that name; the text says which there are."""


def trial(parts: Parts, name: str) -> Iterator[str]:
    """Fire an alert and resolve it, whatever the channel's filters; yields what was sent and what was answered.

    Raises:
        NoChannelError: nothing of that name is in the settings.
        SendError: the channel did not take it.
    """
    found = [one for one in parts.config.channels if one.name == name]
    if not found:
        known = ", ".join(one.name for one in parts.config.channels) or "none: add a [[channel]] to presort.toml"
        raise NoChannelError(f"there is no channel {name!r}; there is {known}")
    to, kind = Target(found[0], parts), KINDS[found[0].kind]
    fired = _alert(parts)
    over = msgspec.structs.replace(fired, state="resolved", event="resolved", news=2, resolved_at=parts.clock())
    for alert in (fired, over):
        if alert is over and kind.refresh is not None:
            yield "not resolved: it ends by itself, and would be over before anybody is told of it"
            return
        news = News(alert, first=alert is fired, again=False, now=parts.clock())
        yield f"sent:     {words.title(news)}"
        if alert is fired:
            yield from (f"          {line}" for line in words.body(news, to.zone).splitlines())
        yield f"answered: {kind.send(to, news)}"


def _alert(parts: Parts) -> Alert:
    now = parts.clock()
    return Alert(
        id=f"test-{uuid.uuid4().hex}",
        classifier=parts.config.classifiers[0].name,
        category="presort_test",
        name="Test of Presort (nothing happened)",
        opened_at=now,
        started_at=now - 1800,
        observed=47,
        expected=4.2,
        window_s=1800,
        ratio_low=8.7,
        ratio_high=14.1,
        once_in_weeks=38,
        share=0.31,
    )
