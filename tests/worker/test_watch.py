"""From counts to an alert that a channel hears once, and to its end."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest

from integration import settings
from integration.store import Store
from tests.worker.conftest import SURE, Desk, Sink
from worker import watch
from worker.notify import channel
from worker.notify.errors import SendError
from worker.parts import Parts

CATEGORY = SURE[2]
TICK = 60.0
MINUTES = 600


@pytest.fixture
def watched(parts: Parts, sink: Sink) -> Parts:
    parts.config = msgspec.structs.replace(
        parts.config, alert_urls=(sink.url,), spikes=settings.Spikes(learning_ticks=60, late_ticks=0)
    )
    return parts


class Past:
    """Minutes of counts, written as the workers would have; ``now`` is where they end."""

    def __init__(self, store: Store, parts: Parts) -> None:
        self._store = store
        self._labels = [label.value for label in parts.predictors["category"].manifest.labels]
        self._rng = np.random.default_rng(7)
        self.now = time.time() // TICK * TICK
        self.rate = 0.5

    def pass_minutes(self, minutes: int, *, spike: float = 1.0) -> None:
        """``rate`` tickets a minute in every category, ``spike`` times as many in one."""
        pipe = self._store.redis.pipeline(transaction=False)
        pipe.set("presort:counting_since:category", int(self.now // TICK), nx=True)
        for _ in range(minutes):
            for label in self._labels:
                rate = self.rate * (spike if label == CATEGORY else 1)
                if count := int(self._rng.poisson(rate)):
                    pipe.hincrby(f"presort:count:category:{int(self.now // TICK)}", label, count)
            self.now += TICK
        pipe.execute()


@pytest.fixture
def past(store: Store, watched: Parts) -> Past:
    return Past(store, watched)


def test_a_spike_fires_once_and_resolves_once(watched: Parts, past: Past, sink: Sink, desk: Desk) -> None:
    sample = desk.file("Where is my\nmoney?", SURE[1])
    watched.store.redis.lpush(f"presort:samples:category:{CATEGORY}", sample.ticket_id)
    past.pass_minutes(MINUTES)
    watch.watch(watched, past.now)
    assert sink.heard == []
    for _ in range(15):
        past.pass_minutes(1, spike=12)
        watch.watch(watched, past.now)
    (alert,) = watched.store.alerts().values()
    assert (alert.category, alert.state) == (CATEGORY, "firing")
    for _ in range(60):
        past.pass_minutes(1)
        watch.watch(watched, past.now)
    assert [one["type"] for one in sink.heard] == ["warning", "success"]
    assert watched.store.alerts() == {}
    (ended,) = watched.store.alert_log()
    assert ended.state == "resolved"
    assert "Refund" in sink.heard[0]["title"]
    assert "Where is my money?" in sink.heard[0]["message"]
    assert f"/tickets/{sample.ticket_id}" in sink.heard[0]["message"]
    assert "expected" in sink.heard[0]["message"]
    assert "back to normal" in sink.heard[1]["title"]


def test_a_second_spike_later_fires_again(watched: Parts, past: Past, sink: Sink) -> None:
    past.pass_minutes(MINUTES)
    for _ in range(2):
        for spike in [12] * 10 + [1] * 60:
            past.pass_minutes(1, spike=spike)
            watch.watch(watched, past.now)
    assert [one["type"] for one in sink.heard] == ["warning", "success"] * 2


def test_too_little_history_stays_silent(watched: Parts, past: Past, sink: Sink) -> None:
    past.pass_minutes(30)
    for _ in range(20):
        past.pass_minutes(1, spike=30)
        watch.watch(watched, past.now)
    assert sink.heard == []


def test_a_channel_that_fails_is_told_again(watched: Parts, past: Past, sink: Sink) -> None:
    past.pass_minutes(MINUTES)
    past.pass_minutes(10, spike=12)
    sink.status = 503
    watch.watch(watched, past.now)
    assert next(iter(watched.store.alerts().values())).told == {}
    sink.status = 200
    watch.watch(watched, past.now)
    watch.watch(watched, past.now)
    assert [one["type"] for one in sink.heard] == ["warning"]


def test_samples_without_zendesk_are_links_alone(watched: Parts, past: Past, sink: Sink, desk: Desk) -> None:
    watched.store.redis.lpush(f"presort:samples:category:{CATEGORY}", 4711)
    past.pass_minutes(MINUTES)
    past.pass_minutes(10, spike=12)
    desk.zendesk.post("/simulator/faults", {"down": True})
    watch.watch(watched, past.now)
    assert "#4711" in sink.heard[0]["message"]


def test_one_watcher_at_a_time(watched: Parts, past: Past, sink: Sink) -> None:
    past.pass_minutes(MINUTES)
    past.pass_minutes(10, spike=12)
    with watched.store.lock("watch", 10):
        watch.watch(watched, past.now)
    assert sink.heard == []
    assert watched.store.alerts() == {}


def test_a_url_nobody_understands_is_said_and_not_tried_for_ever(watched: Parts, past: Past, sink: Sink) -> None:
    watched.config = msgspec.structs.replace(watched.config, alert_urls=("nonsense://x",))
    past.pass_minutes(MINUTES)
    past.pass_minutes(10, spike=12)
    watch.watch(watched, past.now)
    (alert,) = watched.store.alerts().values()
    assert set(alert.told.values()) == {"firing"}
    with pytest.raises(SendError, match="PRESORT_ALERT_URLS") as caught:
        channel.send("nonsense://x", alert)
    assert caught.value.permanent
    assert sink.heard == []


def test_without_channels_alerts_are_only_shown(watched: Parts, past: Past) -> None:
    watched.config = msgspec.structs.replace(watched.config, alert_urls=())
    past.pass_minutes(MINUTES)
    past.pass_minutes(10, spike=12)
    watch.watch(watched, past.now)
    assert [alert.told for alert in watched.store.alerts().values()] == [{}]


def test_one_broken_channel_is_no_other_channels_business(watched: Parts, past: Past, sink: Sink) -> None:
    """The good one hears each state once, however often the broken one is tried."""
    broken = Sink()
    broken.status = 404
    watched.config = msgspec.structs.replace(watched.config, alert_urls=(broken.url, sink.url))
    past.pass_minutes(MINUTES)
    for spike in [12] * 10 + [1] * 60:
        past.pass_minutes(1, spike=spike)
        watch.watch(watched, past.now)
    assert [one["type"] for one in sink.heard] == ["warning", "success"]
    assert watched.store.alerts() == {}, "closed when the broken channel's time was up"
    broken.server.shutdown()
    broken.server.server_close()


def test_sparse_counts_are_looked_at_every_minute(watched: Parts, past: Past, sink: Sink) -> None:
    """The minute a day ago may have had no ticket; history is measured by time, not by what it holds."""
    watched.config = msgspec.structs.replace(watched.config, spikes=settings.Spikes(late_ticks=0))
    past.pass_minutes(1)
    past.rate = 0.02
    past.pass_minutes(1600)
    for _ in range(25):
        past.pass_minutes(1, spike=100)
        watch.watch(watched, past.now)
    assert [one["type"] for one in sink.heard] == ["warning"]
