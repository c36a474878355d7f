"""Why the model answers as it does: each word is left out in turn, and what that costs the answer is its weight.

Occlusion (Zeiler and Fergus 2014; of words Li, Monroe and Jurafsky 2016). It needs nothing but the graph that serves,
and what it says is true of that model on this text: which words moved it, not which words make the category right.
Words that say the same stand in for each other, so two of them may both weigh little.
"""

from __future__ import annotations

import logging
import re
import string
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from integration import asking
from integration.asking import Answer, Likely, Question, Word
from integration.messages import Decision, NewTicket
from model_export.bundle.manifest import Manifest
from model_export.bundle.predictor import Predictor
from model_export.bundle.text import prepare_text
from worker.parts import Parts
from worker.triage import triage

log = logging.getLogger("presort.explaining")

MOST_GROUPS = 64
MOST_TOKENS = 4_096
"""Tokens that one question may cost, half a second to two of one core by the model's size: tickets wait that long. So a
long text is cut into fewer, longer groups."""

LEAST_GROUPS = 8

# Chinese and Japanese are written without spaces: there, each character is a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")

Floats = NDArray[np.float32]
Span = tuple[int, int]
"""Where a word begins and ends in the text."""


class Model(Protocol):
    """What explaining needs of a ``Predictor``."""

    manifest: Manifest

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with special tokens, cut to the model's longest."""

    def logits(self, sequences: Sequence[list[int]]) -> Floats:
        """(sequences, labels) raw scores."""

    def probabilities(self, logits: Floats) -> Floats:
        """The same shape."""


class Explained(NamedTuple):
    """The model's answer to a text.

    Attributes:
        label: number of the label that the words explain.
        probabilities: (labels,) of the whole text.
        cut: words at its end were not read.
    """

    label: int
    words: tuple[Word, ...]
    probabilities: Floats
    cut: bool


def explain(model: Model, text: str, label: int | None = None) -> Explained:
    """Weigh a text's words.

    Args:
        model: that answers.
        text: of ``prepare_text``, with at least one word.
        label: to explain; the likeliest one unless given.

    Returns:
        A weight for each word that the model reads, or for groups of neighbours where there are more than
        ``MOST_GROUPS`` or where the text is so long that each of them costs much.
    """
    words, cut = _read(model, text)
    text = text[: words[-1][1]]
    whole = model.tokens([text])
    groups = _groups(words, max(LEAST_GROUPS, min(MOST_GROUPS, MOST_TOKENS // len(whole[0]))))
    without = [text[:begin] + text[end:] for begin, end in groups]
    logits = model.logits(whole + model.tokens(without))
    probabilities = model.probabilities(logits[:1])[0]
    number = int(probabilities.argmax()) if label is None else label
    odds = log_odds(logits / model.manifest.temperature, number, several=model.manifest.task == "multi")
    weights = odds[0] - odds[1:]
    said = tuple(Word(text[a:b], round(float(weight), 4)) for (a, b), weight in zip(groups, weights, strict=True))
    return Explained(number, said, probabilities, cut)


def log_odds(scaled: Floats, label: int, *, several: bool) -> Floats:
    """log(p / (1 - p)) of a label's probability p, from logits over the temperature, where p itself rounds to one.

    Args:
        scaled: (texts, labels).
        label: its number.
        several: each label has a probability of its own; else they sum to one.

    Returns:
        (texts,)
    """
    if several:
        return scaled[:, label]
    others = np.logaddexp.reduce(np.delete(scaled, label, axis=1), axis=1)
    return np.asarray(scaled[:, label] - others, dtype=np.float32)


def answer(parts: Parts, name: str) -> None:
    """Answer a question, unless nobody waits for it any more. Raises nothing but Redis errors."""
    question = asking.take(parts.store.redis, name, Question)
    if question is None:
        return
    model = parts.predictors.get(question.classifier)
    if model is None:  # it was taken out of presort.toml here, or not yet put into it
        unknown = Answer(model="", error=f"this worker has no classifier {question.classifier!r}")
        asking.answer(parts.store.redis, name, unknown)
        return
    began = time.perf_counter()
    try:
        found = _answer(model, question)
        if question.decide:
            found = msgspec.structs.replace(found, decision=_decision(parts, model, question))
    except Exception as error:  # noqa: BLE001 - whatever a hostile text may break, the worker goes on
        # The type only: a message may quote the text.
        log.error("a question was not answered: %s", type(error).__name__)  # noqa: TRY400 - see above
        found = Answer(model=_version(model), error=f"{type(error).__name__} while explaining")
    ms = round((time.perf_counter() - began) * 1000, 1)
    asking.answer(parts.store.redis, name, msgspec.structs.replace(found, ms=ms))


def _decision(parts: Parts, model: Predictor, question: Question) -> Decision:
    """What a ticket with this text would get now, by the code that decides about tickets."""
    now = time.time()
    ticket = NewTicket(
        ticket_id=0, received_at=now, text_known=True, subject=question.subject, description=question.description
    )
    classifier = next(one for one in parts.config.classifiers if one.name == question.classifier)
    demoted = parts.demoted(classifier)
    return triage([ticket], classifier, model, own_user_id=None, now=now, demoted=demoted)[0]


def _answer(model: Model, question: Question) -> Answer:
    manifest = model.manifest
    text = prepare_text(question.subject, question.description)
    if not text:
        return Answer(model=_version(model))
    numbers = {label.value: number for number, label in enumerate(manifest.labels)}
    found = explain(model, text, numbers.get(question.label or ""))
    best = np.argsort(-found.probabilities, kind="stable")
    return Answer(
        model=_version(model),
        label=manifest.labels[found.label].value,
        words=found.words,
        labels=tuple(
            Likely(manifest.labels[at].value, round(float(found.probabilities[at]), 4), manifest.labels[at].threshold)
            for at in best
        ),
        several=manifest.task == "multi",
        cut=found.cut,
    )


def _read(model: Model, text: str) -> tuple[list[Span], bool]:
    """The words that fit into what the model reads, and whether there are more."""
    # A word without a token is possible, thousands of them are not a ticket.
    most = model.manifest.max_length
    found = [match.span() for match in _WORD.finditer(text)]
    words = [(a, b) for a, b in found if text[a:b].strip(string.punctuation)] or found
    lengths = [len(one) for one in model.tokens(["", *(text[a:b] for a, b in words[:most])])]
    special = lengths[0]
    ends = np.cumsum([length - special for length in lengths[1:]])
    fitting = max(1, int(np.searchsorted(ends, most - special, side="right")))
    return words[:fitting], fitting < len(words)


def _groups(words: Sequence[Span], most: int) -> list[Span]:
    """At most so many groups of neighbours, all of one size but the last."""
    size = -(-len(words) // most)
    return [(words[at][0], words[min(at + size, len(words)) - 1][1]) for at in range(0, len(words), size)]


def _version(model: Model) -> str:
    return f"{model.manifest.name}@{model.manifest.version}"
