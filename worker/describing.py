"""What an alert shows of its tickets: a few of them, and the words that stand out against the category's usual ones.

Both are read from Zendesk in the moment in which they are told; nothing of them is kept beyond the alert.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from integration import counting
from integration.records import Alert, Sample, Word
from integration.settings import Classifier
from integration.zendesk.client import Ticket
from integration.zendesk.errors import ZendeskError
from model_export.bundle.text import prepare_text
from worker.parts import Parts

log = logging.getLogger("presort.watch")

SAMPLES = 5
WORDS = 6
READ = 50
"""Tickets of the spike, and as many of before it, that are read for words: one request in all."""

LEAST = 2
"""Tickets that a word must be in; one customer's name is not the spike's."""

PRIOR = 5.0
"""Tickets' worth of belief that the spike speaks like the category: Monroe's alpha_0."""

STANDS_OUT = 1.96
"""The least z-score."""

_WORD = re.compile(r"[^\W\d_]{3,30}")
_MASK = re.compile(r"<[a-z]+>")


def describe(parts: Parts, classifier: Classifier, alert: Alert) -> Alert:
    """The alert with its newest tickets, and with words where there are older ones to compare with.

    Zendesk is not asked while updates are held: it said to wait, or does not answer. Then, and when it fails, the
    samples are links alone, and what was read before stays.
    """
    if alert.kind == "silence":
        return alert
    tags = _tags(parts, classifier, alert)
    here = _newest(parts, classifier, tags, since=alert.started_at)
    # Its begin is an estimate: what came shortly before may be of the spike already.
    begin = alert.started_at - 2 * alert.window_s
    before = [] if len(here) < LEAST else _newest(parts, classifier, tags, until=begin)
    tickets = _read(parts, [*here, *before])
    known = {one.ticket_id: one for one in alert.samples}
    samples = tuple(_sample(parts, one, tickets.get(one), known.get(one)) for one in here[:SAMPLES])
    usual = [_text(tickets[one]) for one in before if one in tickets]
    words = stand_out([_text(tickets[one]) for one in here if one in tickets], usual) if usual else alert.words
    return msgspec.structs.replace(alert, samples=samples or alert.samples, words=words)


def stand_out(here: Sequence[str], usual: Sequence[str]) -> tuple[Word, ...]:
    """Words of the spike's texts that its category does not usually have, the clearest first.

    Log-odds with an informative Dirichlet prior (Monroe, Colaresi, Quinn, "Fightin' Words", Political Analysis 16:4,
    2008, equations 16 and 22), of the texts that hold a word against those that do not: customers repeat themselves,
    so it is texts that are counted. With y of n texts here and y' of n' usually, a = alpha_0 (y + y') / (n + n') and
    b = alpha_0 - a, z = (ln((y + a) / (n - y + b)) - the same of y') / sqrt(the sum of the four reciprocals).

    Args:
        here: masked texts of the spike.
        usual: masked texts of before it.
    """
    ours, theirs = (Counter(word for text in texts for word in _words(text)) for texts in (here, usual))
    n, m = len(here), len(usual)
    scores = {}
    for word, y in ours.items():
        if y < LEAST:
            continue
        a = PRIOR * (y + theirs[word]) / (n + m)
        parts = (y + a, n - y + PRIOR - a, theirs[word] + a, m - theirs[word] + PRIOR - a)
        if min(parts) > 0:  # else it is in every text there is
            with_, without, usually, usually_without = parts
            odds = math.log(with_ / without * usually_without / usually)
            scores[word] = odds / math.sqrt(sum(1 / one for one in parts))
    best = sorted((word for word, z in scores.items() if z >= STANDS_OUT), key=lambda word: (-scores[word], word))
    return tuple(Word(word, ours[word], n, theirs[word], m) for word in best[:WORDS])


def _words(text: str) -> set[str]:
    return set(_WORD.findall(_MASK.sub(" ", text).lower()))


def _text(ticket: Ticket) -> str:
    return prepare_text(ticket.subject, ticket.description)


def _tags(parts: Parts, classifier: Classifier, alert: Alert) -> list[str]:
    """The categories whose tickets these are: an ``A::*`` has none of its own."""
    if not alert.category.endswith("::*"):
        return [alert.category]
    labels = parts.predictors[classifier.name].manifest.labels
    return [label.value for label in labels if label.name.startswith(alert.category[:-1])]


def _newest(
    parts: Parts, classifier: Classifier, tags: Collection[str], *, since: float = 0, until: float = float("inf")
) -> list[int]:
    """Ids of the newest tickets; Zendesk's ids grow with time."""
    redis, name = parts.store.redis, classifier.name
    found = [counting.newest(redis, name, tag, since=since, until=until, limit=READ) for tag in tags]
    return sorted({one for ids in found for one in ids}, reverse=True)[:READ]


def _read(parts: Parts, ids: Sequence[int]) -> dict[int, Ticket]:
    if not ids or parts.store.updates_held():
        return {}
    try:
        return parts.zendesk.show_many(ids)
    except ZendeskError as error:  # an alert without subjects is better than none
        log.warning("samples without subjects: %s", error)
        return {}


def _sample(parts: Parts, ticket_id: int, ticket: Ticket | None, before: Sample | None) -> Sample:
    """Its subject, or else its first words, masked like what the model reads."""
    subject = before.subject if before is not None else None
    if ticket is not None:
        subject = (prepare_text(ticket.subject, None) or prepare_text(None, ticket.description))[:100]
    return Sample(ticket_id=ticket_id, url=parts.zendesk.ticket_url(ticket_id), subject=subject)
