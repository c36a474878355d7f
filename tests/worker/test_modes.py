"""How far an answer may go."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from integration.settings import Classifier
from tests.worker.test_planning import decision
from worker.modes import mode_of, restrained

CLASSIFIER = Classifier(
    field_id=1,
    bundle="x",
    mode="suggest",
    categories={"sure": "prefill", "hidden": "shadow"},
    brands={7: "prefill", 8: "shadow"},
)


@pytest.mark.parametrize(
    ("answers", "brand", "mode"),
    [
        (["other"], None, "suggest"),
        (["other"], 9, "suggest"),
        (["sure"], None, "prefill"),
        (["sure"], 9, "prefill"),
        (["sure"], 8, "shadow"),
        (["hidden"], 7, "shadow"),
        (["other"], 7, "prefill"),
        (["sure", "other"], None, "suggest"),
        (["sure", "hidden"], 7, "shadow"),
        ([], None, "suggest"),
    ],
)
def test_a_category_and_a_brand_stand_in_for_the_default_and_the_stricter_holds(
    answers: list[str], brand: int | None, mode: str
) -> None:
    assert mode_of(CLASSIFIER, answers, brand, ()) == (mode, f"{mode}_mode")


def test_what_was_demoted_is_suggested_at_most() -> None:
    assert mode_of(CLASSIFIER, ["sure"], None, {"sure"}) == ("suggest", "demoted")
    assert mode_of(CLASSIFIER, ["sure", "also"], 7, {"also"}) == ("suggest", "demoted")
    assert mode_of(CLASSIFIER, ["sure"], 8, {"sure"}) == ("shadow", "shadow_mode")
    assert mode_of(CLASSIFIER, ["sure"], None, {"other"}) == ("prefill", "prefill_mode")


@pytest.mark.parametrize(
    ("made", "mode", "action"),
    [
        ("fill", "prefill", ("fill", "confident")),
        ("fill", "suggest", ("suggest", "why")),
        ("fill", "shadow", ("leave", "why")),
        ("suggest", "prefill", ("suggest", "confident")),
        ("suggest", "suggest", ("suggest", "confident")),
        ("suggest", "shadow", ("leave", "why")),
        ("leave", "prefill", ("leave", "confident")),
        ("leave", "shadow", ("leave", "confident")),
    ],
)
def test_a_mode_only_ever_holds_back(made: Any, mode: Literal["shadow", "suggest", "prefill"], action: object) -> None:
    held = restrained(decision(action=made), mode, "why")
    assert (held.action, held.reason) == action
