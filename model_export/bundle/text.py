"""From a ticket's subject and description to the text the model reads, in training and in serving alike."""

from __future__ import annotations

import re
import unicodedata

from mailparser_reply import EmailMessage
from selectolax.lexbor import LexborHTMLParser

TEXT_VERSION = 1
"""Raise it with any change of behaviour: a model only understands the text it was trained on."""

MAX_CHARS = 10_000
"""Characters of subject and of description that are looked at; 512 tokens need about 2,500."""

_LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "ja"]

# The reply parser's expressions take quadratic time on one endless line or on a page of blank lines, and nothing
# that marks a quoted reply or a signature is longer than this.
_LINE_CHARS = 400
_LONG_LINE = re.compile(rf"([^\n]{{{_LINE_CHARS}}}[^\s]{{0,80}})[^\S\n]?")
_LINE_END = re.compile(r" ?\n")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")

_TAG = re.compile(
    r"<(?:!doctype|html|body|div|p|br|table|span|a|ul|ol|li|b|i|strong|em|h[1-6])(?=[\s/>])[^>]*>", re.IGNORECASE
)
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"]{1,2000}", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# A date is matched first, so that it is neither masked nor taken for the start of a phone number.
_DIGITS = re.compile(
    r"(?<![\w.])(?<!\d:)(?:"
    r"(?P<date>(?:19|20)\d\d([-./])\d\d?\2\d\d?(?!\d)|\d\d?([-./])\d\d?\3(?:19|20)?\d\d(?![-./]?\d))"
    r"|\+?\(?\d(?:[ ().\-/]{0,2}\d){6,18}(?!\w)"
    r"|\d{20,}(?!\w))"
)
_FORWARD_MARK = re.compile(r"-{3,}[^\n]{1,60}-{3,}|Begin forwarded message:", re.IGNORECASE)


class _Controls(dict[int, int]):
    """For ``str.translate``: every character of category C becomes a space, found out once per character.

    Category C is control, format, surrogate (invalid UTF-8 that was smuggled in), private use, unassigned. Zero-width
    joiners go too; an emoji sequence then reads as its parts.
    """

    def __missing__(self, code: int) -> int:
        char = chr(code)
        self[code] = code if char == "\n" or unicodedata.category(char)[0] != "C" else ord(" ")
        return self[code]


_CONTROLS = _Controls()


def prepare_text(subject: str | None, description: str | None) -> str:
    """Join and clean a ticket's first message.

    Unicode NFKC; HTML to text; control characters out; quoted replies and signatures out; e-mail addresses, URLs,
    card, phone and other long numbers replaced by ``<email>``, ``<url>``, ``<card>``, ``<phone>``, ``<number>``, so
    that personal data reaches neither a model nor a log; white space folded. Zendesk fills an empty subject with the
    description's first words, so a subject that the description starts with is not repeated.

    Returns:
        One line of text; empty when there is nothing to classify.
    """
    head = _fold(_mask(_readable(subject or "")))
    body = _fold(_mask(_newest_message(_readable(description or ""))))
    if head and body.startswith(head.rstrip(".… ")):
        return body
    return f"{head}\n{body}".strip().replace("\n", " . ") if head and body else head or body


def _readable(text: str) -> str:
    text = text[:MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    if _TAG.search(text):
        tree = LexborHTMLParser(text)
        tree.strip_tags(["script", "style", "head", "blockquote"])
        text = (tree.body or tree.root).text(separator="\n") if tree.root else ""
    return unicodedata.normalize("NFKC", text).translate(_CONTROLS)


def _newest_message(text: str) -> str:
    if "\n" not in text:
        return text
    text = _BLANK_LINES.sub("\n\n", _LINE_END.sub("\n", _SPACES.sub(" ", text)))
    text = _LONG_LINE.sub(r"\1\n", text)
    mail = EmailMessage(text=text, languages=list(_LANGUAGES), keep_hyphen_lists=True).read()
    # A forwarded mail is all quote: then the quote is the message.
    bodies = (reply.body for reply in mail.replies if reply.body)
    return next((body for body in bodies if not _FORWARD_MARK.fullmatch(body)), text)


def _mask(text: str) -> str:
    return _DIGITS.sub(_kind_of_number, _EMAIL.sub("<email>", _URL.sub("<url>", text)))


def _kind_of_number(match: re.Match[str]) -> str:
    written = match[0]
    if match["date"]:
        return written
    digits = [int(c) for c in written if c.isdigit()]
    if 13 <= len(digits) <= 19 and _luhn(digits):
        return "<card>"
    return "<number>" if written.isdigit() and written[0] != "0" else "<phone>"


def _luhn(digits: list[int]) -> bool:
    """The check-digit rule of ISO/IEC 7812-1, annex B."""
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _fold(text: str) -> str:
    return " ".join(text.split())
