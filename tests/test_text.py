"""The text the model reads: golden cases, and texts made to hurt."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.bundle.text import MAX_CHARS, prepare_text


@pytest.mark.parametrize(
    ("subject", "description", "expected"),
    [
        (None, None, ""),
        ("", "", ""),
        ("Refund", "", "Refund"),
        ("Refund", "I want my money back.", "Refund . I want my money back."),
        ("Refund", "Line one\r\nline two", "Refund . Line one line two"),
    ],
)
def test_subject_and_description_become_one_line(subject: str | None, description: str | None, expected: str) -> None:
    assert prepare_text(subject, description) == expected


@pytest.mark.parametrize("subject", ["Where is my", "Where is my...", "Where is my…", "Where is my parcel?"])
def test_a_subject_the_description_starts_with_is_not_repeated(subject: str) -> None:
    assert prepare_text(subject, "Where is my parcel?") == "Where is my parcel?"


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (
            "Yes please.\n\nOn Mon, 3 Mar 2025 at 10:12, Shop <help@shop.example> wrote:\n> Shall we?\n> Bye",
            "Yes please.",
        ),
        ("Yes.\n\nAm 03.03.2025 um 10:12 schrieb Shop <help@shop.example>:\n> Sollen wir?", "Yes."),
        ("Yes.\n\n-----Original Message-----\nFrom: Shop\nSent: Monday\nTo: Ada\nSubject: Hm\n\nShall we?", "Yes."),
        ("It leaks.\n\n-- \nAda Brook\n+44 20 7946 0000", "It leaks."),
        ("It leaks.\n\nBest regards\nAda Brook", "It leaks."),
        ("It leaks.\n\nSent from my iPhone", "It leaks."),
        ("Missing:\n- a pump\n- a lamp", "Missing: - a pump - a lamp"),
        ("> all of it\n> is quoted", "> all of it > is quoted"),
    ],
)
def test_only_the_newest_message_counts(description: str, expected: str) -> None:
    assert prepare_text("", description) == expected


@pytest.mark.parametrize("mark", ["---------- Forwarded message ---------\n", "Begin forwarded message:\n\n", ""])
def test_of_a_forwarded_mail_the_quote_counts(mark: str) -> None:
    head = "From: Ada <ada@example.com>\nDate: Mon, 3 Mar 2025 at 10:12\nSubject: Lamp\nTo: <help@shop.example>\n\n"
    assert prepare_text("", f"{mark}{head}My lamp is broken.") == "My lamp is broken."


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("<html><head><style>p{}</style></head><body><p>My lamp<br>is&nbsp;off</p></body></html>", "My lamp is off"),
        ("<div>Yes.</div><blockquote>Shall we?</blockquote>", "Yes."),
        ("<p>Hi</p><script>alert(1)</script>", "Hi"),
        ("2 < 3 and <3 you", "2 < 3 and <3 you"),
        ("write to <a@example.com>", "write to <<email>>"),
    ],
)
def test_html_becomes_text_and_text_with_angle_brackets_stays(description: str, expected: str) -> None:
    assert prepare_text("", description) == expected


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("so happy 🌱🎉", "so happy 🌱🎉"),
        ("👩\u200d🌾 here", "👩 🌾 here"),
        ("مرحبا \u200fطلبي لم يصل", "مرحبا طلبي لم يصل"),
        ("\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48 and \ufb01", "full width and fi"),
        ("nul\x00 bell\x07 and tab\there", "nul bell and tab here"),
        ("lone \ud83d surrogate \udfff", "lone surrogate"),
        ("<p>lone \ud83d surrogate</p>", "lone surrogate"),
    ],
)
def test_unicode_is_normalised_and_what_is_invisible_goes(description: str, expected: str) -> None:
    prepared = prepare_text("", description)
    assert prepared == expected
    assert prepared.encode()


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("ada.brook+shop@mail.example.co.uk", "<email>"),
        ("https://shop.example/orders?id=12&x=(3)", "<url>"),
        ("www.shop.example", "<url>"),
        ("4111 1111 1111 1111", "<card>"),
        ("4111-1111-1111-1111", "<card>"),
        ("5500000000000004", "<card>"),
        ("+1 (555) 010-2030", "<phone>"),
        ("020 7946 0000", "<phone>"),
        ("06.12.34.56.78", "<phone>"),
        ("4111111111111112", "<number>"),  # a card number's length, but not its check digit
        ("12345678", "<number>"),
        ("123456789012345678901234", "<number>"),  # passes the check, but no card is that long
    ],
)
def test_personal_data_is_masked(written: str, masked: str) -> None:
    assert prepare_text("", f"here {written} there") == f"here {masked} there"
    assert prepare_text(written, "") == masked


@pytest.mark.parametrize(
    "written",
    ["2025-03-03", "2025-03-03 14:05", "2025/3/3", "03/03/2025", "12.03.2025 10:15", "12.3.25 1000", "10:15 2025-03-03",
     "2025-03-03T14:05:00Z", "1,234,567.89", "MG-12345", "version 4.1.2", "24/7"],
)  # fmt: skip
def test_dates_amounts_and_short_numbers_stay(written: str) -> None:
    assert prepare_text("", f"here {written} there") == f"here {written} there"


HOSTILE = {
    "one word": "a" * 200_000,
    "one number": "1" * 200_000,
    "a number in pieces": "1 " * 100_000,
    "brackets and digits": "+(1" * 70_000,
    "half addresses": "a@" * 100_000,
    "endless address": "a" * 64 + "@" + "b." * 100_000,
    "half URLs": "http://" * 30_000,
    "open brackets": "<" * 200_000,
    "open tags": "<p " * 70_000,
    "nested HTML": "<div><blockquote>" * 12_000,
    "blank lines": "\n" * 200_000,
    "white space": " \n\t" * 70_000,
    "quote marks": "> > >\n" * 30_000,
    "quote heads": "On Mon wrote\n" * 15_000,
    "mail heads": "From: \nTo: \n" * 15_000,
    "hyphens": "-" * 200_000,
    "signatures": "-- \n" * 50_000,
    "bullets": "- a\n" * 50_000,
    "characters that NFKC makes longer": "\ufdfa" * 200_000,
    "accents": "e" + "\u0301" * 200_000,
    "surrogates": "\ud800" * 200_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_done_in_well_under_a_second(text: str) -> None:
    """Generous for a busy machine: alone, the slowest takes a tenth of this."""
    start = time.perf_counter()
    prepare_text(text, text)
    assert time.perf_counter() - start < 2


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(st.characters(), max_size=300), st.text(st.characters(), max_size=1_000))
def test_any_text_becomes_one_clean_line(subject: str, description: str) -> None:
    prepared = prepare_text(subject, description)
    assert prepared == " ".join(prepared.split())
    assert prepared.isprintable()


def test_what_lies_beyond_the_limit_is_not_looked_at() -> None:
    assert prepare_text("", "word " * MAX_CHARS + "end") == prepare_text("", "word " * MAX_CHARS)
