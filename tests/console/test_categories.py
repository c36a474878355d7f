"""How far each category may go, how often it is right, and the button that gives a demoted one back."""

from __future__ import annotations

import time

import msgspec
import pytest

from integration import counting, outcomes, usual
from integration.console.categories import Override, lines, overrides
from integration.controls import Controls, Demotion
from integration.outcomes import Counts, Judgement, month_of
from integration.records import Model
from integration.settings import Classifier, Settings
from integration.store import Store
from integration.usual import Baseline, Row
from tests.console.conftest import EVIL, LABELS, Serve, Visitor
from tests.console.test_pages import words

CLASSIFIER = Classifier(field_id=1, bundle="b", mode="prefill", categories={"login": "shadow"})
MODEL = Model(
    name="support",
    version="7",
    graph="int8",
    provider="CPU",
    labels=LABELS,
    loaded_at=0,
    thresholds={"refund": 0.85, "delay": 1.01},
    precision={"refund": 0.9},
    target=0.9,
)
NOW = month_of(time.time())
ONE = "/categories/one?classifier=category&category="


def judgement(
    ticket_id: int, category: str = "refund", into: str | None = None, *, model: str = "support@7"
) -> Judgement:
    """Of a ticket that was filled, and stands unless it says otherwise."""
    return Judgement(
        ticket_id=ticket_id,
        classifier="category",
        model=model,
        category=category,
        month=NOW,
        sure=True,
        written=True,
        right=into is None,
        into=() if into is None else (into,),
        by="person",
    )


@pytest.fixture
def judged(console: str, store: Store) -> None:
    """Nine refunds that stand and one that a person changed; a model that serves."""
    assert console
    store.publish_model("category", MODEL)
    outcomes.count(store.redis, [judgement(one) for one in range(9)] + [judgement(9, into="delay")])


def test_shares_come_with_their_interval_and_what_nobody_knows_is_none() -> None:
    counts = {"refund": Counts(predicted=12, sure=10, right=9, written=10, kept=9, changed={("person", "delay"): 1})}
    refund, login, delay = lines(MODEL, CLASSIFIER, counts, {"delay": Demotion(at=1, reason="60 of 90")})
    assert (refund.name, refund.mode, refund.threshold, refund.coverage) == ("Orders::Refund", "prefill", 0.85, 10 / 12)
    assert refund.live is not None
    assert (refund.live.value, round(refund.live.low, 3), round(refund.live.high, 3)) == (0.9, 0.596, 0.982)
    assert refund.into == [("Orders::Delivery", 1)]
    assert (login.mode, login.live, login.coverage, login.threshold) == ("shadow", None, None, None)
    assert delay.demotion is not None


def test_a_category_that_the_model_has_forgotten_is_listed_all_the_same() -> None:
    assert [one.name for one in lines(None, CLASSIFIER, {"gone": Counts(predicted=1)}, {})] == ["gone"]


def test_overrides_say_by_whom_and_whether_it_was_written() -> None:
    counts = Counts(changed={("person", "delay"): 2, ("rule", ""): 1}, instead={("person", "login"): 5})
    assert overrides(counts, LABELS) == [
        Override("Login", "a person", written=False, tickets=5),
        Override("Orders::Delivery", "a person", written=True, tickets=2),
        Override("(emptied)", "a trigger or automation", written=True, tickets=1),
    ]


def test_before_anything_is_known(anna: Visitor) -> None:
    assert "No category is known yet" in words(anna.get("/categories/"))


@pytest.mark.usefixtures("judged")
def test_the_list(anna: Visitor) -> None:
    text = words(anna.get("/categories/"))
    assert "Live precision 90.0% 9 of 10 sure answers stand; 59.6% to 98.2% with 95 % certainty" in text
    assert "Orders::Refund fills the field 85.0% 10 100% 10 of 10 90.0% (60% to 98%) 9 of 10 90.0% 9 of 10" in text
    assert "Orders::Delivery 1" in text
    assert "Orders::Delivery never sure suggests only never filled 0" in text


