"""A category whose live precision falls below its target is suggested only, until a person restores it.

The figures are looked at again and again, so an ordinary interval would sooner or later exclude the target by chance.
Instead the evidence is an e-process: the likelihood ratio of "precision is q" against "it is the target", averaged over
some q below it. While the true precision is at least the target, whatever else it does, this is a non-negative
supermartingale that starts at 1; so the probability that it ever reaches 1 / alpha is at most alpha (Ville 1939; as a
confidence sequence, Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", Annals of Statistics 2021, section 3): "the upper end of a confidence sequence is below the target" and "the
evidence is at least 1 / alpha" are the same. Each category and month of tickets is a test of its own, so that good old
months do not hide a bad new one; the year's error is divided among them.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta

from integration import notices, outcomes
from integration.outcomes import month_of
from integration.settings import Classifier
from worker.modes import mode_of
from worker.parts import Parts

log = logging.getLogger("presort.ledger")

ERROR_A_YEAR = 0.05
"""At most so likely is any category of a classifier demoted wrongly within a year."""

ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The precisions below the target that are looked for: its odds divided by these, each equally likely beforehand."""


def evidence(right: int, sure: int, target: float) -> float:
    """Logarithm of the e-process for "precision is below the target", after ``right`` of ``sure`` tickets."""
    logs = []
    for ratio in ODDS:
        q = target / (target + ratio * (1 - target))
        logs.append(right * math.log(q / target) + (sure - right) * math.log((1 - q) / (1 - target)))
    top = max(logs)
    return top + math.log(sum(math.exp(one - top) for one in logs) / len(logs))


def enough(categories: int) -> float:
    """The evidence that demotes one of so many categories."""
    return math.log(12 * categories / ERROR_A_YEAR)


def look(parts: Parts) -> None:
    """Demote what has fallen below its target, and have it told. One process at a time, see ``judging``."""
    for classifier in parts.config.classifiers:
        target = parts.target(classifier)
        if target is not None:
            _look(parts, classifier, target)


def _look(parts: Parts, classifier: Classifier, target: float) -> None:
    redis, now = parts.store.redis, parts.clock()
    manifest = parts.predictors[classifier.name].manifest
    model = f"{manifest.name}@{manifest.version}"
    demoted = parts.demoted(classifier)
    spent = outcomes.spent(redis, classifier.name)
    for month in {month_of(now), _month_before(now)}:  # what comes later of an older one is little, and late
        for (counted, category), counts in outcomes.counts(redis, classifier.name, month).items():
            cell = (counted, category, month)
            if category in demoted:  # of another version too: that one may be rolled back to
                outcomes.spend(redis, classifier.name, cell, (counts.sure, counts.right))
                continue
            if counted != model:
                continue
            before = spent.get(cell, (0, 0))
            sure, right = counts.sure - before[0], counts.right - before[1]
            if evidence(right, sure, target) >= enough(len(manifest.labels)) and _fills(classifier, category):
                _demote(parts, classifier, cell, f"{right} of {sure} were right in {month}, {target:.0%} is its target")
                outcomes.spend(redis, classifier.name, cell, (counts.sure, counts.right))


def _month_before(now: float) -> str:
    return month_of((datetime.fromtimestamp(now, UTC).replace(day=1) - timedelta(days=1)).timestamp())


def _fills(classifier: Classifier, category: str) -> bool:
    """Whether any ticket's field is filled with it: a brand may have a mode of its own."""
    return any(mode_of(classifier, [category], brand, ())[0] == "prefill" for brand in (None, *classifier.brands))


def _demote(parts: Parts, classifier: Classifier, cell: tuple[str, str, str], reason: str) -> None:
    _, category, _ = cell
    if not parts.controls.demote(classifier.name, category, reason):
        return
    name = next((one.name for one in parts.predictors[classifier.name].manifest.labels if one.value == category), "")
    log.warning("%s/%s demoted to suggest: %s", classifier.name, category, reason)
    examples = outcomes.wrong_examples(parts.store.redis, classifier.name, category, 5)
    body = [
        f"Of its sure answers {reason}. It is suggested only, until `presort restore` gives it back.",
        "Newest tickets where it was wrong:",
        *(f"  #{one} {parts.zendesk.ticket_url(one)}" for one in examples),
    ]
    notices.put(parts.store.redis, f"No longer filled: {name or category}", "\n".join(body), parts.clock())
