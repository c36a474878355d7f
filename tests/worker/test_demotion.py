"""A category that is wrong too often is only suggested; one that is not is left alone, however often one looks."""

from __future__ import annotations

import copy
import math
from datetime import datetime

import msgspec
import numpy as np
import pytest

from integration import notices, outcomes
from integration.outcomes import Judgement
from integration.store import Store
from model_export.bundle.predictor import Predictor
from tests.simulator.support import Running
from tests.worker.conftest import SURE, Desk, Sink
from worker import demotion, notify

CATEGORY = SURE[2]
TARGET = 0.9


@pytest.fixture
def judged(desk: Desk, sink: Sink) -> Desk:
    """The desk of an account that wants nine of ten right, with a channel for alerts."""
    classifier = msgspec.structs.replace(desk.parts.config.classifiers[0], target_precision=TARGET)
    desk.parts.config = sink.channels(msgspec.structs.replace(desk.parts.config, classifiers=(classifier,)))
    return desk


class Agents:
    """Solved tickets, counted as the look back counts them."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._next = desk, 1

    def solve(
        self, tickets: int, *, right: int, category: str = CATEGORY, month: str | None = None, version: str = ""
    ) -> None:
        """So many tickets, of which so many were right, and a look."""
        manifest = self._desk.parts.predictors["category"].manifest
        found = [
            Judgement(
                ticket_id=self._next + number,
                classifier="category",
                model=f"{manifest.name}@{version or manifest.version}",
                category=category,
                month=month or outcomes.month_of(self._desk.parts.clock()),
                sure=True,
                written=True,
                right=number < right,
            )
            for number in range(tickets)
        ]
        self._next += tickets
        outcomes.count(self._desk.parts.store.redis, found)
        demotion.look(self._desk.parts)


@pytest.fixture
def agents(judged: Desk) -> Agents:
    return Agents(judged)


def demoted(desk: Desk) -> set[tuple[str, str]]:
    return set(desk.parts.controls.demotions())


def test_a_category_below_its_target_is_only_suggested_from_now_on(judged: Desk, agents: Agents) -> None:
    agents.solve(100, right=60)
    assert demoted(judged) == {("category", CATEGORY)}
    ticket = judged.file()
    judged.classify(ticket)
    judged.settle()
    assert (judged.record(ticket).outcome, judged.record(ticket).reason) == ("suggested", "demoted")


def test_people_are_told_once_with_the_figures_and_the_way_back(judged: Desk, agents: Agents, sink: Sink) -> None:
    agents.solve(100, right=60)
    agents.solve(100, right=60)
    for _ in range(2):
        notify.tell(judged.parts, judged.parts.clock(), lambda: None)
    (heard,) = sink.heard
    assert heard["title"].startswith("No longer filled: Orders::Refund")
    assert "60 of 100 were right" in heard["message"]
    assert "90% is its target" in heard["message"]
    assert "`presort restore`" in heard["message"]


def test_news_wait_for_a_channel_that_is_away(judged: Desk, agents: Agents, sink: Sink, store: Store) -> None:
    sink.status = 500
    agents.solve(100, right=60)
    notify.tell(judged.parts, judged.parts.clock(), lambda: None)
    assert (sink.heard, len(notices.waiting(store.redis))) == ([], 1)
    sink.status = 200
    notify.tell(judged.parts, judged.parts.clock() + 60, lambda: None)
    assert (len(sink.heard), notices.waiting(store.redis)) == (1, [])


def test_little_evidence_demotes_nobody(judged: Desk, agents: Agents) -> None:
    agents.solve(5, right=3)
    agents.solve(300, right=280, category="invoice_question")
    assert demoted(judged) == set()


def test_after_a_person_restored_it_only_new_tickets_speak(judged: Desk, agents: Agents) -> None:
    agents.solve(100, right=60)
    agents.solve(100, right=60)  # while it is demoted
    assert judged.parts.controls.restore("category", CATEGORY, by="a person")
    agents.solve(50, right=48)
    assert demoted(judged) == set()
    agents.solve(100, right=60)
    assert demoted(judged) == {("category", CATEGORY)}


def test_what_another_version_showed_meanwhile_was_judged_by_that_person_too(judged: Desk, agents: Agents) -> None:
    """While the category is demoted, tickets of the version that is rolled back to later still come to their end."""
    agents.solve(100, right=60)
    agents.solve(100, right=60, version="other")
    assert judged.parts.controls.restore("category", CATEGORY, by="a person")
    predictor = copy.copy(judged.parts.predictors["category"])
    predictor.manifest = msgspec.structs.replace(predictor.manifest, version="other")
    judged.parts.predictors["category"] = predictor
    agents.solve(1, right=1)
    assert demoted(judged) == set()
    agents.solve(100, right=60)
    assert demoted(judged) == {("category", CATEGORY)}


def test_what_is_filled_for_one_brand_only_can_be_demoted(judged: Desk, agents: Agents) -> None:
    (classifier,) = judged.parts.config.classifiers
    classifier = msgspec.structs.replace(classifier, mode="suggest", brands={7: "prefill"})
    judged.parts.config = msgspec.structs.replace(judged.parts.config, classifiers=(classifier,))
    agents.solve(100, right=60)
    assert demoted(judged) == {("category", CATEGORY)}


@pytest.mark.parametrize(("today", "month"), [("2026-05-01", "2026-04"), ("2026-03-02", "2026-02")])
def test_the_month_before_is_looked_at_however_short_it_is(
    judged: Desk, agents: Agents, today: str, month: str
) -> None:
    judged.parts.clock = datetime.fromisoformat(f"{today}T12:00:00+00:00").timestamp
    agents.solve(100, right=60, month=month)
    assert demoted(judged) == {("category", CATEGORY)}


def test_what_is_not_filled_anyway_is_not_demoted(judged: Desk, agents: Agents) -> None:
    classifier = msgspec.structs.replace(judged.parts.config.classifiers[0], mode="suggest")
    judged.parts.config = msgspec.structs.replace(judged.parts.config, classifiers=(classifier,))
    agents.solve(100, right=60)
    assert demoted(judged) == set()


def test_without_a_target_nobody_is_demoted(judged: Desk, agents: Agents) -> None:
    classifier = msgspec.structs.replace(judged.parts.config.classifiers[0], target_precision=None)
    judged.parts.config = msgspec.structs.replace(judged.parts.config, classifiers=(classifier,))
    agents.solve(100, right=10)
    assert demoted(judged) == set()


def test_good_old_months_do_not_hide_a_bad_new_one(judged: Desk, agents: Agents, zendesk: Running) -> None:
    judged.parts.clock = zendesk.clock
    agents.solve(2000, right=1980)
    zendesk.clock.advance(62 * 86400)
    agents.solve(100, right=60)
    assert demoted(judged) == {("category", CATEGORY)}


def test_the_target_is_the_bundles_own_unless_set(desk: Desk, predictor: Predictor) -> None:
    trained = copy.copy(predictor)
    manifest = predictor.manifest
    size = len(manifest.labels)
    trained.manifest = msgspec.structs.replace(
        manifest,
        metrics={"target_precision": 0.95},
        confusion=tuple(tuple(9 if row == column else column for column in range(size)) for row in range(size)),
    )
    desk.parts.__dict__["predictors"] = {"category": trained}
    desk.parts.publish_models()
    model = desk.parts.store.model("category")
    assert model is not None
    assert model.target == 0.95
    first, second = (manifest.labels[place].value for place in (0, 1))
    assert (model.precision[first], model.precision[second]) == (1.0, 9 / (9 + size - 1)), "a column is an answer"


def test_looking_after_every_ticket_keeps_the_error() -> None:
    """5,000 categories that are exactly on target, looked at after each of 1,000 tickets: at most alpha are accused."""
    alpha = 0.05
    rng = np.random.default_rng(5)
    right = np.cumsum(rng.random((5000, 1000)) < TARGET, axis=1)
    sure = np.arange(1, 1001)
    logs = [
        right * math.log(q / TARGET) + (sure - right) * math.log((1 - q) / (1 - TARGET))
        for q in (TARGET / (TARGET + ratio * (1 - TARGET)) for ratio in demotion.ODDS)
    ]
    process = np.logaddexp.reduce(np.stack(logs), axis=0) - math.log(len(logs))
    assert process[0, -1] == pytest.approx(demotion.evidence(int(right[0, -1]), 1000, TARGET))
    accused = float((process.max(axis=1) >= math.log(1 / alpha)).mean())
    assert 0.01 < accused <= alpha


def test_the_years_error_is_divided_among_its_tests() -> None:
    """Twelve months of 27 categories, at 5 % together."""
    assert 12 * 27 * math.exp(-demotion.enough(27)) == pytest.approx(0.05)


@pytest.mark.parametrize(("precision", "tickets"), [(0.5, 40), (0.7, 120), (0.8, 400)])
def test_so_many_tickets_suffice_for_27_categories_and_a_target_of_90_percent(precision: float, tickets: int) -> None:
    assert demotion.evidence(round(precision * tickets), tickets, TARGET) > demotion.enough(27)
