"""Which words moved the model, and at what cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from integration import asking
from integration.asking import Answer, Question
from integration.store import Store
from model_export.bundle.manifest import Manifest
from model_export.bundle.predictor import Predictor
from tests.worker.conftest import SURE
from worker import explaining
from worker.explaining import explain, log_odds
from worker.parts import Parts


class Words:
    """A model that one can think through: a token a word, and each word votes for one label."""

    def __init__(self, manifest: Manifest, votes: dict[str, tuple[int, float]]) -> None:
        self.manifest, self.votes = manifest, votes
        self.known: list[str] = []
        self.read = 0

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """One that stands for the whole, then one a word."""
        return [[-1, *(self._id(word) for word in text.split())][: self.manifest.max_length] for text in texts]

    def logits(self, sequences: Sequence[list[int]]) -> NDArray[np.float32]:
        """The votes, added up."""
        out = np.zeros((len(sequences), len(self.manifest.labels)), dtype=np.float32)
        for row, sequence in enumerate(sequences):
            self.read += len(sequence)
            for token in sequence[1:]:
                label, vote = self.votes.get(self.known[token], (0, 0.0))
                out[row, label] += vote
        return out

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Their softmax."""
        exp = np.exp(logits)
        return np.asarray(exp / exp.sum(axis=1, keepdims=True), dtype=np.float32)

    def _id(self, word: str) -> int:
        if word not in self.known:
            self.known.append(word)
        return self.known.index(word)


@pytest.fixture
def manifest(predictor: Predictor) -> Manifest:
    return msgspec.structs.replace(predictor.manifest, temperature=1.0)


def test_the_word_that_decides_has_the_weight(manifest: Manifest) -> None:
    model = Words(manifest, {"refund": (2, 5.0), "parcel": (1, 3.0)})
    found = explain(model, "please refund my parcel")
    weights = dict(found.words)
    assert found.label == 2
    assert weights["please"] == weights["my"] == 0
    assert weights["refund"] == pytest.approx(5.0, abs=1e-3)
    assert weights["parcel"] < 0, "it speaks for another label"


@pytest.mark.parametrize(
    ("text", "word"),
    [("hello there my password thanks", "password"), ("please send me the invoice again", "invoice")],
)
def test_the_same_of_a_real_graph(predictor: Predictor, text: str, word: str) -> None:
    found = explain(predictor, text)
    heaviest, second = sorted(found.words, key=lambda one: -one.weight)[:2]
    assert heaviest.text == word
    assert heaviest.weight > 3 * second.weight


def test_another_label_may_be_asked_about(manifest: Manifest) -> None:
    model = Words(manifest, {"refund": (2, 5.0), "parcel": (1, 3.0)})
    found = explain(model, "please refund my parcel", label=1)
    weights = dict(found.words)
    assert weights["parcel"] == pytest.approx(3.0, abs=1e-3)
    assert weights["refund"] < 0


def test_a_long_text_is_weighed_in_groups_and_costs_no_more(manifest: Manifest) -> None:
    model = Words(msgspec.structs.replace(manifest, max_length=512), {"refund": (2, 5.0)})
    words = [f"word{number}" for number in range(2_000)]
    words[100] = "refund"
    found = explain(model, " ".join(words))
    assert found.cut
    assert len(found.words) >= explaining.LEAST_GROUPS
    heaviest = max(found.words, key=lambda one: one.weight)
    assert "refund" in heaviest.text.split()
    assert len(heaviest.text.split()) == len(found.words[0].text.split()) < 100
    assert model.read <= explaining.MOST_TOKENS + 512
    assert " ".join(one.text for one in found.words) == " ".join(words[:511]), (
        "what the model does not read has no weight"
    )


def test_a_text_of_more_words_than_groups(manifest: Manifest) -> None:
    model = Words(manifest, {})
    found = explain(model, " ".join(["a"] * 65))
    assert not found.cut
    assert len(found.words) <= explaining.MOST_GROUPS
    assert sum(len(one.text.split()) for one in found.words) == 65


