"""From one state of an alert to the next: nothing but signs and a clock that the test moves, in minutes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from integration import settings
from integration.alerting import Silence
from integration.records import Alert, Word
from worker import lifecycle
from worker.lifecycle import Sign

SPIKES = settings.Spikes()
MINUTE = 60.0
T0 = 1_000_000 * MINUTE
SPIKE = Sign(
    category="refund",
    name="Billing::Refund",
    kind="spike",
    statistic=1e5,
    observed=20,
    expected=2.0,
    window_s=20 * MINUTE,
    low=6.0,
    high=15.0,
    share=0.05,
    age_s=2 * MINUTE,
)
CALM = SPIKE._replace(statistic=1.0, observed=2, low=0.4, high=2.0, over=True)
SILENT = Sign("*", "All tickets", "silence", 1e5, 0, 40.0, 20 * MINUTE, 0.0, 0.1, 0.0)


class Life:
    """One row's alert, minute by minute."""

    def __init__(self) -> None:
        self.now = T0
        self.alert: Alert | None = None
        self.events: list[str] = []

    def see(self, sign: Sign = SPIKE, *, minutes: int = 1, **more: Any) -> Alert | None:
        """So many minutes in which the detector says this."""
        for _ in range(minutes):
            before = self.alert
            self.alert = lifecycle.step(before, sign, self.now, SPIKES, classifier="category", **more)
            if self.alert is not None and (before is None or self.alert.news != before.news):
                assert self.alert.news == self.alert.revision
                self.events.append(self.alert.event)
            if before is not None and self.alert is not None and self.alert is not before:
                assert self.alert.revision == before.revision + 1
            self.now += MINUTE
        return self.alert


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({}, True),
        ({"statistic": 671.0}, False),
        ({"statistic": 672.0}, True),
        ({"observed": 4}, False),
        ({"low": 1.5}, False),
        ({"held": "learning"}, False),
        ({"explained": True}, False),
        ({"complete": False, "stopped": True}, True),
    ],
)
def test_what_fires(changes: dict[str, Any], *, fires: bool) -> None:
    assert lifecycle.fires(SPIKE._replace(**changes), 0.0, SPIKES) is fires


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({}, True),
        ({"window_s": 14 * MINUTE}, False),
        ({"complete": False}, False),
        ({"statistic": 600.0}, False),
    ],
)
def test_when_no_tickets_at_all_is_an_alert(changes: dict[str, Any], *, fires: bool) -> None:
    """After a quarter of an hour, and not while the queue holds what came."""
    assert lifecycle.fires(SILENT._replace(**changes), 0.0, SPIKES) is fires


def test_an_alert_says_what_the_sign_said(life: Life) -> None:
    alert = life.see()
    assert alert is not None
    assert (alert.category, alert.observed, alert.expected, alert.once_in_weeks) == ("refund", 20, 2.0, 1e5 / 168)
    assert (alert.ratio_low, alert.ratio_high, alert.share, alert.severity) == (6.0, 15.0, 0.05, "warning")
    assert alert.opened_at - alert.started_at == 22 * MINUTE


def test_it_fires_once_and_ends_once(life: Life) -> None:
    life.see(minutes=20)
    life.see(CALM, minutes=100)
    assert life.events == ["fired", "resolved"]


def test_it_lasts_a_quarter_of_an_hour_at_least(life: Life) -> None:
    life.see()
    life.see(CALM, minutes=14)
    assert life.events == ["fired"]
    life.see(CALM)
    assert life.events == ["fired", "resolved"]


def test_it_is_told_anew_when_the_ratio_doubles(life: Life) -> None:
    life.see()
    life.see(SPIKE._replace(observed=39), minutes=5)
    assert life.events == ["fired"]
    alert = life.see(SPIKE._replace(observed=40), minutes=5)
    assert alert is not None
    assert (life.events, alert.observed) == (["fired", "grew"], 40)


def test_it_is_told_anew_every_half_hour(life: Life) -> None:
    life.see(minutes=95)
    assert life.events == ["fired", "grew", "grew", "grew"]


