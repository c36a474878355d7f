"""From counts to an alert that channels hear once, and to its end; and a watcher that dies at any moment of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
import redis.connection
import requests

from integration import alerting, counting, settings
from integration.alerting import Silence
from integration.counting import Change
from integration.messages import CLASSIFY
from integration.records import Alert
from integration.store import Store
from tests.worker.conftest import SURE, Desk, Sink
from worker import watch
from worker.parts import Parts

CATEGORY = SURE[2]
NOW = 1_764_000_000 // 3600 * 3600.0
MINUTE, HOUR, WEEK = 60.0, 3600.0, 604_800.0


@pytest.fixture
def watched(parts: Parts, sink: Sink) -> Parts:
    """One channel, a webhook whose receiver knows repetitions by their id."""
    channel = settings.Channel(name="ops", kind="webhook", url=sink.http_url)
    parts.config = msgspec.structs.replace(
        parts.config, channels=(channel,), channel_secrets={"ops": "s"}, spikes=settings.Spikes(late_ticks=0)
    )
    return parts


class Past:
    """Counts as the workers would have written them, four weeks and on; ``now`` is where they end."""

    def __init__(self, store: Store, parts: Parts) -> None:
        self._redis = store.redis
        self._parts = parts
        self.labels = [label.value for label in parts.predictors["category"].manifest.labels]
        self._rng = np.random.default_rng(7)
        self.now = NOW
        self.rate = 20.0  # tickets an hour in every category
        first = int((NOW - 4 * WEEK) // HOUR)
        hours = {
            (first + place, label): int(count)
            for label in self.labels
            for place, count in enumerate(self._rng.poisson(self.rate, 4 * 168 - 8))
        }
        self._redis.set("presort:counting_began:category", NOW - 8 * HOUR)
        counting.add(self._redis, "hours", "category", hours)
        counting.reach_back(self._redis, "category", first, Change(at=NOW, kind="rebuilt"))
        self.now -= 8 * HOUR
        self.pass_minutes(8 * 60)

    def pass_minutes(self, minutes: int, *, spike: float = 1.0, categories: tuple[str, ...] = (CATEGORY,)) -> None:
        """So many times the usual tickets in some categories."""
        ticks: Counter[tuple[int, str]] = Counter()
        hours: Counter[tuple[int, str]] = Counter()
        for _ in range(minutes):
            for label in self.labels:
                count = int(self._rng.poisson(self.rate / 60 * (spike if label in categories else 1)))
                ticks[int(self.now // MINUTE), label] += count
                hours[int(self.now // HOUR), label] += count
            self.now += MINUTE
        counting.add(self._redis, "ticks", "category", ticks)
        counting.add(self._redis, "hours", "category", hours)

    def look(self, minutes: int = 1, **more: Any) -> None:
        """So many minutes, with a look after each."""
        for _ in range(minutes):
            self.pass_minutes(1, **more)
            watch.watch(self._parts, self.now)


@pytest.fixture
def past(store: Store, watched: Parts) -> Past:
    return Past(store, watched)


def events(sink: Sink) -> list[str]:
    return [one["event"].removeprefix("alert.") for one in sink.heard]


def active(parts: Parts) -> list[Alert]:
    return alerting.active(parts.store.redis)


def test_a_spike_fires_once_and_ends_once(watched: Parts, past: Past, sink: Sink, desk: Desk) -> None:
    sample = desk.file("Where is my\nmoney?", SURE[1])
    past.look(5)
    watched.store.redis.zadd(f"presort:newest:category:{CATEGORY}", {str(sample.ticket_id): past.now + 60})
    past.look(15, spike=12)
    (alert,) = active(watched)
    assert (alert.category, alert.state, events(sink)) == (CATEGORY, "firing", ["fired"])
    assert alert.started_at >= NOW
    assert alert.ratio_low <= alert.observed / alert.expected <= alert.ratio_high
    assert 0 < alert.share < 1
    past.look(60)
    assert events(sink) == ["fired", "resolved"]
    past.look(120)
    (closed,) = alerting.log(watched.store.redis)
    assert (active(watched), closed.id) == ([], alert.id)
    said = sink.heard[0]
    assert "Refund" in said["title"]
    assert "Where is my money?" in said["text"]
    assert f"/tickets/{sample.ticket_id}" in said["text"]
    assert "back to normal" in sink.heard[1]["title"]
    assert [one.subject for one in closed.samples] == [None]


def test_a_spike_soon_after_re_opens_the_same_alert(watched: Parts, past: Past, sink: Sink) -> None:
    past.look(15, spike=12)
    past.look(60)
    past.look(15, spike=12)
    past.look(60)
    assert events(sink) == ["fired", "resolved", "reopened", "resolved"]
    assert len({one["alert"]["id"] for one in sink.heard}) == 1
    assert [one.flaps for one in active(watched)] == [1]


def test_a_category_that_learns_stays_silent(watched: Parts, past: Past, sink: Sink) -> None:
    watched.config = msgspec.structs.replace(watched.config, spikes=settings.Spikes(late_ticks=0, learning_weeks=6))
    past.look(20, spike=30)
    assert (events(sink), active(watched)) == ([], [])


def test_before_anything_was_counted_nothing_is_said(watched: Parts, sink: Sink) -> None:
    watch.watch(watched, NOW)
    assert (events(sink), active(watched)) == ([], [])


def test_a_channel_that_fails_is_told_later(watched: Parts, past: Past, sink: Sink) -> None:
    sink.status = 503
    past.look(10, spike=12)
    assert [one.told for one in active(watched)] == [{}]
    sink.status = 200
    past.look(10, spike=12)
    assert events(sink) == ["fired"]


def test_a_channel_that_is_away_for_hours_hears_the_end(watched: Parts, past: Past, sink: Sink) -> None:
    """Else its incident stays open: the cooldown of two hours is long over when it comes back."""
    past.look(10, spike=12)
    sink.status = 503
    past.look(200)
    assert ([one.state for one in active(watched)], events(sink)) == (["resolved"], ["fired"])
    sink.status = 200
    past.look(6)
    assert (active(watched), events(sink)) == ([], ["fired", "resolved"])


def test_samples_without_zendesk_are_links_alone(watched: Parts, past: Past, sink: Sink, desk: Desk) -> None:
    watched.store.redis.zadd(f"presort:newest:category:{CATEGORY}", {"4711": past.now + 60})
    desk.zendesk.post("/simulator/faults", {"down": True})
    past.look(10, spike=12)
    assert "#4711" in sink.heard[0]["text"]


def test_zendesk_is_not_asked_for_samples_while_it_said_wait(
    watched: Parts, past: Past, sink: Sink, desk: Desk
) -> None:
    sample = desk.file("Where is my money?", SURE[1])
    watched.store.redis.zadd(f"presort:newest:category:{CATEGORY}", {str(sample.ticket_id): past.now + 60})
    watched.store.hold_updates(60)
    past.look(10, spike=12)
    assert f"#{sample.ticket_id}" in sink.heard[0]["text"]
    assert "Where is my money?" not in sink.heard[0]["text"]


def test_one_watcher_at_a_time(watched: Parts, past: Past, sink: Sink) -> None:
    past.pass_minutes(10, spike=12)
    with watched.store.lock("watch", 10):
        watch.watch(watched, past.now)
    assert (events(sink), active(watched)) == ([], [])


def test_without_channels_alerts_are_only_shown(watched: Parts, past: Past) -> None:
    watched.config = msgspec.structs.replace(watched.config, channels=())
    past.look(10, spike=12)
    assert [alert.told for alert in active(watched)] == [{}]


def test_the_parent_of_the_category_that_spikes_is_not_told(watched: Parts, past: Past) -> None:
    past.look(30, spike=12)
    assert [one.category for one in active(watched)] == [CATEGORY], "neither its parent nor all tickets"


def test_three_at_once_are_one_incident(watched: Parts, past: Past, sink: Sink) -> None:
    three = tuple(past.labels[:3])
    past.look(10, spike=12, categories=three)
    assert {one.category for one in active(watched)} >= set(three)
    (leader,) = {one.incident for one in active(watched)}
    assert {one["alert"]["id"] for one in sink.heard} >= {leader}
    heard = len(sink.heard)
    past.look(60)
    assert {one.state for one in active(watched)} == {"resolved"}
    assert "resolved" in events(sink)[heard:]


def test_a_silenced_category_is_told_when_the_silence_ends(watched: Parts, past: Past, sink: Sink) -> None:
    silence = Silence(id="s", since=past.now, until=past.now + 20 * MINUTE, by="anna", category=CATEGORY)
    alerting.silence(watched.store.redis, silence)
    past.look(19, spike=12)
    assert (events(sink), [one.state for one in active(watched)]) == ([], ["firing"])
    past.look(2, spike=12)
    assert events(sink) == ["fired"]
    assert alerting.silences(watched.store.redis) == []


def test_no_tickets_at_all_is_an_alert_and_ends_no_other(watched: Parts, past: Past, sink: Sink) -> None:
    past.look(10, spike=12)
    past.rate = 0.0
    past.look(60)
    assert {(one.kind, one.state) for one in active(watched)} == {("spike", "firing"), ("silence", "firing")}
    past.rate = 20.0
    past.look(60)
    assert {one.state for one in active(watched)} == {"resolved"}
    assert Counter(one for one in events(sink) if one != "grew") == {"fired": 2, "resolved": 2}


def test_an_outage_in_a_spike_ends_no_alert(past: Past, sink: Sink) -> None:
    """Ten minutes of webhooks are lost; the export brings their tickets later, each in the minute it was filed."""
    past.look(15, spike=12)
    begin, rate, past.rate = past.now, past.rate, 0.0
    past.look(10)
    past.rate = rate
    past.look(6, spike=12)
    assert "resolved" not in events(sink)
    end, past.now = past.now, begin
    past.pass_minutes(10, spike=12)
    past.now = end
    past.look(15, spike=12)
    assert set(events(sink)) == {"fired", "grew"}
    past.look(30)
    assert events(sink)[-1] == "resolved", "a real end is noticed"


def test_while_the_queue_holds_tickets_nothing_is_silent_or_over(watched: Parts, past: Past, sink: Sink) -> None:
    past.look(10, spike=12)
    watched.store.defer(CLASSIFY, [{"n": n} for n in range(200)], delay_s=600, reason="Zendesk is down")
    past.rate = 0.0
    past.look(60)
    assert "resolved" not in events(sink)
    assert [one.kind for one in active(watched)] == ["spike"]


def test_alerts_of_what_is_no_longer_configured_end(watched: Parts, past: Past) -> None:
    past.look(10, spike=12)
    (one,) = watched.config.classifiers
    watched.config = msgspec.structs.replace(watched.config, classifiers=(msgspec.structs.replace(one, name="other"),))
    watched.predictors["other"] = watched.predictors["category"]
    watch.watch(watched, past.now)
    assert [alert.state for alert in active(watched)] == ["resolved"]
    watch.watch(watched, past.now + 3 * HOUR)
    assert active(watched) == []


class Killed(BaseException):
    """What a process that is killed would not live to see."""


class Calls:
    """Every command to Redis and every HTTP request; the ``last``-th kills, before it is sent or once it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made, self.last, self.done = 0, 10**9, False
        self._wrap(monkeypatch, redis.connection.AbstractConnection, "send_packed_command")
        self._wrap(monkeypatch, requests.adapters.HTTPAdapter, "send")

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            self.made += 1
            if self.made < self.last:
                return real(*args, **named)
            if self.made == self.last and self.done:
                real(*args, **named)
            raise Killed

        monkeypatch.setattr(owner, name, call)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def _everything(parts: Parts) -> dict[str, tuple[int, Any]]:
    """What is in Redis: time to live and value by key, as a dump."""
    raw = redis.Redis.from_url(parts.config.redis_url)
    return {str(key, "utf-8"): (max(0, raw.pttl(key)), raw.dump(key)) for key in raw.scan_iter()}


