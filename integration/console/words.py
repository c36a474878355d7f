"""Codes of decisions and outcomes as people read them; the sidebar app has its own, in the agent's language."""

from __future__ import annotations

OUTCOMES = {
    "filled": "category filled",
    "suggested": "suggested",
    "left_alone": "left alone",
    "parked": "parked for a person",
}

REASONS = {
    "confident": "the model was sure enough",
    "below_threshold": "the model was not sure enough to fill it",
    "shadow_mode": "its mode is shadow: nothing is written",
    "suggest_mode": "its mode is suggest: the field itself is left to people",
    "demoted": "the category is demoted: it was right too seldom",
    "other_language": "it is in a language the model was not made for",
    "no_text": "it has no text",
    "stub_text": "a conversation without a word of the customer's",
    "own_ticket": "Presort's own ticket",
    "ticket_deleted": "the ticket was deleted",
    "ticket_closed": "the ticket was closed",
    "option_missing": "the field does not offer that option",
    "nothing_to_write": "there is no field to write to",
    "person_set_it": "a person had set it",
}

MODES = {
    "prefill": "fills the field",
    "suggest": "suggests only",
    "shadow": "records only",
}

TASKS = {
    "presort.classify": "sort a ticket",
    "presort.write": "write decisions",
    "presort.confirm": "follow a bulk update",
}

BY = {
    "presort": "Presort",
    "person": "a person",
    "rule": "a trigger or automation",
    "other": "another integration",
    "unknown": "it was not read who",
}


def reason(code: str | None) -> str:
    """A reason in words; one that is words already, as those of what was parked, stays as it is."""
    return REASONS.get(code or "", code or "")
