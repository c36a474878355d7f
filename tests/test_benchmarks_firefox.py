"""The Firefox benchmark finds a window that was put into its stream, and counts what fires outside as such."""

from __future__ import annotations

import csv
import lzma
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from numpy.random import default_rng

from benchmarks.spikes import firefox

BEGIN = datetime(2021, 3, 1, 8, tzinfo=UTC)
"""A Monday's midnight in California, two weeks before the clocks change."""


def write(folder: Path) -> None:
    """Four weeks of two topics; `sync` spikes on a known Wednesday, and on a Friday that nobody knows of."""
    rng = default_rng(11)
    times = [(BEGIN + timedelta(days=at), topic) for topic in ("sync", "tabs") for at in rng.uniform(0, 28, 500)]
    for day, count in ((23.5, 30), (25.5, 40)):
        times += [(BEGIN + timedelta(days=day, minutes=2 * one), "sync") for one in range(count)]
    with lzma.open(folder / firefox.QUESTIONS, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "created", "topic"])
        for number, (at, topic) in enumerate(sorted(times)):
            writer.writerow([number, at.astimezone(ZoneInfo(firefox.ZONE)).strftime("%Y-%m-%d %H:%M:%S %z"), topic])
        writer.writerow([0, "2021-03-20 00:00:00 -0700", "a help page"])
    with (folder / firefox.EVENTS).open("w", encoding="utf-8", newline="") as file:
        file.write("start,end,topics,what\n2021-03-24,2021-03-24,sync;tabs,sync was down\n")


def test_a_known_window_is_found_and_another_spike_is_outside(tmp_path: Path) -> None:
    write(tmp_path)
    found = firefox.measure(tmp_path)
    assert found["questions"] == 1070
    for weeks in ("4", "12", "52"):
        one = found["settings"][weeks]["no budget"]
        (window,) = one["windows"]
        assert one["windows found"] == 1
        assert (window["topic"], window["topics"]) == ("sync", ["sync"])
        assert 13 <= window["delay_h"] <= 14.2  # the spike begins at 13:00 by the local clock
        assert window["since_begin_h"] <= 1.2
        assert one["outside, single topics"] >= 1
