"""How far an answer may go: the mode of its classifier, its categories and its brand, and who was demoted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from integration.messages import Decision
from integration.settings import Classifier, Mode

STRICTEST_FIRST: Sequence[Mode] = ("shadow", "suggest", "prefill")


def mode_of(
    classifier: Classifier, answers: Sequence[str], brand_id: int | None, demoted: Collection[str]
) -> tuple[Mode, str]:
    """The mode that holds for an answer, and the reason code of whatever it forbids.

    Args:
        classifier: its ``mode`` holds where neither a category's nor a brand's does; of those the strictest does.
        answers: the model's tags; several labels are as strict as the strictest of them, for a field that is filled
            in part looks as if it were filled.
        brand_id: the ticket's; None when it is not known.
        demoted: categories that are suggested at most.
    """
    modes = [_mode(classifier, answer, brand_id) for answer in answers] or [classifier.mode]
    mode = min(modes, key=STRICTEST_FIRST.index)
    if mode == "prefill" and not set(demoted).isdisjoint(answers):
        return "suggest", "demoted"
    return mode, f"{mode}_mode"


def restrained(decision: Decision, mode: Mode, reason: str) -> Decision:
    """A decision that goes no further than ``mode`` lets it now, whatever held when it was made."""
    if mode == "shadow" and decision.action != "leave":
        return msgspec.structs.replace(decision, action="leave", reason=reason)
    if mode == "suggest" and decision.action == "fill":
        return msgspec.structs.replace(decision, action="suggest", reason=reason)
    return decision


def _mode(classifier: Classifier, category: str, brand_id: int | None) -> Mode:
    named = (classifier.categories.get(category), classifier.brands.get(brand_id or 0))
    return min([mode for mode in named if mode] or [classifier.mode], key=STRICTEST_FIRST.index)
