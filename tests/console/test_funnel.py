"""From the webhook to what stands in the end: counts, shares, months, and the estimate beside what was observed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from integration import backfills, outcomes
from integration.console import funnel
from integration.outcomes import Counts, month_of
from integration.store import Store, funnel_key
from tests.console.conftest import Visitor
from tests.console.test_categories import MODEL, judgement
from tests.console.test_pages import words
from tests.test_store import decision

NOW = month_of(time.time())


def test_shares_are_of_what_presort_heard_of() -> None:
    found = {
        one.title: (one.reached, one.share) for one in funnel.steps({"received": 200, "decided": 180, "filled": 150})
    }
    assert found == {
        "Received": (200, 1.0),
        "Decided": (180, 0.9),
        "Eligible": (0, 0.0),
        "Predicted": (0, 0.0),
        "Sure": (0, 0.0),
        "Filled": (150, 0.75),
    }
    assert [one.share for one in funnel.steps({"received": 150, "reconciled": 50, "decided": 200})[:3]] == [
        0.75,
        0.25,
        1.0,
    ]
    assert funnel.steps({"decided": 4, "sure": 1})[-1] == ("Sure", "the answer reached its threshold", 1, 0.25)
    assert funnel.steps({}) == []


def test_what_was_looked_back_at_is_a_share_of_itself() -> None:
    found = {
        one.title: one.share for one in funnel.steps({"received": 1000, "kept": 45, "overridden": 5, "corrected": 2})
    }
    assert found["Kept"] == 0.9
    assert found["Overridden"] == 0.1
    assert found["Corrected"] == 1.0


def test_months_and_models_with_the_estimate_of_the_one_that_serves() -> None:
    cells = {
        ("support@6", "refund"): Counts(predicted=10, agreed=8, sure=5, right=5),
        ("support@7", "refund"): Counts(predicted=90, agreed=80, sure=80, right=76, written=50, kept=49),
        ("support@7", "delay"): Counts(predicted=10, agreed=10),
    }
    newest, before, old = funnel.months_of({"2026-10": cells, "2026-11": {k: cells[k] for k in list(cells)[:1]}}, MODEL)
    assert (newest.month, newest.model, newest.estimate) == ("2026-11", "support@6", None)
    assert (before.month, before.model) == ("2026-10", "support@6")
    assert (old.model, old.counts.predicted, old.estimate) == ("support@7", 100, 0.9)
    assert (old.agreed, old.live, old.kept) != (None, None, None)
    figure = funnel.agreement([newest, before, old])
    assert [one["name"] for one in figure["data"]] == ["support@7", "support@6", "expected of the month's mix"]
    assert figure["text"].startswith("2026-11, support@6: 80.0 %")


def test_a_months_way_from_received_to_kept_by_model() -> None:
    judged = funnel.months_of(
        {"2026-11": {("support@7", "refund"): Counts(predicted=40, agreed=36, written=20, kept=19)}}, MODEL
    )
    by_model = {"support@6": {"decided": 50, "filled": 25}, "support@7": {"decided": 150, "filled": 100}}
    old, new = funnel.ways({"received": 200}, by_model, judged)
    assert (old.model, old.month) == ("support@6", None)
    assert [(one.title, one.reached, one.share) for one in old.steps if one.reached] == [
        ("Received", 200, 1.0),
        ("Decided", 50, 0.25),
        ("Filled", 25, 0.125),
    ]
    assert [(one.title, one.reached, one.share) for one in new.steps][-2:] == [
        ("Kept", 19, 0.95),
        ("Overridden", 1, 0.05),
    ]
    assert new.month == judged[0]


def test_a_category_without_test_rows_has_no_estimate() -> None:
    (only,) = funnel.months_of({"2026-11": {("support@7", "login"): Counts(predicted=3, agreed=3)}}, MODEL)
    assert only.estimate is None


def test_before_anything_came(anna: Visitor) -> None:
    text = words(anna.get("/funnel/"))
    assert f"Nothing came in {NOW}" in text
    assert "No solved ticket was looked back at yet" in text
    assert "There was none. presort backfill" in text
    assert anna.get("/funnel/figure.json").json()["text"] == "No solved ticket was looked back at yet."


def test_the_page(anna: Visitor, store: Store) -> None:
    store.publish_model("category", MODEL)
    for step, count in {"received": 200, "decided": 180, "predicted": 170, "sure": 120, "filled": 100}.items():
        store.redis.hincrby(funnel_key(), step, count)
    outcomes.count(store.redis, [judgement(one) for one in range(9)] + [judgement(9, into="delay")])
    outcomes.await_judgement(store.redis, [70, 71])
    backfills.start(store.redis, "tickets of brand 12", range(10), time.time())
    backfills.settle(store.redis, 8, {"left_alone": 8})
    store.redis.hincrby(funnel_key(backfill=True), "decided", 8)
    text = words(anna.get("/funnel/"))
    assert "Received 200 100.0%" in text
    assert "Sure 120 60.0%" in text
    assert "Kept 9 90.0%" in text
    assert f"{NOW} support@7 10 90.0% (60% to 98%) 9 of 10 90.0% 90.0% (60% to 98%) 9 of 10" in text
    assert "2 solved tickets wait" in text
    assert "running 8 of 10 tickets (80.0%) are settled" in text
    assert "left alone 8" in text
    assert "Decided 8 100.0%" in text


def test_the_page_by_model(anna: Visitor, store: Store) -> None:
    store.publish_model("category", MODEL)
    store.redis.hincrby(funnel_key(), "received", 4)
    new = [decision(one, model="support@7") for one in (1, 2, 3)]
    store.record([*new, decision(4, model="support@6", confidence=0.5)], tick_s=60)
    store.record([decision(5, model="support@7", backfill=True)], tick_s=60)
    store.finish([(new[0], "filled", "confident"), (new[1], "left_alone", "person_set_it")])
    outcomes.count(store.redis, [judgement(one) for one in range(9)] + [judgement(9, into="delay")])
    text = words(anna.get("/funnel/")).partition(f"By model in {NOW}")[2]
    old, _, served = text.partition("What stood in the end")[0].partition("support@7 Decisions")
    assert "Received 4 100.0%" in old
    assert "Decided 1 25.0%" in old
    assert "Sure 0 0.0%" in old
    assert "Sure 3 75.0%" in served, "a backfill has a funnel of its own"
    assert "Filled 1 25.0%" in served
    assert "Left alone 1 25.0%" in served
    assert "Kept 9 90.0%" in served
    assert "Of 10 answers on solved tickets 90.0% stand (60% to 98%) ; 90.0% were expected" in served


@pytest.mark.parametrize(("day", "months"), [(11, ["2026-03", "2026-02", "2026-01"]), (13, ["2026-03", "2026-02"])])
def test_the_months_whose_days_are_still_kept(day: int, months: list[str]) -> None:
    assert funnel.months_kept(datetime(2026, 3, day, 12, tzinfo=UTC).timestamp()) == months