def _restore(parts: Parts, everything: dict[str, tuple[int, Any]]) -> None:
    raw = redis.Redis.from_url(parts.config.redis_url)
    raw.flushall()
    pipe = raw.pipeline()
    for key, (life, value) in everything.items():
        pipe.restore(key, life, value)
    pipe.execute()


def _deaths(parts: Parts, calls: Calls, at: float) -> Iterator[None]:
    """After each death that a look at ``at`` can die, and after the look that lives."""
    before = _everything(parts)
    for done in (False, True):
        for n in range(1, 500):
            _restore(parts, before)
            calls.made, calls.last, calls.done = 0, n, done
            with suppress(Killed):
                watch.watch(_born(parts), at)
            died, calls.last = calls.made >= n, 10**9
            parts.store.redis.delete("presort:lock:watch")  # the dead one's lock has run out
            yield
            if not died:
                break
        assert n > 10, "there were many moments to die in"


def _born(parts: Parts) -> Parts:
    """Another process."""
    other = Parts(parts.config)
    other.__dict__["predictors"] = parts.predictors
    return other


def test_a_killed_watcher_stops_no_other_look_than_its_own(watched: Parts, past: Past, calls: Calls) -> None:
    """Its lock has run out when the next minute's look begins."""
    past.pass_minutes(14, spike=20)
    calls.made, calls.last = 0, 15
    with pytest.raises(Killed):
        watch.watch(_born(watched), past.now)
    calls.last = 10**9
    assert 0 < watched.store.redis.pttl("presort:lock:watch") <= 1000 * watched.config.spikes.tick_s / 2