def test_its_figures_fall_with_the_spike_its_peak_does_not(life: Life) -> None:
    life.see(SPIKE._replace(observed=30))
    alert = life.see(SPIKE._replace(observed=2, statistic=1.0), minutes=40)
    assert alert is not None
    assert (alert.observed, alert.peak) == (2, 15.0)


def test_nobody_hears_of_its_growth_once_somebody_looks_after_it(life: Life) -> None:
    alert = life.see()
    assert alert is not None
    life.alert = msgspec.structs.replace(alert, acknowledged_by="anna", revision=2, news=2, event="acknowledged")
    after = life.see(SPIKE._replace(observed=50), minutes=60)
    assert after is not None
    assert (life.events, after.observed) == (["fired"], 50)
    life.see(CALM)
    assert life.events == ["fired", "resolved"]


@pytest.mark.parametrize("blind", [{"stopped": True}, {"complete": False}])
def test_nothing_ends_while_its_end_cannot_be_seen(life: Life, blind: dict[str, Any]) -> None:
    """No tickets come at all, or the queue holds them: that is no evidence of an end, and no new normal."""
    life.see()
    life.see(CALM._replace(**blind), minutes=1500)
    assert set(life.events) == {"fired", "grew"}
    life.see(CALM)
    assert life.events[-1] == "resolved"


def test_what_comes_back_within_two_hours_is_the_same_alert(life: Life) -> None:
    first = life.see(minutes=20)
    life.see(CALM, minutes=119)
    again = life.see()
    assert first is not None
    assert again is not None
    assert (again.id, again.flaps, again.started_at) == (first.id, 1, first.started_at)
    assert (again.state, again.resolved_at) == ("firing", None)
    life.see(CALM, minutes=14)
    assert life.events == ["fired", "resolved", "reopened"], "and lasts a quarter of an hour again"
    life.see(CALM)
    assert life.events == ["fired", "resolved", "reopened", "resolved"]


def test_what_comes_back_later_is_another(life: Life) -> None:
    first = life.see(minutes=20)
    life.see(CALM, minutes=121)
    assert life.alert is None
    second = life.see()
    assert first is not None
    assert second is not None
    assert first.id != second.id


def away(life: Life) -> Alert:
    """It ended, and a channel that heard of it is away."""
    assert life.alert is not None
    words = (Word("voucher", 2, 2, 0, 9),)
    life.alert = msgspec.structs.replace(life.alert, told={"pager": 1}, words=words)
    return life.alert


def test_an_alert_waits_a_day_for_a_channel_that_has_not_heard_its_end(life: Life) -> None:
    life.see(minutes=20)
    life.see(CALM)
    away(life)
    waiting = life.see(CALM, minutes=1438)
    assert waiting is not None
    assert (waiting.state, waiting.words) == ("resolved", ()), "what was read in tickets is forgotten after two hours"
    assert life.see(CALM) is waiting
    assert life.see(CALM) is None


def test_it_is_closed_as_soon_as_that_channel_has_heard(life: Life) -> None:
    life.see(minutes=20)
    life.see(CALM)
    away(life)
    waiting = life.see(CALM, minutes=180)
    assert waiting is not None
    life.alert = msgspec.structs.replace(waiting, told={"pager": waiting.news})
    assert life.see(CALM) is None


def test_for_a_channel_that_has_not_heard_its_end_it_goes_on(life: Life) -> None:
    first = life.see(minutes=20)
    life.see(CALM)
    away(life)
    life.see(CALM, minutes=180)
    again = life.see()
    assert first is not None
    assert again is not None
    assert (again.id, again.event) == (first.id, "reopened")


def test_the_new_normal_makes_room_for_what_fires_above_it(life: Life) -> None:
    life.see(minutes=1441)
    assert away(life).state == "settled"
    life.see(CALM, minutes=180)
    assert life.alert is not None
    assert life.see() is None
    assert life.see() is not None
    assert life.events[-2:] == ["settled", "fired"]


def test_after_a_day_it_is_the_new_normal(life: Life) -> None:
    life.see(minutes=1440)
    assert life.events[-1] == "grew"
    life.see()
    assert life.events[-1] == "settled", "a day after it was found: the same hours, whose usual tickets are as many"
    life.see(minutes=119)
    assert life.events[-1] == "settled", "meanwhile the baseline learns"
    life.see(CALM, minutes=2)
    assert life.alert is None


