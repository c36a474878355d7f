"""Real tickets: three years of questions to Firefox's support forum, six windows of which have a known cause.

The topics are those that askers chose, so a spike's tickets lie where people saw it, not where a model put them. Which
windows are known was decided by looking for large deviations in this very stream, so finding them is no proof of
sensitivity; and what fires outside them need not be false: nobody has looked at each.
"""

from __future__ import annotations

import csv
import lzma
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from integration.settings import Spikes
from model_export.bundle.manifest import Label
from worker.backtest.figures import MONTH_H
from worker.backtest.history import History, gathered
from worker.backtest.replay import Episode, Replay
from worker.backtest.sensitivities import replay_all

QUESTIONS = "firefox_questions_2020_2023.csv.xz"
EVENTS = "firefox_known_events_2020_2023.csv"
ZONE = "America/Los_Angeles"

FEWEST = 100
"""Questions of a topic; the 28 below it, mostly of the help pages, have 131 in all and are left out."""


class Event(NamedTuple):
    """A window with a known cause. ``begin`` and ``end`` are the local midnights around it, Unix seconds."""

    what: str
    topics: tuple[str, ...]
    begin: float
    end: float


def measure(data: Path) -> dict[str, Any]:
    """Replay the questions at each sensitivity; ``data`` is the folder with both files."""
    history, events = read_questions(data / QUESTIONS), read_events(data / EVENTS)
    found = replay_all(history, ZONE, Spikes())
    return {
        "questions": history.tickets,
        "rows": len(history.rows),
        "settings": {
            str(weeks): {
                "budget": figures(history, pair.budgeted, events),
                "no budget": figures(history, pair.free, events),
            }
            for weeks, pair in found.items()
        },
    }


def figures(history: History, replay: Replay, events: Sequence[Event]) -> dict[str, Any]:
    """Which windows were found and how late, and what else fired."""
    spikes = [one for one in replay.episodes if one.fired.kind == "spike"]
    other = [one for one in spikes if not any(_within(one, event) for event in events)]
    months = float(replay.watched.sum()) / MONTH_H
    kinds = Counter("all questions" if one.fired.category == history.rows[-1] else "single topics" for one in other)
    return {
        "windows found": sum(any(_tells(one, event) for one in spikes) for event in events),
        "windows": [_window(event, spikes) for event in events],
        "category-months": round(months, 1),
        "alerts": len(spikes),
        "ended": dict(Counter(one.last.state for one in spikes)),
        "alerts outside": len(other),
        "outside per category-month": round(len(other) / months, 3),
        **{f"outside, {kind}": kinds[kind] for kind in ("all questions", "single topics")},
        "silences": len(replay.episodes) - len(spikes),
    }


def _window(event: Event, spikes: Sequence[Episode]) -> dict[str, Any]:
    """The first alert of an affected topic in a window, and the first of anything; delays are from local midnight."""
    own = [one.fired for one in spikes if _tells(one, event)]
    near = [one.fired for one in spikes if _within(one, event)]
    return {
        "what": event.what,
        "delay_h": _hours(own[0].opened_at - event.begin) if own else None,
        "topic": own[0].category if own else None,
        "since_begin_h": _hours(own[0].opened_at - own[0].started_at) if own else None,
        "counted": f"{own[0].observed} where {own[0].expected:.1f} are usual" if own else None,
        "any_delay_h": _hours(near[0].opened_at - event.begin) if near else None,
        "topics": sorted({one.category for one in near}),
    }


def _within(one: Episode, event: Event) -> bool:
    return event.begin <= one.fired.opened_at < event.end


def _tells(one: Episode, event: Event) -> bool:
    return _within(one, event) and one.fired.category in event.topics


def _hours(seconds: float) -> float:
    return round(seconds / 3600, 1)


def read_questions(path: Path) -> History:
    """The stream, its topics as categories."""
    csv.field_size_limit(1 << 24)
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [(row["created"].replace(" -", "-"), row["topic"]) for row in csv.DictReader(file)]
    topics = [topic for topic, count in sorted(Counter(topic for _, topic in rows).items()) if count >= FEWEST]
    filed = [(datetime.fromisoformat(at).timestamp(), (topic,)) for at, topic in rows if topic in topics]
    return gathered([Label(value=one, name=one, threshold=1.0) for one in topics], filed, str(path))


def read_events(path: Path) -> list[Event]:
    """The known windows."""
    zone = ZoneInfo(ZONE)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    days = [[datetime.fromisoformat(row[name]).replace(tzinfo=zone) for name in ("start", "end")] for row in rows]
    return [
        Event(row["what"], tuple(row["topics"].split(";")), begin.timestamp(), (end + timedelta(days=1)).timestamp())
        for row, (begin, end) in zip(rows, days, strict=True)
    ]
