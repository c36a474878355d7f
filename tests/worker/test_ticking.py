"""Beat: periodic work is asked for whatever the time of day, and once at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.beat import Scheduler

from integration import messages
from integration.publisher import create_celery
from integration.store import Store
from worker import ticking

EVERY = {messages.RESUME: 1.0, messages.WATCH: 3600.0}


class Seconds:
    """A clock that only a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """As ``time.monotonic``."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def beat(store: Store, redis_url: str, seconds: Seconds) -> Any:
    celery = create_celery("a test", redis_url)
    celery.conf.beat_schedule = ticking.plan(EVERY, seconds)
    return ticking.scheduler_class(store.redis)(celery)


def asked(beat: Scheduler, store: Store, seconds: Seconds, after_s: float = 1.5) -> list[str]:
    """Let beat work, and so many seconds later again; the tasks of what waits then, oldest first."""
    beat.tick()
    seconds.now += after_s
    for _ in range(5):
        beat.tick()
    waiting = store.redis.lrange(messages.UPKEEP_QUEUE, 0, -1)
    return [json.loads(str(raw))["headers"]["task"] for raw in waiting[::-1]]


def test_each_task_is_asked_for_in_its_time(beat: Scheduler, store: Store, seconds: Seconds) -> None:
    assert asked(beat, store, seconds, 0.5) == []
    assert asked(beat, store, seconds) == [messages.RESUME]
    assert sorted(asked(beat, store, seconds, 3600)) == sorted(EVERY)


def test_what_waits_already_is_not_asked_for_again(beat: Scheduler, store: Store, seconds: Seconds) -> None:
    for _ in range(3):
        assert asked(beat, store, seconds) == [messages.RESUME]
    store.redis.delete(messages.UPKEEP_QUEUE)
    assert asked(beat, store, seconds) == [messages.RESUME]


def test_a_clock_that_is_set_back_stops_nothing(
    beat: Scheduler, store: Store, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat.app, "now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert asked(beat, store, seconds) == [messages.RESUME]
    store.redis.delete(messages.UPKEEP_QUEUE)
    monkeypatch.setattr(beat.app, "now", lambda: datetime.now(UTC) - timedelta(hours=1))
    assert asked(beat, store, seconds) == [messages.RESUME]


def test_no_message_expires_by_a_workers_clock(beat: Scheduler, store: Store, seconds: Seconds) -> None:
    asked(beat, store, seconds)
    assert json.loads(str(store.redis.lindex(messages.UPKEEP_QUEUE, 0)))["headers"]["expires"] is None


def test_a_redis_that_is_away_does_not_end_beat(
    beat: Scheduler,
    store: Store,
    seconds: Seconds,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(store.redis, "lrange", lambda *_: store.redis.config_set("no such setting", 1))
    for _ in range(2):
        seconds.now += 1.5
        beat.tick()
    assert "presort.resume: not asked for: ResponseError" in caplog.text
    monkeypatch.undo()
    assert asked(beat, store, seconds) == [messages.RESUME]
