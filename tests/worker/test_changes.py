"""Another model, other thresholds, other labels: noticed once, also while workers differ."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from integration import counting
from integration.counting import HOUR, Change
from integration.store import Store
from model_export.bundle.manifest import Label, Manifest
from worker.changes import notice

BEGAN = 1_800_000_000.0
OLD = Manifest(
    protocol=1,
    name="category",
    version="1",
    created="2026-11-01T00:00:00Z",
    task="single",
    labels=(Label("refund", "Refund", 0.8), Label("delivery", "Delivery", 0.7)),
    max_length=64,
    text_version=1,
    files={},
)
NEW = msgspec.structs.replace(OLD, version="2")


class Watchers(NamedTuple):
    """Processes that watch by turns, some with the one manifest, some with the other."""

    store: Store

    def look(self, minute: float, *served: Manifest) -> list[Change]:
        """What is known to have changed when they have looked, newest first."""
        for manifest in served:
            notice(self.store.redis, "category", manifest, BEGAN + 60 * minute)
        return counting.changes(self.store.redis, "category")


@pytest.fixture
def watchers(store: Store) -> Watchers:
    return Watchers(store)


def test_what_answers_at_the_first_look_is_no_change(watchers: Watchers) -> None:
    assert watchers.look(0, OLD) == watchers.look(1, OLD) == []


def test_a_promotion_is_one_change(watchers: Watchers) -> None:
    watchers.look(0, OLD)
    assert watchers.look(1, NEW) == [Change(at=BEGAN + 60, kind="model", detail="category@1 -> category@2")]
    assert len(watchers.look(2, NEW)) == 1


def test_workers_that_swap_at_different_times_make_one_change(watchers: Watchers) -> None:
    watchers.look(0, OLD)
    for minute in range(1, 50):
        assert len(watchers.look(minute, NEW, OLD)) == 1
    for minute in range(50, 200):
        assert len(watchers.look(minute, NEW)) == 1


def test_a_rollback_within_the_hour_is_covered_by_the_promotions_hold_and_a_later_one_is_a_change(
    watchers: Watchers,
) -> None:
    watchers.look(0, OLD)
    watchers.look(1, NEW)
    assert len(watchers.look(30, OLD)) == 1
    for minute in range(31, 120):
        watchers.look(minute, OLD)
    assert watchers.look(120, NEW)[0].detail == "category@1 -> category@2"
    for minute in range(121, 200):
        watchers.look(minute, NEW)
    assert watchers.look(200, OLD)[0].detail == "category@2 -> category@1"


def test_who_serves_what_others_have_left_does_not_look(store: Store) -> None:
    """It would tell that alerts of labels it does not know are gone."""

    def looks(minute: float, manifest: Manifest) -> bool:
        return notice(store.redis, "category", manifest, BEGAN + 60 * minute)

    assert looks(0, OLD)
    assert looks(1, NEW)
    for minute in range(2, 90):  # one worker is stuck
        assert not looks(minute, OLD)
        assert looks(minute, NEW)
    assert looks(96, OLD), "all have gone back"
    assert not looks(97, NEW), "but one"


def test_a_weekend_without_workers_changes_nothing(watchers: Watchers) -> None:
    watchers.look(0, OLD)
    assert watchers.look(3 * 24 * 60, OLD) == []
    assert len(watchers.look(6 * 24 * 60, NEW)) == 1


def test_other_thresholds_of_the_same_version_are_a_change(watchers: Watchers) -> None:
    """Somebody edited the bundle."""
    edited = msgspec.structs.replace(OLD, labels=(Label("refund", "Refund", 0.5), OLD.labels[1]))
    watchers.look(0, OLD)
    (change,) = watchers.look(1, edited)
    assert (change.kind, change.detail) == ("thresholds", "category@1")


def test_a_name_that_people_read_is_no_change(watchers: Watchers) -> None:
    renamed = msgspec.structs.replace(OLD, labels=(Label("refund", "Money back", 0.8), OLD.labels[1]))
    watchers.look(0, OLD)
    assert watchers.look(1, renamed) == []


def test_labels_that_come_and_go_are_told_and_a_new_one_knows_its_age(watchers: Watchers) -> None:
    other = msgspec.structs.replace(NEW, labels=(OLD.labels[0], Label("login", "Login", 0.6)))
    watchers.look(0, OLD)
    (change,) = watchers.look(1, other)
    assert (change.kind, change.detail) == ("taxonomy", "category@1 -> category@2; new: login; gone: delivery")
    state = counting.served(watchers.store.redis, "category")
    assert state is not None
    assert state.labels == {"refund": 0.0, "login": BEGAN + 60}
    watchers.look(2, OLD)
    for minute in range(3, 63 + int(HOUR // 60)):
        watchers.look(minute, other)
    watchers.look(200, OLD)
    state = counting.served(watchers.store.redis, "category")
    assert state is not None
    assert state.labels == {"refund": 0.0, "delivery": BEGAN + 200 * 60}, "one that comes back learns anew"
