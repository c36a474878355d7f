"""The contract of questions: a text for the model, and what a worker answers. No other process holds a model.

The queue's message carries a question's id only. The question lies in Redis beside it and is gone after a minute,
whether a worker came for it or not, so one that nobody waits for any more costs nothing. Orders to a registry
(``integration.registries``) go the same way. Functions take the Redis connection; the keys are in the table of
``integration.store``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec
from redis import Redis

from integration.messages import Decision

LIFE_S = 60
"""Of a question and of its answer."""

T = TypeVar("T", bound=msgspec.Struct)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What would the model answer to this text, and why?

    Attributes:
        classifier: whose model is asked.
        label: the model's tag to explain; its likeliest one unless given, or where it knows no such label.
        decide: whether the decision is wanted too that a ticket with this text would get now.
    """

    classifier: str
    subject: str | None = None
    description: str | None = None
    label: str | None = None
    decide: bool = False


class Word(NamedTuple):
    """A word of the text, in a long text several, and by how much the label's log-odds fall when it is left out.

    Below zero it speaks against the label.
    """

    text: str
    weight: float


class Likely(NamedTuple):
    """A label of the model's; ``threshold`` is the probability from which it may be filled."""

    label: str
    probability: float
    threshold: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says to a question.

    Attributes:
        model: ``name@version``.
        label: that ``words`` explain; None when the text holds no word.
        words: in the text's order.
        labels: all of the model's, the likeliest first.
        several: the model may answer with several labels.
        cut: the text is longer than what the model reads.
        decision: as of a ticket that no brand is known of, if it was asked for; its ids and times stand for nothing.
        ms: milliseconds it took.
        error: why there is no answer, without any of the text.
    """

    model: str
    label: str | None = None
    words: tuple[Word, ...] = ()
    labels: tuple[Likely, ...] = ()
    several: bool = False
    cut: bool = False
    decision: Decision | None = None
    ms: float = 0.0
    error: str | None = None


def put(redis: Redis, name: str, question: msgspec.Struct) -> None:
    """Lay a question down, before its message is published."""
    redis.set(f"presort:question:{name}", msgspec.json.encode(question), ex=LIFE_S)


def take(redis: Redis, name: str, kind: type[T]) -> T | None:
    """Pick a question up, once; None when nobody waits for it any more."""
    raw: Any = redis.getdel(f"presort:question:{name}")
    return None if raw is None else msgspec.json.decode(raw, type=kind)


def answer(redis: Redis, name: str, found: msgspec.Struct) -> None:
    """Lay the answer down."""
    pipe = redis.pipeline()
    pipe.rpush(f"presort:answer:{name}", msgspec.json.encode(found))
    pipe.expire(f"presort:answer:{name}", LIFE_S)
    pipe.execute()


def await_answer(redis: Redis, name: str, seconds: float, kind: type[T]) -> T | None:
    """Wait for the answer; None when it did not come, and then its question is taken back.

    Args:
        redis: its time-out must be longer than ``seconds``.
        name: of the question.
        seconds: to wait at most.
        kind: of the answer.
    """
    found: Any = redis.blpop([f"presort:answer:{name}"], timeout=seconds)
    if found is None:
        redis.delete(f"presort:question:{name}")
        return None
    return msgspec.json.decode(found[1], type=kind)


def admit(redis: Redis, what: str, per_minute: int, now: float) -> bool:
    """Count one more of ``what`` in this minute (``now`` in Unix seconds); False when that is more than is allowed."""
    key = f"presort:asked:{what}:{int(now // 60)}"
    pipe = redis.pipeline()
    pipe.incr(key)
    pipe.expire(key, 120)
    return int(pipe.execute()[0]) <= per_minute
