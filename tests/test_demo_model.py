"""The demo's tickets, and what the tiny model that ships makes of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo import tickets
from demo.tickets import CATEGORIES, Phrasings, Ticket, generate, vague
from model_export.bundle.predictor import Predictor
from model_export.bundle.text import prepare_text

BUNDLE = Path(tickets.__file__).with_name("bundle")
VALUES = [category.value for category in CATEGORIES]
SEED = 8_192  # neither the build's training seed nor its test seed
FRESH = 1_500


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(BUNDLE, "cpu")


def some(count: int, phrasings: Phrasings = "all") -> list[Ticket]:
    rng = random.Random(SEED)
    return [generate(rng, rng.choice(VALUES), phrasings) for _ in range(count)]


def ask(predictor: Predictor, asked: list[Ticket]) -> NDArray[np.float32]:
    return predictor.predict([prepare_text(ticket.subject, ticket.description) for ticket in asked])


def accuracy(predictor: Predictor, asked: list[Ticket]) -> float:
    answers = [VALUES[best] for best in ask(predictor, asked).argmax(axis=1)]
    right = sum(bool(answer == ticket.category) for answer, ticket in zip(answers, asked, strict=True))
    print(f"{right} of {len(asked)} right")  # noqa: T201 - the figure itself, for pytest -s and for a failure
    return right / len(asked)


def test_a_seed_gives_the_same_tickets_every_time() -> None:
    assert some(50) == some(50)
    assert len(set(some(50))) > 45


@pytest.mark.parametrize("category", VALUES)
def test_every_category_can_be_said_in_hundreds_of_ways(category: str) -> None:
    """Counted on what makes up the message, before products, numbers, typos, greetings and padding."""
    entry = tickets._BY_CATEGORY[category]  # noqa: SLF001 - the phrases are data, and the data is what is tested
    ways = {
        wording for key in ("subjects", "asks", "details") for line in entry[key] for wording in tickets.wordings(line)
    }
    assert len(ways) >= 150
    requests = {generate(random.Random(seed), category).description for seed in range(1_000)}
    assert len(requests) > 900


def test_training_and_held_out_phrasings_are_disjoint() -> None:
    for entry in tickets._PHRASES["category"]:  # noqa: SLF001 - the phrases are data, and the data is what is tested
        for key in ("subjects", "asks"):
            held_out = {
                w for line in entry[key][tickets.HOLD_OUT - 1 :: tickets.HOLD_OUT] for w in tickets.wordings(line)
            }
            everything = [w for line in entry[key] for w in tickets.wordings(line)]
            assert held_out
            assert len(everything) == len(set(everything)), "a wording that stands twice may be trained on and held out"


def test_no_slot_is_left_open() -> None:
    for ticket in some(2_000):
        assert not re.search(r"[{}#\[\]|]", ticket.subject + ticket.description)


def test_tickets_are_as_untidy_as_real_ones() -> None:
    asked = some(2_000)
    words = [len(ticket.description.split()) for ticket in asked]
    assert min(words) <= 5
    assert max(words) >= 200
    for sign in ("\n-- \n", "wrote:\n> ", "<p>", "👋", "@example.", "https://", "Best regards"):
        assert any(sign in ticket.description for ticket in asked), sign
    assert any(not ticket.subject for ticket in asked)


def test_the_bundle_is_small_enough_to_commit() -> None:
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) < 3_000_000
    assert not (BUNDLE / "model.fp32.onnx").exists()


def test_the_bundle_knows_the_categories_of_the_generator(predictor: Predictor) -> None:
    assert [(label.value, label.name) for label in predictor.manifest.labels] == list(CATEGORIES)


def test_fresh_tickets_are_sorted_right(predictor: Predictor) -> None:
    assert accuracy(predictor, some(FRESH)) >= 0.95


def test_phrasings_never_trained_on_are_mostly_sorted_right(predictor: Predictor) -> None:
    assert accuracy(predictor, some(FRESH, "held_out")) >= 0.88


def test_most_tickets_are_filled_and_some_only_suggested(predictor: Predictor) -> None:
    threshold = predictor.manifest.labels[0].threshold
    asked = some(FRESH)
    probabilities = ask(predictor, asked)
    sure = probabilities.max(axis=1) >= threshold
    right = np.array(
        [VALUES[best] == ticket.category for best, ticket in zip(probabilities.argmax(1), asked, strict=True)]
    )
    assert 0.85 <= sure.mean() <= 0.97
    assert right[sure].mean() > right.mean()


def test_tickets_that_say_nothing_seldom_get_a_confident_answer(predictor: Predictor) -> None:
    rng = random.Random(SEED)
    threshold = predictor.manifest.labels[0].threshold
    sure = (ask(predictor, [vague(rng) for _ in range(500)]).max(axis=1) >= threshold).mean()
    assert sure < 0.15
