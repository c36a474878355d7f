"""``presort alerts``: what a person sees of alerts, and what they say to them."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pytest

from integration import alerting
from integration.records import Alert, Model, Sample, Word
from integration.store import Store
from tests.operating.conftest import Typed


@pytest.fixture
def alert(store: Store) -> Alert:
    """A spike that fires, of 2026-07-01 12:00 in Berlin."""
    one = Alert(
        id="5d2f9c1e07ab",
        classifier="category",
        category="delivery",
        name="Orders::Delivery",
        opened_at=1_782_900_300.0,
        started_at=1_782_900_000.0,
        observed=12,
        expected=1.5,
        window_s=300.0,
        ratio_low=4.6,
        ratio_high=13.0,
        once_in_weeks=900.0,
        share=0.25,
        samples=(Sample(ticket_id=7, url="https://acme/7", subject="Where is it?"),),
        words=(Word("strike", 5, 12, 0, 50),),
        also=("Orders::Change",),
    )
    assert alerting.save(store.redis, one, over=0)
    return one


def now(store: Store) -> Alert:
    (one,) = alerting.active(store.redis)
    return one


def test_alerts_are_listed_in_the_accounts_time(alert: Alert, presort: Typed) -> None:
    shown = presort("alerts", "list").output
    assert shown.startswith(
        f"{alert.id}  firing   warning  category Orders::Delivery: 12 tickets in 5 min where 1.5 are usual"
    )
    assert "since 2026-07-01 12:00:00 CEST, still" in shown
    assert "1 firing, 0 over" in shown


def test_closed_ones_are_listed_when_asked_for(store: Store, alert: Alert, presort: Typed) -> None:
    assert alerting.close(store.redis, alert)
    assert presort("alerts", "list").output == "0 firing, 0 over\n"
    assert alert.id in presort("alerts", "list", "--log").output


@pytest.mark.parametrize("which", ["5d2f9c1e07ab", "delivery", "category/delivery", "Orders::Delivery"])
def test_one_is_shown_whole(alert: Alert, presort: Typed, which: str) -> None:
    shown = presort("alerts", "show", which).output
    for fact in (
        alert.id,
        "12 tickets in 5 min where 1.5 are usual",
        "8.0, 90 % interval 4.6 to 13.0",
        "25.0% of all tickets",
        "strike: in 5 of 12 tickets, usually in 0 of 50",
        "#7 https://acme/7 Where is it?",
        "Orders::Change",
    ):
        assert fact in shown


def test_an_unknown_one_is_refused_with_where_to_look(presort: Typed) -> None:
    result = presort("alerts", "show", "nonsense")
    assert (result.exit_code, "presort alerts list --log" in result.output) == (1, True)


def test_whoever_looks_after_an_alert_is_news_once(store: Store, alert: Alert, presort: Typed) -> None:
    assert "anna looks after it" in presort("alerts", "ack", "delivery", "--by", "anna").output
    after = now(store)
    assert (after.event, after.news, after.revision, after.acknowledged_by) == ("acknowledged", 2, 2, "anna")
    assert "anna looks after it" in presort("alerts", "ack", alert.id, "--by", "ben").output
    assert (now(store).news, now(store).acknowledged_by) == (2, "anna")


def test_what_is_over_needs_nobody(store: Store, alert: Alert, presort: Typed) -> None:
    ended = msgspec.structs.replace(alert, state="resolved", resolved_at=time.time(), revision=2)
    assert alerting.save(store.redis, ended, over=1)
    assert presort("alerts", "ack", "delivery").exit_code == 1


@pytest.mark.parametrize(("word", "useful"), [("useful", True), ("not-useful", False)])
def test_what_it_was_worth(store: Store, alert: Alert, presort: Typed, word: str, *, useful: bool) -> None:
    assert presort("alerts", word, alert.id).exit_code == 0
    assert now(store).useful is useful
    assert re.search(
        rf"^useful +{'yes' if useful else 'no'}$", presort("alerts", "show", alert.id).output, re.MULTILINE
    )
    assert alerting.close(store.redis, now(store))
    presort("alerts", "useful", alert.id)
    assert [one.useful for one in alerting.log(store.redis)] == [True]


def test_a_category_is_silenced_and_the_silence_ended(store: Store, presort: Typed) -> None:
    said = presort("alerts", "silence", "category/delivery", "--hours", "4", "--by", "anna", "--reason", "known").output
    (one,) = alerting.silences(store.redis)
    assert (one.classifier, one.category, one.by, one.reason) == ("category", "delivery", "anna", "known")
    assert one.until - one.since == 4 * 3600
    assert f"presort alerts unsilence {one.id}" in said
    assert "delivery of category" in presort("alerts", "list").output
    assert presort("alerts", "unsilence", one.id).exit_code == 0
    assert presort("alerts", "unsilence", one.id).exit_code == 1


def test_a_maintenance_window_is_planned_in_the_accounts_time(store: Store, presort: Typed) -> None:
    presort("alerts", "silence", "--all", "--from", "2126-07-01 22:00", "--to", "2126-07-02 02:00")
    (one,) = alerting.silences(store.redis)
    assert (one.classifier, one.category) == (None, None)
    assert "2126-07-01 22:00:00 CEST to 2126-07-02 02:00:00 CEST" in presort("alerts", "list").output


@pytest.mark.parametrize(
    "words",
    [
        ("delivery",),
        ("--hours", "2"),
        ("delivery", "--all", "--hours", "2"),
        ("delivery", "--hours", "2", "--to", "2126-07-01 22:00"),
        ("delivery", "--to", "2020-01-01 00:00"),
        ("delivery", "--from", "2126-07-02 00:00", "--to", "2126-07-01 00:00"),
    ],
)
def test_a_silence_without_a_clear_time_is_refused(store: Store, presort: Typed, words: tuple[str, ...]) -> None:
    assert presort("alerts", "silence", *words).exit_code == 2
    assert alerting.silences(store.redis) == []


def test_a_misspelt_category_is_refused(store: Store, presort: Typed) -> None:
    labels = {"delivery": "Orders::Delivery", "change": "Orders::Change"}
    store.publish_model("category", Model(name="m", version="1", graph="g", provider="p", labels=labels, loaded_at=0))
    refused: Any = presort("alerts", "silence", "delivry", "--hours", "2")
    assert (refused.exit_code, "no category 'delivry'" in refused.output) == (1, True)
    for good in ("delivery", "category/change", "Orders::*", "*"):
        assert presort("alerts", "silence", good, "--hours", "2").exit_code == 0
