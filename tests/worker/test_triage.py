"""Texts and a model in, decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from integration.messages import NewTicket
from integration.settings import Classifier
from model_export.bundle.manifest import Label, Manifest
from model_export.bundle.predictor import Predictor
from tests.worker.conftest import SURE
from worker.triage import triage

NOW = 1_800_000_000.0
CLASSIFIER = Classifier(field_id=1, bundle="demo/bundle", mode="prefill")


def ticket(subject: str | None, description: str | None, ticket_id: int = 1, **more: Any) -> NewTicket:
    base = NewTicket(
        ticket_id=ticket_id, received_at=NOW - 2, text_known=True, subject=subject, description=description
    )
    return msgspec.structs.replace(base, **more)


def test_a_sure_answer_is_filled(predictor: Predictor) -> None:
    (decision,) = triage([ticket(*SURE[:2])], CLASSIFIER, predictor, own_user_id=None, now=NOW)
    assert (decision.action, decision.reason, decision.category) == ("fill", "confident", SURE[2])
    assert decision.confidence is not None
    assert decision.confidence >= (decision.threshold or 1)
    assert decision.top[0] == (SURE[2], decision.confidence)
    assert len(decision.top) == 3
    assert decision.model == f"{predictor.manifest.name}@{predictor.manifest.version}"


def test_an_unsure_answer_is_suggested(predictor: Predictor) -> None:
    labels = tuple(msgspec.structs.replace(label, threshold=1.01) for label in predictor.manifest.labels)
    strict = _Answering(predictor, msgspec.structs.replace(predictor.manifest, labels=labels))
    (decision,) = triage([ticket(*SURE[:2])], CLASSIFIER, strict, own_user_id=None, now=NOW)
    assert (decision.action, decision.reason, decision.category) == ("suggest", "below_threshold", SURE[2])


@pytest.mark.parametrize(
    ("mode", "action", "reason"),
    [("shadow", "leave", "shadow_mode"), ("suggest", "suggest", "suggest_mode"), ("prefill", "fill", "confident")],
)
def test_the_mode_bounds_what_is_written(
    predictor: Predictor, mode: Literal["shadow", "suggest", "prefill"], action: str, reason: str
) -> None:
    classifier = msgspec.structs.replace(CLASSIFIER, mode=mode)
    (decision,) = triage([ticket(*SURE[:2])], classifier, predictor, own_user_id=None, now=NOW)
    assert (decision.action, decision.reason) == (action, reason)
    assert decision.category == SURE[2]


@pytest.mark.parametrize(
    ("subject", "description", "more", "reason"),
    [
        ("", "", {}, "no_text"),
        (None, None, {}, "no_text"),
        (" \n", "\x00\u200b", {}, "no_text"),
        ("", "<html><body><img src='x'></body></html>", {}, "no_text"),
        ("Conversation with Web User", "Conversation with Web User 12", {"channel": "native_messaging"}, "stub_text"),
        ("Spike: Refunds", "12 tickets", {"actor_id": 77}, "own_ticket"),
    ],
)
def test_some_tickets_are_left_alone(
    predictor: Predictor, subject: str | None, description: str | None, more: dict[str, Any], reason: str
) -> None:
    (decision,) = triage([ticket(subject, description, **more)], CLASSIFIER, predictor, own_user_id=77, now=NOW)
    assert (decision.action, decision.reason, decision.category) == ("leave", reason, None)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 40_000,
        "<html><body><p>I want my money back</p></body></html>",
        "🙈👩‍👩‍👧🎉" * 50,
        "أين طلبي؟ لم يصل بعد",
        "NUL\x00 in the middle",
        "half a pair \ud83d",
        "a" * 5_000,
    ],
)
def test_unusual_text_gets_a_decision(predictor: Predictor, text: str) -> None:
    (decision,) = triage([ticket("", text)], CLASSIFIER, predictor, own_user_id=None, now=NOW)
    assert decision.action in {"fill", "suggest"}
    assert sum(probability for _, probability in decision.top) <= 1.001


def test_decisions_keep_the_order_of_the_tickets(predictor: Predictor) -> None:
    tickets = [ticket("", "", 1), ticket(*SURE[:2], 2), ticket("", "<p></p>", 3), ticket("Hi", SURE[1] * 5, 4)]
    decisions = triage(tickets, CLASSIFIER, predictor, own_user_id=None, now=NOW)
    assert [one.ticket_id for one in decisions] == [1, 2, 3, 4]
    assert [one.reason == "no_text" for one in decisions] == [True, False, True, False]


def test_a_ticket_without_creation_time_counts_when_it_came(predictor: Predictor) -> None:
    (decision,) = triage([ticket(*SURE[:2])], CLASSIFIER, predictor, own_user_id=None, now=NOW)
    assert decision.created_at == NOW - 2


@pytest.mark.parametrize(
    ("probabilities", "action", "values", "best"),
    [
        ([0.62, 0.81, 0.1, 0.0, 0.0], "fill", ("b", "a"), ("b", 0.81, 0.5)),
        ([0.5, 0.4999, 0.1, 0.0, 0.0], "fill", ("a",), ("a", 0.5, 0.5)),
        ([0.2, 0.3, 0.1, 0.0, 0.0], "suggest", (), ("b", 0.3, 0.5)),
        ([0.6, 0.2, 0.85, 0.0, 0.0], "fill", ("a",), ("a", 0.6, 0.5)),  # c is likelier, but short of its 0.9
        ([0.7, 0.6, 0.8, 0.9, 0.8], "fill", ("d", "e", "a", "b"), ("d", 0.9, 0.5)),
    ],
)
def test_several_labels_are_sure_each_by_its_own_threshold(
    predictor: Predictor,
    probabilities: list[float],
    action: str,
    values: tuple[str, ...],
    best: tuple[str, float, float],
) -> None:
    model = _Saying(predictor.manifest, probabilities)
    (decision,) = triage([ticket(*SURE[:2])], CLASSIFIER, model, own_user_id=None, now=NOW)
    assert (decision.action, decision.values) == (action, values)
    assert (decision.category, decision.confidence, decision.threshold) == best
    assert decision.answers == (values or (best[0],))
    top = [tag for tag, _ in decision.top]
    assert len(top) >= 3
    assert set(values) <= set(top), "the audit says how probable each written tag was"


def test_one_label_is_never_several(predictor: Predictor) -> None:
    model = _Saying(predictor.manifest, [0.6, 0.7, 0.1, 0.0, 0.0], task="single")
    (decision,) = triage([ticket(*SURE[:2])], CLASSIFIER, model, own_user_id=None, now=NOW)
    assert (decision.category, decision.values, decision.sure) == ("b", None, ("b",))


class _Saying:
    """Five labels, c with a threshold of 0.9 and the others of 0.5, and one answer to everything."""

    def __init__(self, base: Manifest, probabilities: list[float], task: Literal["single", "multi"] = "multi") -> None:
        labels = tuple(Label(value, value.upper(), threshold=0.9 if value == "c" else 0.5) for value in "abcde")
        self.manifest = msgspec.structs.replace(base, task=task, labels=labels)
        self._probabilities = probabilities

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, 5)."""
        return np.array([self._probabilities] * len(texts), dtype=np.float32)


class _Answering:
    """The same model under another manifest."""

    def __init__(self, predictor: Predictor, manifest: Manifest) -> None:
        self.manifest = manifest
        self.predict = predictor.predict