def test_what_no_window_shows_after_a_day_has_ended_though_its_few_tickets_are_no_evidence(life: Life) -> None:
    life.see()
    life.see(SPIKE._replace(observed=0, low=0.0, high=1.8, statistic=0.5), minutes=1440)
    assert life.events[-1] == "resolved"


def test_a_day_is_one_since_it_re_opened(life: Life) -> None:
    """What ended by evidence in between is not at a new level because it first began a day ago."""
    for _ in range(12):
        life.see(minutes=20)
        life.see(CALM, minutes=100)
    life.see(minutes=20)
    assert life.events[-1] == "reopened"
    assert life.alert is not None
    assert life.alert.opened_at - life.alert.started_at > 1440 * MINUTE


def test_a_critical_alert_stays_critical(life: Life) -> None:
    alert = life.see(SPIKE._replace(share=0.2))
    assert alert is not None
    assert alert.severity == "critical"
    after = life.see(SPIKE._replace(low=2.0), minutes=40)
    assert after is not None
    assert (after.ratio_low, after.severity) == (2.0, "critical")


@pytest.mark.parametrize("less", [{"share": 0.09}, {"low": 2.9}, {"statistic": 168.0 * 51}])
def test_what_is_a_warning(life: Life, less: dict[str, Any]) -> None:
    alert = life.see(SPIKE._replace(share=0.2)._replace(**less))
    assert alert is not None
    assert alert.severity == "warning"


def test_a_silence_of_all_tickets_is_critical_and_ends_by_evidence(life: Life) -> None:
    alert = life.see(SILENT, minutes=5)
    assert alert is not None
    assert (alert.kind, alert.severity) == ("silence", "critical")
    life.see(SILENT, minutes=1500)
    assert "settled" not in life.events, "no tickets never is normal"
    life.see(SILENT._replace(over=True))
    assert life.events[-1] == "resolved"


def test_a_silenced_alert_is_marked_and_tells_nothing_new_until_then(life: Life) -> None:
    silence = Silence(id="s", since=T0, until=T0 + 60 * MINUTE, by="anna", category="refund")
    alert = life.see(silences=[silence])
    assert alert is not None
    assert alert.silenced_until == silence.until
    after = life.see(SPIKE._replace(observed=50), minutes=58, silences=[silence])
    assert after is not None
    assert (life.events, after.observed) == (["fired"], 50), "its figures go on"
    life.see(SPIKE._replace(observed=50), minutes=2, silences=[silence])
    assert life.alert is not None
    assert life.alert.silenced_until is None


def test_a_silence_that_is_lifted_unmarks(life: Life) -> None:
    life.see(silences=[Silence(id="s", since=T0, until=T0 + 600 * MINUTE, by="anna")])
    after = life.see()
    assert after is not None
    assert (after.silenced_until, life.events) == (None, ["fired"])


def test_a_row_that_nobody_counts_for_ends(life: Life) -> None:
    alert = life.see()
    assert alert is not None
    ended = lifecycle.gone(alert, life.now, SPIKES)
    assert ended is not None
    assert (ended.event, ended.state) == ("gone", "resolved")
    assert lifecycle.gone(ended, life.now + 119 * MINUTE, SPIKES) is ended
    assert lifecycle.gone(ended, life.now + 120 * MINUTE, SPIKES) is None


def test_false_alerts_raise_the_threshold_and_useful_ones_do_not() -> None:
    past = [msgspec.structs.replace(spike("a", 0), useful=useful) for useful in (None, True, False)]
    none, useful, not_useful = (lifecycle.budget([one], T0, SPIKES) for one in past)
    assert 0 == useful < none < not_useful
    assert lifecycle.budget([], T0, SPIKES) == 0
    assert lifecycle.budget(past[:1], T0 + 4 * 7 * 1440 * MINUTE, SPIKES) == pytest.approx(0)
    assert not lifecycle.fires(SPIKE._replace(statistic=6720.0), none, SPIKES)


# What fires together


