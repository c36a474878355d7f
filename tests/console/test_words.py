"""Every code that a worker may give as a reason has its words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from integration.console import words
from integration.messages import Decision
from integration.outcomes import By
from integration.records import Outcome
from integration.settings import Mode


def test_every_reason_has_its_words() -> None:
    planning = Path("worker", "planning.py").read_text(encoding="utf-8")
    decided = (Decision.__doc__ or "").partition("reason:")[2].partition("category:")[0]
    codes = {*re.findall(r"``([a-z_]+)``", decided), "nothing_to_write", "ticket_closed", "ticket_deleted"}
    codes |= set(re.findall(r'"(?:left_alone|suggested|filled)", "([a-z_]+)"', planning))
    assert len(codes) > 12
    assert sorted(codes - set(words.REASONS)) == []
    assert set(words.OUTCOMES) == set(get_args(Outcome))
    assert set(words.MODES) == set(get_args(Mode))
    assert set(words.BY) == set(get_args(By))


def test_words_that_are_no_code_stay() -> None:
    assert words.reason("Zendesk forbids it (403)") == "Zendesk forbids it (403)"
    assert words.reason(None) == ""
