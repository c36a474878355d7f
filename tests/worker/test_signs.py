"""What the detector says of each row, and which rows' spikes are another's."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from integration.records import Alert
from worker.lifecycle import Sign
from worker.signs import Look, read

ROWS = ["a", "b", "c", "d", "X::*", "*"]
NAMES = ["X::A", "X::B", "X::C", "Y::D", "X (all)", "All tickets"]
TICKS = 600
END = 1_000_000 * 60.0
RATE = 0.3
CONFUSION = np.array([[90, 0, 0, 10], [0, 100, 0, 0], [0, 0, 100, 0], [0, 0, 0, 100]])


def look(spikes: dict[str, int], *, minutes: int = 20, usual: int | None = None, **more: Any) -> Look:
    """Ticks of a minute with the usual tickets, and ``spikes`` more a minute of a label in the newest ``minutes``."""
    labels = np.random.default_rng(1).poisson(RATE if usual is None else usual, (4, TICKS))
    for label, tickets in spikes.items():
        labels[ROWS.index(label), -minutes:] += tickets
    counts = np.vstack([labels, labels[:3].sum(axis=0), labels.sum(axis=0)])
    expected = np.repeat([[RATE], [RATE], [RATE], [RATE], [3 * RATE], [4 * RATE]], TICKS, axis=1)
    base = Look(
        rows=ROWS,
        names=NAMES,
        counts=counts,
        expected=expected,
        error=np.full(6, 0.001),
        dispersion=np.full((6, 2), 0.02),
        held={},
        threshold=672.0,
        confusion=None,
        end=END,
        tick_s=60,
    )
    return base._replace(**more)


def alert(category: str, **more: Any) -> Alert:
    base = Alert(
        id="1",
        classifier="category",
        category=category,
        name=category,
        opened_at=END - 1200,
        started_at=END - 1200,
        observed=60,
        expected=6.0,
        window_s=1200,
        once_in_weeks=99,
    )
    return msgspec.structs.replace(base, **more)


def signs(seen: Look, *known: Alert) -> dict[str, Sign]:
    found, _ = read(seen, known, END + 120)
    return {one.category if one.kind == "spike" else "silence": one for one in found}


def news(seen: Look, *known: Alert) -> set[str]:
    return {name for name, one in signs(seen, *known).items() if one.statistic >= 672 and not one.explained}


def test_usual_counts_are_no_news() -> None:
    assert news(look({})) == set()


def test_a_spikes_figures() -> None:
    sign = signs(look({"a": 3}))["a"]
    assert sign.statistic > 1e6
    assert sign.window_s == 1200
    assert sign.observed == pytest.approx(66, abs=8)
    assert sign.expected == pytest.approx(6)
    assert sign.low < sign.observed / sign.expected < sign.high
    assert 0.6 < sign.share < 0.9
    assert sign.age_s == 120


def test_of_parent_and_child_the_lowest_is_news() -> None:
    assert news(look({"a": 3})) == {"a"}


def test_a_parent_is_news_when_no_child_explains_it() -> None:
    """Twice as much in each of three, for forty minutes: too little for any one of them."""
    spread = look({})
    spread.counts[:3, -40:] = np.arange(40) % 4 > 0
    spread.counts[4] = spread.counts[:3].sum(axis=0)
    spread.counts[5] = spread.counts[:4].sum(axis=0)
    found = signs(spread)
    assert news(spread) == {"X::*"}, "and all tickets are explained by it"
    assert max(found[one].statistic for one in "abc") < 672


def test_a_child_that_may_not_fire_explains_nothing() -> None:
    held = look({"a": 3}, held={"a": "learning"})
    assert news(held) == {"a", "X::*"}
    assert signs(held)["a"].held == "learning"


def test_what_an_alert_has_told_is_not_told_again() -> None:
    seen = look({"a": 3})
    assert news(seen, alert("a", state="resolved", resolved_at=END)) == set()
    assert news(seen, alert("a", state="resolved", resolved_at=END - 600)) == {"a"}, "what came since is news"


def test_the_window_of_news_holds_nothing_that_was_told() -> None:
    """Else a few tickets would be told as those of an hour, as small a share of it, and with a begin in the past."""
    seen, one = look({"a": 9}, minutes=60), alert("a", state="resolved", resolved_at=END - 60)
    sign = signs(seen, one)["a"]
    assert sign.window_s == 60
    assert sign.observed == seen.counts[0, -1]
    assert sign.share == pytest.approx(seen.counts[0, -1] / seen.counts[-1, -1])


def test_what_a_category_that_fires_is_confused_with_is_attached_to_it() -> None:
    leaking = look({"a": 9, "d": 1}, confusion=CONFUSION)
    found, attached = read(leaking, [alert("a")], END)
    assert attached == {"a": ["Y::D"]}
    assert next(one for one in found if one.category == "d").statistic < 672
    assert read(leaking, [], END)[1] == {}, "nothing fires that it could be attached to"
    assert news(leaking._replace(confusion=None)) == {"a", "d"}


def test_a_spike_is_over_when_the_usual_has_come_back() -> None:
    assert not signs(look({"a": 3}), alert("a"))["a"].over
    assert signs(look({}), alert("a"))["a"].over


def test_the_end_of_a_spike_is_judged_by_its_peak_not_by_what_is_left_of_it() -> None:
    """The newest figures of a spike that is dying away are small, and below one would be those of a silence."""
    left = alert("a", observed=1, expected=1.5, opened_at=END - 2400, peak=10.0)
    seen = look({})
    seen.counts[0, -40:] = 0
    assert signs(seen, left)["a"].over
    assert not signs(seen, msgspec.structs.replace(left, peak=0.0))["a"].over


def test_an_outage_is_no_evidence_that_a_spike_ended() -> None:
    """Ten minutes in which twelve tickets of the account were due, and none came; they come late, or never."""
    seen, spike = look({"a": 3}, minutes=40), alert("a", opened_at=END - 2400, peak=10.0)
    seen.counts[:, -12:-2] = 0
    assert not signs(seen, spike)["a"].over
    ended = look({"a": 3}, minutes=40)
    ended.counts[[0, 4, 5], -12:] = 0
    ended.counts[5, -12:] = 1
    assert signs(ended, spike)["a"].over, "others' tickets came all along"


def test_what_came_before_and_after_an_outage_is_evidence() -> None:
    seen, spike = look({}), alert("a", opened_at=END - 2400)
    seen.counts[:, -20:-10] = 0
    assert signs(seen, spike)["a"].over


def test_a_gap_that_chance_leaves_is_evidence() -> None:
    """Four tickets of the account were due: where they are rare that is an everyday gap."""
    spike = alert("a", opened_at=END - 1200, peak=20.0)
    seen = look({"a": 3})
    seen.counts[:, -20:] = 0
    seen.counts[5, [-20, -17, -14, -11, -8, -5, -2]] = 1
    assert signs(seen, spike)["a"].over


def test_no_tickets_at_all() -> None:
    seen = look({})
    seen.counts[:, -45:] = 0
    sign = signs(seen)["silence"]
    assert sign.statistic > 672
    assert (sign.observed, sign.window_s) == (0, 45 * 60)
    assert sign.expected == pytest.approx(45 * 4 * RATE)
    assert signs(seen)["a"].stopped
    assert not signs(look({}))["a"].stopped
    assert signs(look({}))["silence"].statistic < 672


def test_a_silence_is_over_when_tickets_have_come_back() -> None:
    silence = alert("*", kind="silence", observed=0, expected=30.0)
    assert signs(look({}), silence)["silence"].over
    seen = look({})
    seen.counts[:, -30:] = 0
    assert not signs(seen, silence)["silence"].over
