"""A bundle may name its languages; in any other its thresholds promise nothing."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from demo import tickets
from integration.messages import Decision
from integration.settings import Classifier
from model_export.bundle.manifest import read_manifest, write_manifest
from model_export.bundle.predictor import Predictor
from tests.worker.conftest import SURE, Desk
from tests.worker.test_triage import CLASSIFIER, NOW, _Answering, ticket
from worker.languages import detector, language_of
from worker.triage import triage

GERMAN = ("Rückerstattung", "Ich möchte mein Geld für die letzte Bestellung zurück, bitte überweisen Sie es mir.")


@pytest.fixture
def english(predictor: Predictor) -> _Answering:
    """A model that is sure of everything, and made for English."""
    labels = tuple(msgspec.structs.replace(label, threshold=0.0) for label in predictor.manifest.labels)
    return _Answering(predictor, msgspec.structs.replace(predictor.manifest, labels=labels, languages=("en",)))


def decide(model: _Answering, text: tuple[str, ...], classifier: Classifier = CLASSIFIER) -> Decision:
    (decision,) = triage([ticket(text[0], text[1])], classifier, model, own_user_id=None, now=NOW)
    return decision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I would like a refund for my last order.", "en"),
        (GERMAN[1], "de"),
        ("Où est mon colis ? Il devait arriver la semaine dernière.", "fr"),
        ("荷物はどこですか?先週届くはずでした。", "ja"),
        ("أين طردي؟ كان يجب أن يصل الأسبوع الماضي.", "ar"),
        ("ok", None),
        ("12345 67890", None),
        ("🙈🎉", None),
        ("", None),
    ],
)
def test_a_language_is_named_only_when_it_is_sure(text: str, expected: str | None) -> None:
    assert language_of(text) == expected


def test_none_of_the_demos_english_tickets_passes_for_another_language() -> None:
    rng = random.Random(1)
    texts = [tickets.generate(rng, rng.choice(tickets.CATEGORIES).value).description for _ in range(200)]
    assert {language_of(text[:40]) for text in texts} <= {"en", None}


def test_another_language_is_only_suggested_and_counts_nowhere(english: _Answering) -> None:
    decision = decide(english, GERMAN)
    assert (decision.action, decision.reason, decision.language) == ("suggest", "other_language", "de")
    assert decision.category is not None
    assert decision.sure == ()


def test_its_own_language_is_filled(english: _Answering) -> None:
    decision = decide(english, SURE)
    assert (decision.action, decision.reason, decision.language) == ("fill", "confident", "en")


def test_an_unclear_language_is_no_other(english: _Answering) -> None:
    decision = decide(english, ("", "ok"))
    assert (decision.action, decision.language) == ("fill", None)


def test_a_setting_skips_other_languages(english: _Answering) -> None:
    decision = decide(english, GERMAN, msgspec.structs.replace(CLASSIFIER, other_languages="skip"))
    assert (decision.action, decision.reason, decision.language) == ("leave", "other_language", "de")
    assert decision.category is None


@pytest.mark.parametrize("mode", ["shadow", "suggest"])
def test_the_mode_still_bounds_what_is_written(english: _Answering, mode: Literal["shadow", "suggest"]) -> None:
    decision = decide(english, GERMAN, msgspec.structs.replace(CLASSIFIER, mode=mode))
    assert decision.action == ("leave" if mode == "shadow" else "suggest")


def test_several_labels_are_only_suggested_too(several: Predictor) -> None:
    manifest = msgspec.structs.replace(several.manifest, languages=("en",))
    decision = decide(_Answering(several, manifest), GERMAN)
    assert (decision.action, decision.reason, decision.values) == ("suggest", "other_language", ())
    assert len(decision.answers) == 1


def test_a_bundle_that_names_none_asks_no_detector(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs memory and half a second, and old bundles name none."""
    assert read_manifest(Path("demo/bundle")).languages == ()
    detector.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    (decision,) = triage([ticket(*GERMAN)], CLASSIFIER, predictor, own_user_id=None, now=NOW)
    assert decision.language is None


def test_the_field_stays_empty_and_the_suggestion_stands_beside_it(desk: Desk, english: _Answering) -> None:
    desk.parts.__dict__["predictors"] = {"category": english}
    filed = desk.file(*GERMAN)
    desk.classify(filed)
    desk.settle()
    assert (desk.record(filed).outcome, desk.record(filed).reason) == ("suggested", "other_language")
    fields = desk.fields(filed)
    assert fields["Category"] is None
    assert fields["Presort category"] == desk.record(filed).decision.category


def test_a_manifest_carries_its_languages(tmp_path: Path) -> None:
    shutil.copytree("demo/bundle", tmp_path / "bundle")
    write_manifest(tmp_path / "bundle", msgspec.structs.replace(read_manifest(Path("demo/bundle")), languages=("en",)))
    assert read_manifest(tmp_path / "bundle").languages == ("en",)
