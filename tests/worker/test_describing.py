"""What an alert shows of its tickets: the words that stand out, and nothing personal."""

from __future__ import annotations

import msgspec
import pytest

from integration.records import Alert
from tests.worker.conftest import SURE, Desk
from worker import describing
from worker.describing import describe, stand_out

USUAL = ["where is my parcel", "my parcel has not come", "when does the parcel come", "no parcel yet"] * 5
STRIKE = [
    "where is my parcel, is the depot on strike",
    "the depot strike again",
    "strike and no parcel",
    "depot closed",
]


def test_words_of_the_spike_that_its_category_does_not_usually_have() -> None:
    words = stand_out(STRIKE, USUAL)
    assert {one.word for one in words} == {"depot", "strike"}
    assert {(one.here, one.of_here, one.usually, one.of_usually) for one in words} == {(3, 4, 0, 20)}


def test_what_the_category_always_says_does_not_stand_out() -> None:
    assert stand_out(USUAL[:4], USUAL) == ()


def test_a_word_of_one_ticket_is_nobodys_news() -> None:
    assert stand_out(["zanzibar zanzibar zanzibar", "no parcel yet"], USUAL) == ()


def test_masks_are_no_words() -> None:
    assert stand_out(["<email> <phone>"] * 4, USUAL) == ()


def test_the_clearest_first_and_not_too_many() -> None:
    many = [" ".join(f"word{chr(97 + n)}" for n in range(20)), *["worda strike"] * 5, "wordb strike"]
    words = stand_out(many, USUAL)
    assert len(words) <= describing.WORDS
    assert words[0].word in {"worda", "strike"}


@pytest.fixture
def alert(desk: Desk) -> Alert:
    """Of a spike that began between older and newer tickets, all of which are counted."""
    redis = desk.parts.store.redis
    for at, text in [*((1.0, one) for one in USUAL[:16]), *((3.0, one) for one in STRIKE)]:
        ticket = desk.file(f"Refund, mail me at eva@example.com: {text}", text)
        redis.zadd(f"presort:newest:category:{SURE[2]}", {str(ticket.ticket_id): at})
    return Alert(
        id="a",
        classifier="category",
        category=SURE[2],
        name="Orders::Refund",
        opened_at=4.0,
        started_at=2.0,
        observed=4,
        expected=0.5,
        window_s=0.1,
        once_in_weeks=9,
    )


def test_samples_are_the_newest_and_masked(desk: Desk, alert: Alert) -> None:
    (classifier,) = desk.parts.config.classifiers
    described = describe(desk.parts, classifier, alert)
    assert [one.ticket_id for one in described.samples] == sorted(
        (one.ticket_id for one in described.samples), reverse=True
    )
    assert [one.subject for one in described.samples] == [
        f"Refund, mail me at <email>: {text}" for text in reversed(STRIKE)
    ]
    assert {one.word for one in described.words} >= {"depot", "strike"}


def test_a_parents_tickets_are_its_labels(desk: Desk, alert: Alert) -> None:
    (classifier,) = desk.parts.config.classifiers
    parent = msgspec.structs.replace(alert, category="Orders::*", name="Orders (all)")
    assert len(describe(desk.parts, classifier, parent).samples) == len(STRIKE)


def test_while_zendesk_said_wait_what_was_read_before_stays(desk: Desk, alert: Alert) -> None:
    (classifier,) = desk.parts.config.classifiers
    before = describe(desk.parts, classifier, alert)
    desk.parts.store.hold_updates(60)
    assert describe(desk.parts, classifier, before) == before
    assert [one.subject for one in describe(desk.parts, classifier, alert).samples] == [None] * len(STRIKE)
