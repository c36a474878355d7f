"""Our own support tickets: made up, seeded, and as untidy as real ones.

Everything that is said stands in ``phrases.toml``; this module decides how a customer strings it together. Of the lines
that tell a category, every fourth is held out of training, so that a test can tell learnt from memorised.
"""

from __future__ import annotations

import itertools
import random
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

HOLD_OUT = 4
"""One in so many of a category's ``subjects`` and ``asks`` is held out of training."""

Lines = Sequence[str]
Phrasings = Literal["all", "train", "held_out"]
"""Which lines may be used: every one, those a model is trained on, or only those it never saw."""


class Category(NamedTuple):
    """A support category: the Zendesk option's tag and its name (``A::B`` for a nested option)."""

    value: str
    name: str


class Ticket(NamedTuple):
    """What the customer sent, and the category it was written for; None when nobody could tell."""

    subject: str
    description: str
    category: str | None


_PHRASES = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))
_BY_CATEGORY = {entry["value"]: entry for entry in _PHRASES["category"]}
_SHARED = _PHRASES["shared"]
_SLOTS = _PHRASES["slots"]

CATEGORIES = tuple(Category(entry["value"], entry["name"]) for entry in _PHRASES["category"])

_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"(?<![\w@.])[a-z]{4,}(?![\w@.])", re.IGNORECASE)


def generate(rng: random.Random, category: str, phrasings: Phrasings = "all") -> Ticket:
    """A ticket of one category; the same generator state gives the same ticket.

    Args:
        rng: the only source of chance.
        category: a ``Category.value``.
        phrasings: which lines may carry the category.
    """
    return _Writer(rng, phrasings).ticket(_BY_CATEGORY[category], category)


def vague(rng: random.Random, phrasings: Phrasings = "all") -> Ticket:
    """A ticket that says nothing about its category, as every help desk gets them."""
    return _Writer(rng, phrasings).ticket(_PHRASES["vague"], None)


@cache
def wordings(line: str) -> tuple[str, ...]:
    """Every choice of a line's ``[a|b]`` alternatives; slots and digits are left open."""
    pieces = _ALTERNATIVES.split(line)  # odd ones are the alternatives
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return tuple("".join(chosen) for chosen in itertools.product(*choices))


class _Writer:
    """One customer with one source of chance."""

    def __init__(self, rng: random.Random, phrasings: Phrasings) -> None:
        self._rng = rng
        self._phrasings = phrasings

    def ticket(self, topic: dict[str, Lines], category: str | None) -> Ticket:
        subject, message = self._subject(topic), self._message(topic, category)
        if self._maybe(0.12):  # the whole ticket in one line
            subject, message = self._say(_SHARED["useless_subjects"]), self._topical(topic["subjects"])
        if self._maybe(0.3):
            typo_rate = self._rng.uniform(0.02, 0.15)
            subject, message = self._mistype(subject, typo_rate), self._mistype(message, typo_rate)
        if self._maybe(0.12):
            subject, message = subject.lower(), message.lower()
        elif self._maybe(0.02):
            message = message.upper()
        description = self._envelope(message)
        if self._maybe(0.08):  # Zendesk fills a missing subject with the description's first words
            subject = description[:60]
        return Ticket(subject, description, category)

    def _subject(self, topic: dict[str, Lines]) -> str:
        if self._maybe(0.3):
            return self._say(_SHARED["useless_subjects"])
        return self._topical(topic["subjects"])

    def _message(self, topic: dict[str, Lines], category: str | None) -> str:
        core = [self._topical(topic["asks"])]
        if category and self._maybe(0.08):
            core = self._with_second_matter(core[0], category)
        core += self._some(topic.get("details", ()), (0, 0, 1, 1, 2, 3))
        opening = self._some(_SHARED["openers"], (0, 0, 0, 1, 1, 2))
        padding = self._some(_SHARED["asides"], (0, 0, 0, 1, 1, 2))
        padding += self._some(_SHARED["fillers"], (0, 0, 0, 0, 3, 6, 14))
        self._rng.shuffle(padding)
        where = self._rng.randint(0, len(padding))
        closing = self._some(_SHARED["closers"], (0, 1, 1, 2))
        gap = self._rng.choice((" ", " ", "\n", "\n\n"))
        return gap.join([*opening, *padding[:where], *core, *padding[where:], *closing])

    def _with_second_matter(self, ask: str, category: str) -> list[str]:
        """Two categories in one ticket: mostly the first counts, sometimes nobody can tell."""
        other = self._rng.choice([entry for value, entry in _BY_CATEGORY.items() if value != category])
        second = self._topical(other["asks"])
        if self._maybe(0.6):
            return [ask, self._say(_SHARED["also"]), second]
        pair = [ask, second]
        self._rng.shuffle(pair)
        return [self._say(_SHARED["both"]), *pair]

    def _envelope(self, message: str) -> str:
        """Greeting, signature, quoted thread, HTML: what the mail program and good manners add."""
        if self._maybe(0.6):
            message = self._say(_SHARED["greetings"]) + self._rng.choice((" ", "\n", "\n\n")) + message
        name = self._say(_SHARED["names"])
        if self._maybe(0.45):
            message += f"\n\n{self._say(_SHARED['sign_offs'])}\n{name}"
        elif self._maybe(0.2):
            message += f"\n\n-- \n{name}\n{self._fill('{phone}')}"
        elif self._maybe(0.1):
            message += f"\n\n{self._say(_SHARED['mobile'])}"
        if self._maybe(0.12):  # what is quoted is about anything, and must not count
            quoted = self._say(self._rng.choice(list(_BY_CATEGORY.values()))["asks"])
            message += f"\n\n{self._say(_SHARED['quote_heads'])}\n> Hello,\n> {quoted}\n> Mossgate Support"
        elif self._maybe(0.06):
            paragraphs = message.replace("\n\n", "</p><p>").replace("\n", "<br>")
            message = f"<html><body><p>{paragraphs}</p></body></html>"
        return message

    def _say(self, lines: Lines) -> str:
        return self._fill(self._rng.choice(wordings(self._rng.choice(lines))))

    def _topical(self, lines: Lines) -> str:
        """Say one of the lines that tell the category, within the phrasings allowed."""
        if self._phrasings == "all":
            return self._say(lines)
        held_out = self._phrasings == "held_out"
        return self._say([line for index, line in enumerate(lines) if (index % HOLD_OUT == HOLD_OUT - 1) is held_out])

    def _fill(self, wording: str) -> str:
        filled = _SLOT.sub(lambda slot: self._rng.choice(_SLOTS[slot[1]]), wording)
        return re.sub("#", lambda _: str(self._rng.randrange(10)), filled)

    def _some(self, lines: Lines, counts: Sequence[int]) -> list[str]:
        """A random number of different sentences; ``counts`` are equally likely."""
        said = [self._say(lines) for _ in range(self._rng.choice(counts))] if lines else []
        return list(dict.fromkeys(said))

    def _mistype(self, text: str, rate: float) -> str:
        return _WORD.sub(lambda word: self._slip(word[0]) if self._maybe(rate) else word[0], text)

    def _slip(self, word: str) -> str:
        """Two letters swapped, one dropped, or one typed twice."""
        at = self._rng.randrange(1, len(word) - 1)
        before, letter, after = word[:at], word[at], word[at + 1 :]
        return before + self._rng.choice((after[0] + letter + after[1:], after, letter + letter + after))

    def _maybe(self, probability: float) -> bool:
        return self._rng.random() < probability
