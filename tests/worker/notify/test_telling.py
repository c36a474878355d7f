"""Who hears what, how often, and what a crash, a silence or a broken channel changes in that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import ParamSpec, TypeVar

import msgspec
import pytest

from integration import alerting, notices
from integration.records import Alert
from integration.settings import Channel
from tests.worker.conftest import Sink
from tests.worker.notify.support import AT, SECRET, alert, happens, listening, over, present
from worker import notify
from worker.notify import kinds
from worker.notify.kinds import KINDS
from worker.notify.news import News, Target
from worker.parts import Parts

P = ParamSpec("P")
R = TypeVar("R")


@pytest.fixture
def second() -> Iterator[Sink]:
    other = Sink()
    yield other
    other.server.shutdown()
    other.server.server_close()


def hook(sink: Sink, name: str = "hook", **more: object) -> Channel:
    return msgspec.convert({"name": name, "kind": "webhook", "url": sink.http_url, **more}, Channel)


def tell(parts: Parts, now: float = AT) -> None:
    notify.tell(parts, now, lambda: None)


def events(sink: Sink) -> list[str]:
    return [one["event"].removeprefix("alert.") for one in sink.heard]


def test_each_news_is_heard_once(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    fired = happens(parts, alert())
    for _ in range(3):
        tell(parts)
    grown = happens(parts, msgspec.structs.replace(fired, event="grew", observed=99))
    tell(parts)
    happens(parts, over(grown))
    tell(parts)
    tell(parts)
    assert events(sink) == ["fired", "grew", "resolved"]


def test_only_the_newest_of_what_was_missed_is_told(parts: Parts, sink: Sink) -> None:
    """And it is the alert's first news to a channel that was away, whatever has happened since."""
    listening(parts, hook(sink))
    sink.status = 503
    fired = happens(parts, alert())
    tell(parts)
    happens(parts, msgspec.structs.replace(fired, event="grew", observed=99))
    sink.status = 200
    tell(parts, AT + 60)
    assert [(one["event"], one["alert"]["observed"]) for one in sink.heard] == [("alert.fired", 99)]