@pytest.mark.usefixtures("judged")
def test_one_of_them(anna: Visitor, store: Store) -> None:
    hour = int(time.time() // 3600)
    counting.add(store.redis, "hours", "category", {(hour - 1 - back, "refund"): 2 for back in range(1, 400)})
    counting.reach_back(store.redis, "category", hour - 400, counting.Change(at=0, kind="rebuilt"))
    row = Row(row="refund", name="", rate=(1.5,) * 168, error=(0.0,) * 168, dispersion=(0.0, 0.0), weeks=9)
    usual.publish(store.redis, "category", Baseline(until=0, changed_at=0, rows=[row]))
    store.redis.zadd("presort:newest:category:refund", {"77": 1})
    text = words(anna.get(f"{ONE}refund"))
    assert "the target is 90%" in text
    assert "90.0% of all its answers were right" in text
    assert "Monday 48 36" in text
    assert "Orders::Delivery a person written it 1 (10.0%)" in text
    assert "#77 in Zendesk" in text
    assert "Newest that did not stand #9" in text
    assert 'href="https://acme.zendesk.com/agent/tickets/77"' in anna.get(f"{ONE}refund").text
    figure = anna.get("/categories/one/figure.json?classifier=category&category=refund").json()
    assert figure["text"].endswith("2.0 an hour, where 1.5 are usual; the mean of 2.4 weeks.")


@pytest.mark.usefixtures("judged")
def test_models_are_told_apart(anna: Visitor, store: Store) -> None:
    outcomes.count(store.redis, [judgement(50, model="support@6")])
    text = words(anna.get(f"{ONE}refund"))
    assert "support@6 1 100.0%" in text
    assert "support@7 10 90.0%" in text


def test_no_such_category(anna: Visitor) -> None:
    assert anna.get(f"{ONE}nobody").status_code == 404
    assert anna.get("/categories/?classifier=nobody").status_code == 404


@pytest.mark.usefixtures("judged")
def test_a_demoted_one_is_given_back_by_name(anna: Visitor, store: Store) -> None:
    controls = Controls(store.redis)
    controls.demote("category", "refund", "60 of 90 were right")
    assert "demoted suggests only" in words(anna.get("/categories/"))
    page = anna.get(f"{ONE}refund")
    assert "60 of 90 were right" in words(page)
    text = words(anna.post("/categories/one/restore?classifier=category&category=refund", page=f"{ONE}refund"))
    assert "Restored" in text
    assert "Demoted" not in text
    assert controls.demotions() == {}
    assert [(one.by, one.what) for one in controls.changes(1)] == [("Anna (console)", "restored category/refund")]


def test_an_action_needs_the_forms_own_token(anna: Visitor, store: Store) -> None:
    Controls(store.redis).demote("category", "refund", "why")
    answer = anna.http.post(f"{anna.url}/categories/one/restore?classifier=category&category=refund", timeout=10)
    assert answer.status_code == 400
    assert Controls(store.redis).demotions()


def test_names_and_reasons_are_never_markup(anna: Visitor, store: Store) -> None:
    store.publish_model("category", msgspec.structs.replace(MODEL, labels={"x": EVIL}))
    Controls(store.redis).demote("category", "x", EVIL)
    outcomes.count(store.redis, [judgement(1, "x", into=EVIL)])
    for path in ("/categories/", f"{ONE}x"):
        text = anna.get(path).text
        assert "&lt;script&gt;document" in text
        assert EVIL not in text


def test_a_tag_may_hold_a_slash(serve: Serve, console_config: Settings, store: Store) -> None:
    store.publish_model("category", msgspec.structs.replace(MODEL, labels={"a/b": "A/B"}))
    visitor = Visitor(serve(console_config))
    visitor.sign_in()
    assert "A/B" in words(visitor.get(f"{ONE}a/b"))
