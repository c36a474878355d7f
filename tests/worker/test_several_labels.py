"""A model that answers with several labels, from the ticket's text to the tags in the multi-select."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest

from integration import counting
from integration.messages import Decision
from integration.zendesk.errors import PermanentError
from model_export.bundle.predictor import Predictor
from tests.simulator.support import Running, serving
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker.counted import counted

CATEGORY, PREDICTED = ACCOUNT.category_title, ACCOUNT.predicted_title
BOTH = (
    "Where is my parcel? I want a refund",
    "My parcel has not arrived yet, tracking shows nothing. I would like a refund.",
)
TAGS = ["refund_request", "delivery_delay"]


@pytest.fixture(scope="module")
def account() -> Iterator[Running]:
    """An account whose category is a multi-select."""
    with serving(msgspec.structs.replace(ACCOUNT, category_kind="multiselect")) as running:
        yield running


@pytest.fixture
def desk(desk: Desk, several: Predictor) -> Desk:
    """Workers that serve the multi-label model."""
    desk.parts.predictors["category"] = several
    return desk


def test_a_ticket_about_two_things_gets_both_tags(desk: Desk) -> None:
    ticket = desk.file(*BOTH)
    desk.classify(ticket)
    desk.settle()
    record, fields = desk.record(ticket), desk.fields(ticket)
    assert (record.outcome, record.reason) == ("filled", "confident")
    assert (fields[CATEGORY], fields[PREDICTED]) == (TAGS, ", ".join(TAGS))
    assert float(str(fields[ACCOUNT.confidence_title])) == pytest.approx(record.decision.confidence, abs=0.005)
    shown = desk.zendesk.get(f"/simulator/tickets/{ticket.ticket_id}")["ticket"]
    assert sorted(shown["tags"]) == sorted(TAGS)
    assert shown["history"][0]["metadata"]["presort"]["category"]["answers"] == TAGS
    redis = desk.parts.store.redis
    (tick,) = [one for one in counting.ticks(redis, "category", *_minutes(record.decision)) if one.tickets]
    assert (tick.tickets, tick.categories) == (1, dict.fromkeys(TAGS, 1))
    assert [counting.newest(redis, "category", tag, limit=5) for tag in TAGS] == [[ticket.ticket_id]] * 2
    assert desk.parts.store.funnel()["filled"] == 1


def test_the_watch_takes_a_ticket_with_two_labels_for_one(desk: Desk) -> None:
    desk.parts.store.redis.set("presort:counting_began:category", time.time() - 600)
    desk.classify(desk.file(*BOTH))
    (classifier,) = desk.parts.config.classifiers
    seen = counted(desk.parts, classifier, time.time() + 600)
    sums = dict(zip(seen.rows, seen.counts.sum(axis=1).tolist(), strict=True))
    assert [sums[row] for row in (*TAGS, "*")] == [1, 1, 1]
    assert seen.tickets.sum() == 1


def test_many_go_in_one_bulk_update_and_twice_changes_nothing(desk: Desk) -> None:
    tickets = [desk.file(*BOTH) for _ in range(5)]
    for _ in range(2):
        desk.classify(*tickets)
        desk.settle()
    assert [desk.fields(one)[CATEGORY] for one in tickets] == [TAGS] * 5
    assert {desk.record(one).outcome for one in tickets} == {"filled"}
    assert desk.zendesk.get("/simulator/summary")["updates"] == 5


def test_a_person_who_chose_one_of_them_is_left_alone(desk: Desk) -> None:
    ticket = desk.file(*BOTH, fields={CATEGORY: TAGS[:1]})
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "person_set_it")
    assert (desk.fields(ticket)[CATEGORY], desk.fields(ticket)[PREDICTED]) == (TAGS[:1], None)


def test_a_label_without_an_option_is_left_out_and_reported(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    _offer(desk, TAGS[1:])
    ticket = desk.file(*BOTH)
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("filled", "option_missing")
    assert desk.fields(ticket)[CATEGORY] == TAGS[1:]
    assert "the field does not offer 1 of 2 tags" in caplog.text


def test_without_any_of_its_options_nothing_is_written(desk: Desk) -> None:
    _offer(desk, ["other"])
    ticket = desk.file(*BOTH)
    desk.classify(ticket)
    desk.settle()
    assert (desk.record(ticket).outcome, desk.record(ticket).reason) == ("left_alone", "option_missing")
    assert (desk.fields(ticket)[CATEGORY], desk.fields(ticket)[PREDICTED]) == (None, None)


def test_a_single_label_model_fills_a_multi_select_with_one_tag(desk: Desk, predictor: Predictor) -> None:
    desk.parts.predictors["category"] = predictor
    ticket = desk.file()
    desk.classify(ticket)
    desk.settle()
    assert desk.fields(ticket)[CATEGORY] == TAGS[:1]
    assert desk.record(ticket).outcome == "filled"


def test_a_drop_down_cannot_hold_several_labels(desk: Desk, several: Predictor, predictor: Predictor) -> None:
    """Said before anything is filled, too; what a single-label model decides goes on."""
    (classifier,) = desk.parts.config.classifiers
    options = [{"name": "Refund", "value": "refund"}]
    field_id = _new_field(desk, "tagger", options)
    aliases = {SURE[2]: "refund"}
    wrong = msgspec.structs.replace(classifier, field_id=field_id, mode="suggest", aliases=aliases)
    desk.parts.config = msgspec.structs.replace(desk.parts.config, classifiers=(wrong,))
    ticket, other = desk.file(*BOTH), desk.file()
    desk.classify(ticket)
    desk.parts.predictors["category"] = predictor
    desk.classify(other)
    desk.settle()
    (parked,) = desk.parts.store.parked()
    model = f"several@{several.manifest.version}"
    assert f"field {field_id} is a drop-down and {model} may answer with several labels: use a multi" in parked.reason
    assert (desk.record(ticket).outcome, desk.record(other).outcome) == ("parked", "suggested")


def test_a_field_that_holds_no_tags_is_named(desk: Desk) -> None:
    with pytest.raises(PermanentError, match=f"field {ACCOUNT.model_field_id} is of type text: .* drop-down's or a"):
        desk.parts.zendesk.choice_field(ACCOUNT.model_field_id)


def _minutes(decision: Decision) -> tuple[int, int]:
    minute = int(decision.created_at // 60)
    return minute, minute + 1


def _offer(desk: Desk, tags: list[str]) -> None:
    """Leave the field no options but these."""
    options = [{"name": tag.capitalize(), "value": tag} for tag in tags]
    body = {"ticket_field": {"custom_field_options": options}}
    assert desk.zendesk.api("PUT", f"/ticket_fields/{ACCOUNT.category_field_id}", body).status_code == 200


def _new_field(desk: Desk, kind: str, options: list[dict[str, str]]) -> int:
    body = {"ticket_field": {"type": kind, "title": "Topic", "custom_field_options": options}}
    return int(desk.zendesk.api("POST", "/ticket_fields", body).json()["ticket_field"]["id"])