def test_the_end_of_what_a_channel_never_heard_is_not_told(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    happens(parts, over(happens(parts, alert())))
    tell(parts)
    assert sink.heard == []


def test_least_and_classifiers_choose_what_a_channel_hears(parts: Parts, sink: Sink, second: Sink) -> None:
    listening(parts, hook(sink, "pager", least="critical"), hook(second, "teams", classifiers=["other"]))
    fired = happens(parts, alert())
    tell(parts)
    assert (sink.heard, second.heard) == ([], [])
    worse = happens(parts, msgspec.structs.replace(fired, severity="critical", event="grew"))
    tell(parts)
    assert (events(sink), second.heard) == (["fired"], [])
    # What it has heard of it hears to the end, also when it is not that bad any longer.
    happens(parts, over(msgspec.structs.replace(worse, severity="warning")))
    tell(parts)
    assert events(sink) == ["fired", "resolved"]


def test_a_silenced_alert_is_told_when_the_silence_is_over(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    happens(parts, alert(silenced_until=AT + 3600))
    tell(parts)
    assert sink.heard == []
    tell(parts, AT + 3601)
    assert events(sink) == ["fired"]


def test_a_silence_does_not_hide_the_end_from_who_heard_the_begin(parts: Parts, sink: Sink) -> None:
    """Else an incident would stay open at PagerDuty for as long as the silence."""
    listening(parts, hook(sink))
    fired = happens(parts, alert())
    tell(parts)
    quiet = happens(parts, msgspec.structs.replace(fired, event="grew", silenced_until=AT + 3600))
    tell(parts)
    happens(parts, over(quiet))
    tell(parts)
    assert events(sink) == ["fired", "resolved"]


def test_of_an_incident_only_the_first_alert_is_told(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    happens(parts, alert(incident="a1", also=("B", "C")))
    for name in "bc":
        happens(parts, alert(id=f"a{name}", category=name, name=name.upper(), incident="a1"))
    tell(parts)
    assert [one["title"] for one in sink.heard] == [
        "Spike: Orders::Refund and 2 more categories, 47 tickets in 30 min where 4.2 are usual"
    ]


class Killed(BaseException):
    """What a killed process leaves behind: nothing that comes after it."""


@pytest.mark.parametrize("step", range(4))
def test_killed_between_any_two_steps_it_is_told_and_a_repetition_is_known(
    parts: Parts, sink: Sink, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps: note it, send it, note it as told; a process dies before the first, or after any of them."""
    listening(parts, hook(sink))
    happens(parts, alert())
    done = 0

    def counted(work: Callable[P, R]) -> Callable[P, R]:
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal done
            if done == step:
                raise Killed
            done += 1
            return work(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as dying:
        dying.setattr(alerting, "change", counted(alerting.change))
        dying.setitem(kinds.KINDS, "webhook", KINDS["webhook"]._replace(send=counted(KINDS["webhook"].send)))
        if step < 3:
            with pytest.raises(Killed):
                tell(parts)
        else:
            tell(parts)
    tell(parts)
    tell(parts)
    assert {one["id"] for one in sink.heard} == {"a1-1"}
    assert len(sink.heard) == (2 if step == 2 else 1), "only who dies after sending repeats, under the same id"
    assert present(parts).told == {"hook": 1}


def test_apprise_marks_what_it_may_have_told_before(parts: Parts, sink: Sink) -> None:
    """A chat knows no ids; so a person must be able to tell."""
    parts.config = sink.channels(parts.config)
    happens(parts, alert(telling={"alerts": 1}))
    tell(parts)
    assert sink.heard[0]["message"].startswith("(Perhaps told before")


def test_what_was_refused_or_never_arrived_is_no_repetition(parts: Parts, sink: Sink) -> None:
    parts.config = sink.channels(parts.config)
    sink.status = 503
    happens(parts, alert())
    tell(parts)
    assert present(parts).telling == {}
    sink.status = 200
    tell(parts, AT + 60)
    assert not sink.heard[0]["message"].startswith("(Perhaps")


def test_the_end_is_told_to_who_may_have_heard_the_begin(parts: Parts, sink: Sink) -> None:
    """The request left, and no answer came: an incident may be open there."""
    listening(parts, hook(sink))
    sink.status = 0
    fired = happens(parts, alert())
    tell(parts)
    happens(parts, over(fired))
    sink.status = 200
    tell(parts, AT + 60)
    assert events(sink) == ["resolved"]


def test_one_channels_failure_is_no_others_business(parts: Parts, sink: Sink, second: Sink) -> None:
    second.status = 503
    listening(parts, hook(second, "broken"), hook(sink, "good"))
    fired = happens(parts, alert())
    for minute in range(3):
        tell(parts, AT + 60 * minute)
    happens(parts, over(fired))
    tell(parts, AT + 240)
    assert events(sink) == ["fired", "resolved"]
    assert second.heard == []


def test_what_nobody_thought_of_breaks_one_channel_only(
    parts: Parts, sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_to: Target, _news: News) -> str:
        raise KeyError(SECRET)

    monkeypatch.setitem(kinds.KINDS, "pagerduty", KINDS["pagerduty"]._replace(send=broken))
    listening(parts, Channel(name="pager", kind="pagerduty"), hook(sink))
    happens(parts, alert())
    tell(parts)
    assert events(sink) == ["fired"]
    assert notices.troubles(parts.store.redis)["pager"].reason == "KeyError"
    assert SECRET not in caplog.text


def test_a_channel_that_never_comes_back_is_asked_for_ever(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    sink.status = 500
    happens(parts, alert())
    trouble = notices.Trouble(since=AT, tries=5000, again_at=AT, reason="it answered 500")
    notices.note_trouble(parts.store.redis, "hook", trouble)
    tell(parts)
    after = notices.troubles(parts.store.redis)["hook"]
    assert (after.tries, after.again_at) == (5001, AT + 300)


def test_a_channel_that_is_away_is_asked_less_and_less_often(
    parts: Parts, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    listening(parts, hook(sink))
    sink.status = 500
    happens(parts, alert())
    tried = []
    for second_ in range(0, 1800, 5):
        before = len(sink.asked)
        tell(parts, AT + second_)
        tried += [second_] if len(sink.asked) > before else []
    pauses = [b - a for a, b in pairwise(tried)]
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300, 300]
    assert caplog.text.count("channel hook takes nothing") == len(tried)
    trouble = notices.troubles(parts.store.redis)["hook"]
    assert (trouble.since, trouble.tries, trouble.reason) == (AT, len(tried), "it answered 500")
    sink.status = 200
    tell(parts, trouble.again_at)
    assert events(sink) == ["fired"]
    assert notices.troubles(parts.store.redis) == {}


def test_a_channel_is_left_alone_for_as_long_as_it_asks(parts: Parts, sink: Sink) -> None:
    listening(parts, hook(sink))
    sink.status, sink.headers = 429, {"Retry-After": "120"}
    happens(parts, alert())
    tell(parts)
    sink.status, sink.headers = 200, {}
    tell(parts, AT + 119)
    assert sink.heard == []
    tell(parts, AT + 120)
    assert events(sink) == ["fired"]


def test_what_no_retry_will_mend_is_said_once_in_the_log(
    parts: Parts, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    listening(parts, hook(sink))
    sink.status = 401
    happens(parts, alert())
    for minute in range(5):
        tell(parts, AT + 60 * minute)
    assert len(sink.asked) == 1
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "is not told to channel hook: it answered 401: it does not know our secret" in line.message
    assert SECRET not in caplog.text
    assert "Where is my money?" not in caplog.text


def test_an_alert_that_breaks_the_receiver_keeps_no_other_from_it(
    parts: Parts, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening(parts, hook(sink))
    happens(parts, alert(id="poison", category="a"))
    happens(parts, alert(id="fine", category="b"))
    well = KINDS["webhook"].send

    def send(to: Target, news: News) -> str:
        sink.status = 500 if news.alert.id == "poison" else 200
        return well(to, news)

    monkeypatch.setitem(kinds.KINDS, "webhook", KINDS["webhook"]._replace(send=send))
    tell(parts)
    tell(parts, AT + 60)
    assert [one["alert"]["id"] for one in sink.heard] == ["fine"]


def test_a_persons_word_meanwhile_is_not_lost(parts: Parts, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who acknowledges while a channel is being told changes the same alert."""
    listening(parts, hook(sink))
    happens(parts, alert())
    well = KINDS["webhook"].send

    def acknowledged(one: Alert) -> Alert:
        return msgspec.structs.replace(one, event="acknowledged", acknowledged_by="kim", news=one.revision + 1)

    def send(to: Target, news: News) -> str:
        if not sink.heard:
            alerting.change(parts.store.redis, news.alert, acknowledged)
        return well(to, news)

    monkeypatch.setitem(kinds.KINDS, "webhook", KINDS["webhook"]._replace(send=send))
    tell(parts)
    assert present(parts).acknowledged_by == "kim"
    tell(parts)
    assert events(sink) == ["fired", "acknowledged"]


def test_alertmanager_is_told_again_and_again_what_fires(parts: Parts, sink: Sink) -> None:
    """It would take an alert that is not for resolved."""
    listening(parts, Channel(name="am", kind="alertmanager", url=sink.http_url))
    fired = happens(parts, alert())
    for minute in range(4):
        tell(parts, AT + 60 * minute)
    ends = [one["endsAt"] for (one,) in sink.heard]
    assert ends == [f"2025-11-24T16:1{minute}:00Z" for minute in range(4)]
    happens(parts, over(fired))
    for minute in range(4, 7):
        tell(parts, AT + 60 * minute)
    assert len(sink.heard) == 5


def test_notices_are_told_where_they_have_a_place(parts: Parts, sink: Sink, second: Sink) -> None:
    """Not to PagerDuty, Alertmanager or who wants critical alerts only: nobody is woken for one."""
    pager = Channel(name="pager", kind="pagerduty", url=second.http_url)
    manager = Channel(name="am", kind="alertmanager", url=second.http_url)
    listening(parts, hook(sink), pager, manager, hook(second, "urgent", least="critical"))
    notices.put(parts.store.redis, "Demoted", "60 of 100", AT)
    tell(parts)
    assert ([one["title"] for one in sink.heard], second.asked) == (["Demoted"], [])
    assert notices.waiting(parts.store.redis) == []


def test_a_notice_waits_a_day_for_a_channel_that_is_away(parts: Parts, sink: Sink, second: Sink) -> None:
    second.status = 503
    listening(parts, hook(sink, "one"), hook(second, "two"))
    notices.put(parts.store.redis, "Demoted", "60 of 100", AT)
    for hour in range(24):
        tell(parts, AT + 3600 * hour)
    assert len(sink.heard) == 1
    assert [one.told for one in notices.waiting(parts.store.redis)] == [frozenset({"one"})]
    tell(parts, AT + 86401)
    assert notices.waiting(parts.store.redis) == []


def test_without_channels_alerts_are_only_shown(parts: Parts) -> None:
    happens(parts, alert())
    tell(parts)
    assert present(parts).told == {}
    assert notices.troubles(parts.store.redis) == {}
