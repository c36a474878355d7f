"""What a look at one thing found."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "broken"]


class Finding(NamedTuple):
    """One line for people.

    Attributes:
        level: ``broken`` when tickets are not sorted or not written because of it; ``warning`` when a person should
            look.
        about: what was looked at, in a word or two.
        text: what is there, and unless all is well how to mend it.
    """

    level: Level
    about: str
    text: str
