"""Which language a text is in; asked only where a bundle names the languages that its model was made for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SURE = 0.7
"""A smaller probability says nothing: of 1,500 short English texts none reached it in another language, 21 reached 0.5
(docs/decisions/0016)."""

NONE = "zxx"
"""What the detector calls numbers, markup and the like."""


def language_of(text: str) -> str | None:
    """An ISO 639 code, two letters where the language has them; None when nobody could be sure."""
    language, probability = detector().classify(text)
    return language if probability >= SURE and language != NONE else None


@cache
def detector() -> LanguageIdentifier:
    """Loaded by the first text that is asked about: it takes half a second and 76 MB."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - most workers never need it

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
