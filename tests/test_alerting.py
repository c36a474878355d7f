"""Alerts as Redis keeps them: changed over the revision that was seen, told once, silenced, remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from integration import alerting
from integration.alerting import Silence
from integration.records import Alert, Sample, Word
from integration.store import Store


def alert(**more: Any) -> Alert:
    base = Alert(
        id="a",
        classifier="category",
        category="refund",
        name="Billing::Refund",
        opened_at=100.0,
        started_at=40.0,
        observed=10,
        expected=1.0,
        window_s=60,
        once_in_weeks=9,
    )
    return msgspec.structs.replace(base, **more)


def test_one_of_many_watchers_opens_an_alert(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda n: alerting.save(store.redis, alert(id=str(n)), over=0), range(20)))
    assert opened.count(True) == 1
    assert len(alerting.active(store.redis)) == 1


def test_a_change_is_written_only_over_the_revision_that_it_was_made_from(store: Store) -> None:
    alerting.save(store.redis, alert(), over=0)
    assert alerting.save(store.redis, alert(revision=2, observed=12), over=1)
    assert not alerting.save(store.redis, alert(revision=2, observed=99), over=1)
    assert not alerting.close(store.redis, alert(revision=1))
    assert [one.observed for one in alerting.active(store.redis)] == [12]


def test_what_must_not_be_lost_is_changed_however_often_others_are_faster(store: Store) -> None:
    alerting.save(store.redis, alert(observed=0), over=0)

    def one_more(one: Alert) -> Alert:
        return msgspec.structs.replace(one, observed=one.observed + 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: alerting.change(store.redis, alert(), one_more), range(20)))
    (after,) = alerting.active(store.redis)
    assert (after.observed, after.revision) == (20, 21)


def test_the_one_that_took_its_place_is_not_changed(store: Store) -> None:
    alerting.save(store.redis, alert(id="b"), over=0)
    assert alerting.change(store.redis, alert(id="a"), lambda one: one) is None
    assert [one.revision for one in alerting.active(store.redis)] == [1]


def test_a_spike_and_a_silence_of_all_tickets_are_two_alerts(store: Store) -> None:
    assert alerting.save(store.redis, alert(category="*"), over=0)
    assert alerting.save(store.redis, alert(category="*", kind="silence"), over=0)
    assert len(alerting.active(store.redis)) == 2


def test_the_log_keeps_no_ticket_text(store: Store) -> None:
    words, samples = (Word("lost", 3, 5, 0, 50),), (Sample(ticket_id=1, url="u", subject="My card"),)
    told = alert(state="resolved", words=words, samples=samples)
    alerting.save(store.redis, told, over=0)
    assert alerting.close(store.redis, told)
    assert alerting.active(store.redis) == []
    (closed,) = alerting.log(store.redis)
    assert (closed.state, closed.words, [one.subject for one in closed.samples]) == ("resolved", (), [None])
    assert alerting.known(store.redis, "category") == [closed]
    assert alerting.known(store.redis, "other") == []


def test_a_person_rates_an_alert_also_after_it_was_closed(store: Store) -> None:
    for name in ("a", "b"):
        alerting.save(store.redis, alert(id=name), over=0)
        assert alerting.rate(store.redis, alert(id=name), useful=False)
        (now,) = alerting.active(store.redis)
        alerting.close(store.redis, now)
    assert alerting.rate(store.redis, alert(id="a"), useful=True)
    assert {one.id: one.useful for one in alerting.log(store.redis)} == {"a": True, "b": False}
    assert not alerting.rate(store.redis, alert(id="c"), useful=True)


def test_the_new_level_of_a_settled_alert_is_a_days() -> None:
    assert alerting.level_since(alert(resolved_at=200_000.0), 60) is None
    assert alerting.level_since(alert(state="settled", resolved_at=200_000.0), 60) == 113_600
    assert alerting.level_since(alert(state="settled", resolved_at=50_000.0), 60) == 40, "not before it began"


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, True),
        ({"told": {"chat": 1}}, False),
        ({"told": {"chat": 1}, "news": 2}, True),
        ({"told": {"mail": 1}}, True),
        ({"incident": "a"}, True),
        ({"incident": "b"}, False),
        ({"incident": "b", "told": {"chat": 1}, "news": 2, "state": "resolved"}, True),
        ({"silenced_until": 200.0}, False),
        ({"silenced_until": 200.0, "told": {"chat": 1}, "news": 2}, False),
        ({"silenced_until": 200.0, "told": {"chat": 1}, "news": 2, "state": "resolved"}, True),
        ({"silenced_until": 120.0}, True),
        ({"silenced_until": 120.0, "state": "resolved"}, False),
        ({"state": "resolved"}, False),
        ({"telling": {"chat": 1}, "news": 2, "state": "resolved"}, True),
        ({"telling": {"chat": 1}, "news": 2, "state": "resolved", "silenced_until": 200.0}, True),
        ({"telling": {"chat": 1}, "news": 2, "state": "resolved", "incident": "b"}, True),
    ],
)
def test_what_a_channel_has_yet_to_hear(changes: dict[str, Any], *, due: bool) -> None:
    """News once; not what its incident tells, nor what is silenced; but the end of what it has, or may have, heard."""
    assert alerting.due(alert(**changes), "chat", now=150.0) is due


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({}, True),
        ({"told": {"chat": 2, "mail": 2}, "telling": {"chat": 2}}, True),
        ({"told": {"chat": 2, "mail": 1}}, False),
        ({"told": {"chat": 2}, "telling": {"mail": 1}}, False),
    ],
)
def test_whether_all_have_heard(changes: dict[str, Any], *, heard: bool) -> None:
    assert alerting.all_heard(alert(news=2, **changes)) is heard


@pytest.mark.parametrize(
    ("classifier", "category", "covers"),
    [
        (None, None, True),
        (None, "refund", True),
        ("category", "refund", True),
        ("other", "refund", False),
        (None, "other", False),
        (None, "Billing::*", True),
        (None, "Bill::*", False),
        (None, "*", False),
    ],
)
def test_whom_a_silence_covers(classifier: str | None, category: str | None, *, covers: bool) -> None:
    one = Silence(id="s", since=10, until=20, by="anna", classifier=classifier, category=category)
    assert one.covers(alert(), 10) is covers
    assert not one.covers(alert(), 20)
    assert not one.covers(alert(), 9)


def test_silences_are_kept_until_they_are_ended(store: Store) -> None:
    later, now = (Silence(id=name, since=at, until=at + 9, by="anna") for name, at in (("x", 50.0), ("y", 10.0)))
    for one in (later, now):
        alerting.silence(store.redis, one)
    assert alerting.silences(store.redis) == [now, later]
    assert alerting.unsilence(store.redis, "y")
    assert not alerting.unsilence(store.redis, "y")
    assert alerting.silences(store.redis) == [later]
