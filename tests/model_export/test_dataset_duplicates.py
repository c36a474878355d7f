"""Which texts are near-duplicates of each other."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.dataset.duplicates import near_duplicates
from tests.model_export.dataset_support import WORDS, text

MAIL = (
    "Thank you for applying as {} at {}. Your application {} was received on 3 May and the employer will look at it "
    "within the next two weeks; please do not answer this message, nobody reads the answers to it."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("My parcel is late", "my PARCEL is late!!"),
        ("Order 123 is late", "Order 98 is late"),
        (MAIL.format("cook", "Basil", 4711), MAIL.format("baker", "Thyme", 8)),
        ("ログインできません", "ログインできません。"),
        ("???", "???"),
        ("", ""),
    ],
    ids=["case", "number", "automatic-mail", "japanese", "no-words", "empty"],
)
def test_alike(one: str, other: str) -> None:
    assert near_duplicates([one, text(1), other]).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I lost my card", "I lost my phone"),
        ("How do I top up?", "How do I top up my account with a cheque?"),
        ("ログインできません", "パスワードを忘れました"),
        ("???", "!!!"),
    ],
)
def test_different(one: str, other: str) -> None:
    assert len(set(near_duplicates([one, other]).tolist())) == 2


def test_nothing() -> None:
    assert near_duplicates([]).shape == (0,)


def test_a_chain_of_alike_texts_is_one_cluster() -> None:
    """Its ends have nothing in common, but no line can be drawn through it."""
    words = text(0, 60).split()
    chain = [" ".join(words[start : start + 30]) for start in range(0, 31, 2)]
    assert set(near_duplicates(chain).tolist()) == {0}
    assert len(set(near_duplicates([chain[0], chain[-1]]).tolist())) == 2


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_as_comparing_all_pairs_would_find(seed: int) -> None:
    """Pairs that are clearly alike are together; a cluster of two is not clearly unlike."""
    rng = random.Random(seed)
    texts = []
    for number in range(30):
        words = text(rng.randrange(12), 40).split()
        for _ in range(rng.randrange(8)):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words[: rng.randrange(20, 41)]) if number % 2 else " ".join(words))
    shingles = [{tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in map(str.split, texts)]
    jaccard = np.array([[len(a & b) / len(a | b) for b in shingles] for a in shingles])
    clusters = near_duplicates(texts)
    together = clusters[:, None] == clusters
    assert together[jaccard >= 0.9].all()
    sizes = np.bincount(clusters)[clusters]
    assert (jaccard[together & (sizes == 2)] >= 0.5).all()
