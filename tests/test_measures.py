"""What workers measure, by way of Redis, as the receiver's /metrics shows it."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import RedisError

from integration import measures, notices, recounts
from integration.measures import DECIDED, INFERENCE_SECONDS, Tally
from integration.receiver.app import create_app
from integration.recounts import Recount
from integration.settings import Settings
from integration.store import BURST, Store
from tests.conftest import awaited


def shown(config: Settings) -> dict[str, float]:
    """Every sample of /metrics: its name with labels in the order of the alphabet, and its value."""
    text = create_app(config).test_client().get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        f"{one.name}{{{','.join(f'{key}={value}' for key, value in sorted(one.labels.items()))}}}": one.value
        for one in samples
    }


def test_what_several_workers_measure_adds_up_to_one_histogram(config: Settings, store: Store) -> None:
    for values in ([0.004, 0.2], [0.005, 99.0]):
        tally = Tally()
        for value in values:
            tally.observe(INFERENCE_SECONDS, value, "category")
        tally.count(DECIDED, "category", "refund", "fill")
        tally.tell(store.redis)
        tally.tell(store.redis)  # once only
    found = shown(config)
    # Both 0.004 and 0.005 are at most 0.005: a bound belongs to its bucket.
    expected = {"0.0025": 0, "0.005": 2, "0.1": 2, "0.25": 3, "10.0": 3, "+Inf": 4}
    for bound, count in expected.items():
        assert found[f"presort_inference_seconds_bucket{{classifier=category,le={bound}}}"] == count
    assert found["presort_inference_seconds_sum{classifier=category}"] == pytest.approx(99.209)
    assert found["presort_inference_seconds_count{classifier=category}"] == 4
    assert found["presort_decisions_total{action=fill,category=refund,classifier=category}"] == 2


def test_what_redis_did_not_take_is_told_the_next_time(config: Settings, store: Store) -> None:
    tally = Tally()
    tally.observe(INFERENCE_SECONDS, 1.0, "category")
    with pytest.raises(RedisError):
        tally.tell(Redis(port=9))
    tally.tell(store.redis)
    assert shown(config)["presort_inference_seconds_count{classifier=category}"] == 1


def test_clocks_that_differ_make_no_negative_time(store: Store) -> None:
    tally = Tally()
    tally.observe(measures.DECIDED_SECONDS, -3.0, "category")
    tally.tell(store.redis)
    assert measures.read(store.redis)["presort_decided_seconds"] == {("category",): {"0.05": 1.0, "sum": 0.0}}


def test_measures_of_another_release_are_passed_over(config: Settings, store: Store) -> None:
    store.redis.hset("presort:measured", "presort_gone\t\tcategory", 1)
    assert not any("presort_gone" in name for name in shown(config))


def test_bounds_ascend_and_names_are_ours() -> None:
    for one in measures.MEASURES:
        assert one.name.startswith("presort_")
        assert all(low < high for low, high in pairwise(one.bounds)), one.name


def test_the_limiter_shows_its_slots_and_holds(config: Settings, store: Store) -> None:
    assert shown(config)["presort_update_slots{}"] == BURST
    for _ in range(3):
        assert store.take_update(60) == 0
    assert store.free_updates(60) == pytest.approx(BURST - 3, abs=0.9)
    assert shown(config)["presort_updates_held_seconds{}"] == 0
    store.hold_updates(30)
    assert 25 < shown(config)["presort_updates_held_seconds{}"] <= 30


def test_the_oldest_ticket_a_channels_trouble_and_a_rebuild_show(config: Settings, store: Store) -> None:
    now = time.time()
    quiet = shown(config)
    assert quiet["presort_oldest_ticket_seconds{}"] == 0
    assert not [name for name in quiet if name.startswith(("presort_channel_failing", "presort_past_hours"))]
    awaited(store, 7, now - 600)
    notices.note_trouble(store.redis, "pager", notices.Trouble(since=now - 60, tries=3, again_at=now, reason="502"))
    run = Recount(until={"category": now}, since=now - 1000, began_at=now - 10, changed_to=now - 750)
    recounts.save(store.redis, run)
    found = shown(config)
    assert found["presort_oldest_ticket_seconds{}"] == pytest.approx(600, abs=30)
    assert found["presort_channel_failing_seconds{channel=pager}"] == pytest.approx(60, abs=30)
    assert found["presort_past_hours_ratio{}"] == pytest.approx(0.25, abs=0.02)
    assert (found["presort_alerts{severity=warning}"], found["presort_alerts{severity=critical}"]) == (0, 0)
