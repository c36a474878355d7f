"""A model's labels against the options of the field they are written to, and what is told of the difference.

Labels are existing option values of the user's own field. The account lives on after a model was trained: options are
renamed (``aliases`` in ``presort.toml`` says to what), removed and added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from redis import Redis

from integration.store import DAY

GONE_TTL = 40 * DAY


class Difference(NamedTuple):
    """Where labels and options part.

    Attributes:
        gone: labels whose option is not there, by tag, with the model's name for them: they are never written.
        new: options that no label stands for, by tag, with their name: the model has not learnt them.
        idle: aliases of labels that the model does not have.
    """

    gone: dict[str, str]
    new: dict[str, str]
    idle: tuple[str, ...]


def compare(labels: Mapping[str, str], options: Mapping[str, str], aliases: Mapping[str, str]) -> Difference:
    """Compare by tag.

    Args:
        labels: the model's, tag to name.
        options: the field's, tag to name.
        aliases: label to the option that has its meaning now.
    """
    stands_for = {label: aliases.get(label, label) for label in labels}
    return Difference(
        gone={label: name for label, name in labels.items() if stands_for[label] not in options},
        new={tag: name for tag, name in options.items() if tag not in stands_for.values()},
        idle=tuple(label for label in aliases if label not in labels),
    )


def count_gone(redis: Redis, classifier: str, counts: Mapping[str, int]) -> None:
    """Add decisions that could not be written because the option of a label is gone, by label."""
    key = f"presort:gone:{classifier}"
    pipe = redis.pipeline(transaction=False)
    for label, count in counts.items():
        pipe.hincrby(key, label, count)
    pipe.expire(key, GONE_TTL)
    pipe.execute()


def gone(redis: Redis, classifier: str) -> dict[str, int]:
    """How many decisions ran into a missing option, by label; forgotten 40 days after the last."""
    return {str(label): int(count) for label, count in redis.hgetall(f"presort:gone:{classifier}").items()}
