"""The contract of feedback: what agents said of a suggestion, in the moment they saw it.

A ticket's end says more (``outcomes``): this is what an agent thought beside it, once per ticket and classifier, and
the first word stands. Functions take the Redis connection; the keys are in the table of ``integration.store``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from redis import Redis

from integration.store import DAY, FUNNEL_TTL, funnel_key

FEEDBACK_TTL = 40 * DAY

Verdict = Literal["accepted", "corrected"]
"""Also the steps of the funnel that count them."""

# Given once, counted once, and a crash between the two cannot part them.
_GIVE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1
"""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent made of a suggestion.

    Attributes:
        model: ``name@version`` of what was suggested.
        answers: the options that were suggested.
        into: the options that the agent chose; the same ones where the verdict is ``accepted``.
        agent_id: as the agent's browser named it: whose it is, not proof of it.
        at: Unix seconds.
    """

    ticket_id: int
    classifier: str
    model: str
    answers: tuple[str, ...]
    verdict: Verdict
    into: tuple[str, ...]
    agent_id: int
    at: float


def give(redis: Redis, feedback: Feedback) -> bool:
    """Record it and count it in today's funnel; False when there was some already, which stays."""
    keys = [_key(feedback.ticket_id, feedback.classifier), funnel_key()]
    args: list[bytes | str | int] = [msgspec.json.encode(feedback), FEEDBACK_TTL, feedback.verdict, FUNNEL_TTL]
    given: Any = redis.eval(_GIVE, len(keys), *keys, *args)
    return bool(given)


def given(redis: Redis, ticket_id: int, classifier: str) -> Feedback | None:
    """What was said of a ticket's suggestion."""
    raw: Any = redis.get(_key(ticket_id, classifier))
    return None if raw is None else msgspec.json.decode(raw, type=Feedback)


def _key(ticket_id: int, classifier: str) -> str:
    return f"presort:feedback:{ticket_id}:{classifier}"
