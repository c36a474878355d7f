"""Texts of exactly so many tokens: real questions, or made-up tickets where the file is not there."""

from __future__ import annotations

import csv
import itertools
import lzma
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks.spikes.firefox import QUESTIONS
from demo import tickets
from model_export.bundle.text import prepare_text

READ = 4_000
"""Questions of the file that are looked at; more distinct texts change no figure."""


def questions(data: Path) -> list[str]:
    """Prepared texts of Firefox's questions; made-up ones without ``QUESTIONS`` in the folder."""
    if not (data / QUESTIONS).exists():
        return list(_made_up())
    with lzma.open(data / QUESTIONS, "rt", encoding="utf-8", newline="") as file:
        rows = itertools.islice(csv.DictReader(file), READ)
        return [prepare_text(row["title"], row["text"]) for row in rows]


def _made_up() -> Iterator[str]:
    rng = random.Random(1)
    for _ in range(READ):
        # Several in one, so that there are tokens enough.
        parts = [tickets.generate(rng, rng.choice(tickets.CATEGORIES).value) for _ in range(4)]
        yield prepare_text(parts[0].subject, " ".join(" ".join(one.description.split()) for one in parts))


def cut(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> list[str]:
    """The beginnings that have exactly so many tokens, special ones included, and that preparing leaves as they are.

    Raises:
        ValueError: no text is that long.
    """
    tokenizer.no_truncation()
    found = []
    for text, whole in zip(texts, tokenizer.encode_batch(texts), strict=True):
        if len(whole.ids) >= tokens:
            beginning = text[: whole.offsets[tokens - 2][1]].strip()
            # A word cut in two may have other tokens than its first half had.
            if len(tokenizer.encode(beginning).ids) == tokens and prepare_text(None, beginning) == beginning:
                found.append(beginning)
    if not found:
        raise ValueError(f"no text has {tokens} tokens")
    return found
