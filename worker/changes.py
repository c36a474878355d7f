"""Notices that another model, other thresholds or other labels answer: from then on counts mean something else."""

from __future__ import annotations

import hashlib
import logging

import msgspec
from redis import Redis

from integration import counting
from integration.counting import HOUR, Change, Served
from model_export.bundle.manifest import Manifest

log = logging.getLogger("presort.watch")


TURN_S = 300
"""What was served last has not been heard of for so long: whoever serves what came before it may look again."""


def notice(redis: Redis, classifier: str, manifest: Manifest, now: float) -> bool:
    """Mark a change when the watching process serves what none has served within an hour of the newest look.

    The hour is for a swap: some workers have the new model, others still the old one, and they watch by turns. That is
    one change. Going back to the old model within that hour is none of its own: the first one's hold lasts longer.
    One process at a time: the store's lock ``watch``.

    Returns:
        Whether this process shall look. One that still serves what others have left would close the alerts of labels
        it does not know, and learn what is usual by its own.
    """
    model = f"{manifest.name}@{manifest.version}"
    thresholds = hashlib.sha256(repr([(one.value, one.threshold) for one in manifest.labels]).encode()).hexdigest()
    print_, labels = f"{model} {thresholds[:12]}", {one.value for one in manifest.labels}
    before = counting.served(redis, classifier)
    if before is None:  # the first look, or Redis was lost: nothing is known to have changed
        counting.save_served(redis, classifier, Served(seen={print_: now}, labels=dict.fromkeys(labels, 0.0)))
        return True
    last = next(reversed(before.seen))
    if print_ in before.seen and print_ != last and now - before.seen[last] < TURN_S:
        counting.save_served(redis, classifier, msgspec.structs.replace(before, seen=before.seen | {print_: now}))
        return False
    newest = max(before.seen.values())
    seen = {one: at for one, at in before.seen.items() if newest - at < HOUR}
    known = before.labels
    if print_ not in seen:
        change = _change(last.rpartition(" ")[0], model, set(known), labels, now)
        log.warning("%s: %s changed (%s), its alerts are held for a day", classifier, change.kind, change.detail)
        counting.mark(redis, classifier, change)
        known = {one: known.get(one, now) for one in labels}
    others = {one: at for one, at in seen.items() if one != print_}
    counting.save_served(redis, classifier, Served(seen=others | {print_: now}, labels=known))
    return True


def _change(old: str, new: str, before: set[str], after: set[str], now: float) -> Change:
    models = new if old == new else f"{old} -> {new}"
    if before != after:
        moved = {"new": sorted(after - before), "gone": sorted(before - after)}
        words = [models, *(f"{how}: {', '.join(tags)}" for how, tags in moved.items() if tags)]
        return Change(at=now, kind="taxonomy", detail="; ".join(words))
    return Change(at=now, kind="thresholds" if old == new else "model", detail=models)