@pytest.mark.parametrize("spiking", [1, 3])
def test_a_watcher_killed_anywhere_neither_loses_nor_repeats_an_alert(
    watched: Parts, past: Past, sink: Sink, calls: Calls, spiking: int
) -> None:
    """The receiver knows repetitions by their id: without them it has heard each state exactly once."""
    past.look(2)
    watched.store.redis.zadd(f"presort:newest:category:{past.labels[0]}", {"4711": past.now + 60})
    past.pass_minutes(14, spike=20, categories=tuple(past.labels[:spiking]))
    for event in ("alert.fired", "alert.resolved"):
        at = _when(event, watched, past, sink)
        for _ in _deaths(watched, calls, at):
            for minute in (1, 2):
                watch.watch(_born(watched), at + minute * MINUTE)
            assert [*{one["id"]: one["event"] for one in sink.heard}.values()] == [event]
            sink.heard.clear()


def _when(event: str, parts: Parts, past: Past, sink: Sink) -> float:
    """The minute in which something will be told, two minutes before the counts end; nobody has looked yet."""
    for _ in range(60):
        before, at = _everything(parts), past.now - 2 * MINUTE
        watch.watch(parts, at)
        if event in [one["event"] for one in sink.heard]:
            _restore(parts, before)
            sink.heard.clear()
            return at
        past.pass_minutes(1)
    raise AssertionError(f"never {event}")
