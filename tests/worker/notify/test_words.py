"""What people read."""

from __future__ import annotations

import msgspec
import pytest

from integration.records import Sample
from tests.worker.notify.support import AT, TICKET, alert, news, over
from worker.notify import words


def test_all_that_is_known_is_in_the_text_in_the_accounts_time() -> None:
    text = words.body(news(alert()), "Europe/Berlin")
    assert text.splitlines() == [
        "47 tickets in 30 min where 4.2 are usual: 11 times as many (90 % interval 8.7 to 14).",
        "Since about 2025-11-24 16:30:00 CET. By chance once in 38 weeks.",
        "31% of all tickets in that time (47 of 152).",
        "Also firing: Orders::Invoice.",
        "Words that stand out:",
        "  voucher: in 12 of 20 tickets, usually 3 of 200",
        "Newest tickets:",
        "  #7 Where is my money?",
        "    https://acme.zendesk.com/agent/tickets/7",
        "To silence it: presort alerts silence category/refund_request --hours 4",
    ]


def test_what_is_not_known_is_not_said() -> None:
    bare = alert(share=0.0, samples=(), words=(), also=(), ratio_low=0.0, ratio_high=0.0, once_in_weeks=9999)
    assert words.body(news(bare), "UTC").splitlines() == [
        "47 tickets in 30 min where 4.2 are usual: 11 times as many.",
        "Since about 2025-11-24 15:30:00 UTC. By chance less than once in 10 years.",
        "To silence it: presort alerts silence category/refund_request --hours 4",
    ]


@pytest.mark.parametrize(
    ("changes", "first", "title"),
    [
        ({}, True, "Spike: Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"severity": "critical"}, True, "Spike (critical): Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"event": "grew"}, False, "Growing: Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"event": "grew", "peak": 12.0}, False, "Still: Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"event": "grew"}, True, "Spike: Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"event": "reopened"}, False, "Spike again: Orders::Refund, 47 tickets in 30 min where 4.2 are usual"),
        ({"event": "acknowledged", "acknowledged_by": "kim"}, False, "Acknowledged: Orders::Refund, by kim"),
        ({"event": "gone", "state": "resolved"}, False, "Ended: Orders::Refund is not counted any longer"),
        (
            {"incident": "a1"},
            True,
            "Spike: Orders::Refund and 1 more category, 47 tickets in 30 min where 4.2 are usual",
        ),
        ({"kind": "silence", "observed": 0}, True, "No tickets: 0 tickets in 30 min where 4.2 are usual"),
        ({"observed": 1, "expected": 0.1}, True, "Spike: Orders::Refund, 1 ticket in 30 min where 0.1 are usual"),
    ],
)
def test_the_news_come_first(changes: dict[str, object], first: bool, title: str) -> None:  # noqa: FBT001 - a table
    assert words.title(news(alert(**changes), first=first)) == title


def test_who_hears_of_no_tickets_is_told_where_to_look_first() -> None:
    text = words.body(news(alert(kind="silence", observed=0)), "UTC")
    assert "presort doctor" in text
    assert "presort doctor" not in words.body(news(alert()), "UTC")


def test_a_customers_subject_calls_nobody_and_links_nowhere() -> None:
    subject = "@everyone <!channel> [log in](http://evil.example) {{ticket.requester.email}}"
    text = words.body(news(alert(samples=(Sample(ticket_id=7, url=TICKET, subject=subject),))), "UTC")
    line = next(line for line in text.splitlines() if line.startswith("  #7"))
    assert not {*"@<>[]{}"} & {*line}
    assert "everyone" in line, "a person reads it all the same"


def test_the_end_says_how_long_it_lasted_and_offers_no_silence() -> None:
    ended = news(over(alert()), first=False)
    assert words.title(ended) == "Resolved: Orders::Refund is back to normal"
    text = words.body(ended, "America/New_York")
    assert "Over at 2025-11-24 11:10:00 EST, after 40 min." in text
    assert "presort alerts silence" not in text
    several = news(over(alert(incident="a1")), first=False)
    assert words.title(several) == "Resolved: Orders::Refund and what fired with it are back to normal"
    quiet = news(over(alert(kind="silence", observed=0)), first=False)
    assert words.title(quiet) == "Resolved: tickets come again"


def test_a_level_that_stays_is_the_new_normal() -> None:
    settled = over(alert(), state="settled", event="settled", resolved_at=AT + 86400)
    assert words.title(news(settled, first=False)) == (
        "New normal: Orders::Refund, 47 tickets in 30 min are what is usual from now on"
    )


def test_who_looks_after_it_and_since_when() -> None:
    looked_after = alert(event="acknowledged", acknowledged_by="kim@desk", acknowledged_at=AT)
    assert "kim@desk looks after it, since 2025-11-24 16:00:00 UTC." in words.body(news(looked_after), "UTC")


def test_the_command_to_silence_survives_a_shell() -> None:
    parent = alert(category="Orders::*")
    assert words.silencing(parent) == "presort alerts silence 'category/Orders::*' --hours 4"


def test_what_may_be_a_repetition_says_so_first() -> None:
    assert words.body(news(alert(), again=True), "UTC").startswith("(Perhaps told before")


def test_the_count_of_all_tickets_is_never_less_than_the_categorys_own() -> None:
    rounded = msgspec.structs.replace(alert(), share=0.999, observed=3)
    assert "(3 of 3)" in words.body(news(rounded), "UTC")