def spike(name: str, minute: float, **more: Any) -> Alert:
    base = Alert(
        id=f"id-{name}",
        classifier="category",
        category=name,
        name=name.upper(),
        opened_at=T0 + minute * MINUTE,
        started_at=T0 + minute * MINUTE,
        told_at=T0 + minute * MINUTE,
        observed=10,
        expected=1.0,
        window_s=60,
        once_in_weeks=9,
    )
    return msgspec.structs.replace(base, **more)


def regroup(*alerts: Alert, attached: dict[str, list[str]] | None = None) -> dict[str, Alert]:
    """All of them, by category, after nothing more changes."""
    now = {one.category: one for one in alerts}
    for after in lifecycle.regroup(alerts, attached or {}, SPIKES):
        assert after.revision == now[after.category].revision + 1
        now[after.category] = after
    assert lifecycle.regroup(list(now.values()), attached or {}, SPIKES) == []
    return now


def test_two_that_fire_together_name_each_other() -> None:
    after = regroup(spike("a", 0), spike("b", 5), spike("c", 6, state="resolved", resolved_at=T0))
    assert (after["a"].also, after["b"].also, after["c"].also) == (("B",), ("A",), ())
    assert [one.incident for one in after.values()] == [None] * 3
    assert [one.news for one in after.values()] == [1] * 3


def test_three_within_half_an_hour_are_one_incident_that_the_first_tells() -> None:
    told = {"chat": 1}
    after = regroup(spike("a", 0, told=told), spike("b", 20, told=told), spike("c", 30, severity="critical"))
    assert {one.incident for one in after.values()} == {"id-a"}
    assert (after["a"].also, after["a"].event, after["a"].news) == (("B", "C"), "grew", 2)
    assert after["a"].severity == "critical", "as severe as the worst of them"
    assert [after[one].news for one in "bc"] == [1, 1]


def test_three_that_open_in_one_look_are_told_at_once() -> None:
    after = regroup(spike("a", 0), spike("b", 0), spike("c", 0))
    assert (after["a"].event, after["a"].also, after["a"].news) == ("fired", ("B", "C"), 1)


def test_three_that_open_slowly_are_three() -> None:
    after = regroup(spike("a", 0), spike("b", 20), spike("c", 31))
    assert [one.incident for one in after.values()] == [None] * 3


def test_who_fires_soon_after_joins_and_who_fires_later_does_not() -> None:
    before = regroup(spike("a", 0, told={"chat": 1}), spike("b", 10), spike("c", 20))
    after = regroup(*before.values(), spike("d", 50), spike("e", 81))
    assert (after["d"].incident, after["e"].incident) == ("id-a", None)
    assert after["a"].also == ("B", "C", "D")
    assert after["a"].event == "grew"


def test_whoever_looks_after_an_incident_hears_of_no_more_members() -> None:
    """They stand in it all the same."""
    before = regroup(spike("a", 0, told={"chat": 1}, acknowledged_by="kim"), spike("b", 10), spike("c", 20))
    assert (before["a"].news, before["a"].also) == (1, ("B", "C"))


def test_an_incident_ends_with_its_last_member(life: Life) -> None:
    before = regroup(spike("refund", 0), spike("b", 0), spike("c", 0))
    life.alert, life.now = before["refund"], T0 + 20 * MINUTE
    assert lifecycle.members(life.alert, before.values()) == 2
    life.see(CALM, members=1)
    assert life.events == []
    life.see(CALM, members=0)
    assert life.events == ["resolved"]


def test_members_are_told_themselves_when_their_incident_is_gone() -> None:
    before = regroup(spike("a", 0), spike("b", 0), spike("c", 0))
    ended = msgspec.structs.replace(before["a"], state="settled", resolved_at=T0)
    after = regroup(ended, before["b"], before["c"])
    assert [after[one].incident for one in "bc"] == [None, None]


def test_the_silenced_neither_lead_nor_follow() -> None:
    after = regroup(spike("a", 0, silenced_until=T0 * 2), spike("b", 1), spike("c", 2), spike("d", 3))
    assert {one: alert.incident for one, alert in after.items()} == {"a": None} | dict.fromkeys("bcd", "id-b")


def test_what_is_only_confused_with_it_is_attached() -> None:
    after = regroup(spike("a", 0), attached={"a": ["Z"]})
    assert (after["a"].also, after["a"].news) == (("Z",), 1)