def test_scripts_without_spaces_have_words_too(predictor: Predictor) -> None:
    found = explain(predictor, "返金してください refund")
    assert [one.text for one in found.words] == [*"返金してください", "refund"]


def test_punctuation_is_no_word_unless_there_is_nothing_else(predictor: Predictor) -> None:
    assert [one.text for one in explain(predictor, "refund . please !").words] == ["refund", "please"]
    assert [one.text for one in explain(predictor, "?! ...").words] == ["?!", "..."]


@pytest.mark.parametrize("several", [True, False])
def test_log_odds_are_those_of_the_probability(several: bool) -> None:  # noqa: FBT001 - a test's parameter
    logits = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
    p = 1 / (1 + np.exp(-logits)) if several else np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        log_odds(logits, 2, several=several), np.log(p[:, 2] / (1 - p[:, 2])), rtol=1e-4, atol=1e-4
    )


def test_log_odds_do_not_saturate() -> None:
    """A probability of 1 - 1e-30 is 1 in any float: the weights would all be nothing."""
    odds = log_odds(np.array([[70.0, 0.0], [60.0, 0.0]], dtype=np.float32), 0, several=False)
    assert odds[0] - odds[1] == pytest.approx(10.0)


def ask(parts: Parts, **question: str | None) -> asking.Answer:
    """Ask as the console does, and let the worker answer."""
    redis = parts.store.redis
    asking.put(redis, "q", msgspec.convert({"classifier": "category", **question}, Question))
    explaining.answer(parts, "q")
    found = asking.await_answer(redis, "q", 1, Answer)
    assert found is not None
    return found


def test_the_answer_is_what_triage_would_say(parts: Parts, predictor: Predictor) -> None:
    found = ask(parts, subject=SURE[0], description=SURE[1])
    assert (found.label, found.labels[0].label, found.error) == (SURE[2], SURE[2], None)
    assert {one.label for one in found.labels} == {one.value for one in predictor.manifest.labels}
    probabilities = [one.probability for one in found.labels]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=0.01)
    assert found.labels[0].threshold == {one.value: one.threshold for one in predictor.manifest.labels}[SURE[2]]
    assert found.model == f"{predictor.manifest.name}@{predictor.manifest.version}"
    assert found.ms > 0


def test_a_label_the_model_never_knew_gives_way_to_its_best(parts: Parts) -> None:
    assert ask(parts, description=SURE[1], label="of another model").label == SURE[2]
    assert ask(parts, description=SURE[1], label="delivery_delay").label == "delivery_delay"


def test_a_text_without_a_word_has_no_answer(parts: Parts) -> None:
    found = ask(parts, subject=" ", description=None)
    assert (found.label, found.words, found.labels, found.error) == (None, (), (), None)


def test_what_breaks_the_model_is_said_without_the_text(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    class Fragile(Words):
        def tokens(self, texts: Sequence[str]) -> list[list[int]]:
            raise RuntimeError(texts)

    parts.__dict__["predictors"] = {"category": Fragile(parts.predictors["category"].manifest, {})}
    with caplog.at_level(logging.DEBUG):
        found = ask(parts, description=SURE[1])
    assert found.error == "RuntimeError while explaining"
    assert SURE[1] not in caplog.text + str(found)


def test_a_classifier_this_worker_does_not_know(parts: Parts) -> None:
    assert "no classifier" in (ask(parts, classifier="other", description="x").error or "")


def test_nobody_waits_any_more(parts: Parts, store: Store) -> None:
    explaining.answer(parts, "gone")
    assert store.redis.keys("presort:answer:*") == []


def test_an_answer_that_nobody_fetches_is_gone_after_a_minute(parts: Parts, store: Store) -> None:
    asking.put(store.redis, "q", Question(classifier="category", description=SURE[1]))
    explaining.answer(parts, "q")
    assert 0 < store.redis.ttl("presort:answer:q") <= asking.LIFE_S
    assert store.redis.keys("presort:question:*") == []
