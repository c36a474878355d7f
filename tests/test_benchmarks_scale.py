"""The scale benchmark: its calculations, and that each part runs and counts right; how fast decides nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.scale import crews, day, sizing, watching
from benchmarks.scale.__main__ import main
from benchmarks.scale.sleeper import sleeping
from demo.stage import BUNDLE

MEASURED = {
    "worker_cpu_ms": 2.0,
    "receiver_cpu_ms": 1.2,
    "bytes_a_waiting_ticket": 2_500.0,
    "bytes_kept_of_an_ended_one": 1_000.0,
    "bytes_of_a_streamed_decision": 900.0,
    "requests_per_ticket": 0.05,
}


def test_a_day_has_its_tickets_and_its_bursts() -> None:
    coming = day.arrivals(650_000)
    assert coming.shape == (day.DAY_S,)
    assert abs(coming.sum() - 650_000) < 5 * 650_000**0.5
    begins, times = max(day.BURSTS, key=lambda one: one[1])
    inside = coming[begins : begins + day.BURST_S].mean()
    assert inside == pytest.approx(times * coming[begins - day.BURST_S : begins].mean(), rel=0.1)


def test_a_queue_by_hand() -> None:
    """Two a second against six in one second and one in each of the next: 4, 3, 2, 1, 0 are left."""
    waits = day.queue(np.array([0, 6, 1, 1, 1, 1, 1]), 2.0)
    assert waits == day.Waits(worst_s=2.0, p99_s=2.0, most=4)


def test_who_serves_as_many_as_come_lets_nobody_wait() -> None:
    assert day.queue(np.full(100, 3), 3.0) == day.Waits(0.0, 0.0, 0)


def test_sizes_are_the_fewest_that_keep_their_promise() -> None:
    coming = day.arrivals(650_000)
    number = sizing.workers(coming, 40.0)
    assert day.queue(coming, number / 0.040).worst_s <= sizing.WORST_S
    assert day.queue(coming, (number - 1) / 0.040).worst_s > sizing.WORST_S


def test_sizes_grow_with_the_tickets() -> None:
    rows = [sizing.row(tickets, MEASURED) for tickets in sizing.DAILY]
    for name in ("busiest_minute", "redis_mb", "requests_a_minute", "updates_a_minute"):
        assert [row[name] for row in rows] == sorted(row[name] for row in rows)
    assert rows[0]["plan"] == "Team"
    assert rows[0]["workers"] == dict.fromkeys(sizing.MODELS, 1)


def test_the_stream_of_decisions_is_bounded() -> None:
    without = [sizing.row(tickets, MEASURED | {"bytes_of_a_streamed_decision": 0}) for tickets in (100_000, 650_000)]
    with_it = [sizing.row(tickets, MEASURED) for tickets in (100_000, 650_000)]
    assert [one["redis_mb"] - other["redis_mb"] for one, other in zip(with_it, without, strict=True)] == [90, 90]


def test_the_rate_leaves_out_both_ends() -> None:
    """A hundred a second; nothing in the first four seconds, and the last ones dribble."""
    ended = [0, 0, 0, 0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 910, 920, 1000]
    samples = [watching.Sample(float(at), one, 0, 0.0, {}) for at, one in enumerate(ended)]
    assert watching.rate(samples) == pytest.approx(100.0)
    assert watching.rate(samples[:1]) == 0.0


def test_a_sleeping_model_is_loaded_as_any_and_answers_its_first_label() -> None:
    model = sleeping(0)(BUNDLE, "cpu")
    assert model.agreement >= 0.97, "the golden sequences are the real graph's"
    assert model.predict(["refund", "parcel"]).argmax(axis=1).tolist() == [0, 0]


def test_workers_lose_nothing_and_write_nothing_twice() -> None:
    (row,) = crews.asleep([2], 30, 0.01, print)
    assert (row["workers"], row["tickets"], row["lost"], row["written_twice"]) == (2, 60, 0, 0)


def test_a_backlog_is_drained() -> None:
    done = CliRunner().invoke(main, ["--only", "backlog", "--tickets", "200", "--json"], catch_exceptions=False)
    figures = json.loads(done.stdout)["backlog"]
    assert (figures["tickets"], figures["lost"], figures["written_twice"]) == (200, 0, 0)
    assert min(figures["bytes_a_waiting_ticket"], figures["bytes_of_a_streamed_decision"]) > 500
    assert set(figures["mb_per_100_000"]) == {"receiver", "simulator", "beat", "worker", "redis"}


def test_sizes_name_the_part_that_they_lack() -> None:
    done = CliRunner().invoke(main, ["--only", "sizes"])
    assert done.exit_code == 1
    assert "sizes needs the figures of 'sessions'" in done.output
