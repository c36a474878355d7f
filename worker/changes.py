"""Notices that another model, other thresholds or other labels answer: from then on counts mean something else."""

from __future__ import annotations

import hashlib
import logging

from redis import Redis

from integration import counting
from integration.counting import HOUR, Change, Served
from model_export.bundle.manifest import Manifest

log = logging.getLogger("presort.watch")


def notice(redis: Redis, classifier: str, manifest: Manifest, now: float) -> None:
    """Mark a change when the watching process serves what none has served within an hour of the newest look.

    The hour is for a swap: some workers have the new model, others still the old one, and they watch by turns. That is
    one change. Going back to the old model within that hour is none of its own: the first one's hold lasts longer.
    One process at a time: the store's lock ``watch``.
    """
    model = f"{manifest.name}@{manifest.version}"
    thresholds = hashlib.sha256(repr([(one.value, one.threshold) for one in manifest.labels]).encode()).hexdigest()
    print_, labels = f"{model} {thresholds[:12]}", {one.value for one in manifest.labels}
    before = counting.served(redis, classifier)
    if before is None:  # the first look, or Redis was lost: nothing is known to have changed
        counting.save_served(redis, classifier, Served(seen={print_: now}, labels=dict.fromkeys(labels, 0.0)))
        return
    newest = max(before.seen, key=lambda one: before.seen[one])
    seen = {one: at for one, at in before.seen.items() if before.seen[newest] - at < HOUR}
    known = before.labels
    if print_ not in seen:
        change = _change(newest.rpartition(" ")[0], model, set(known), labels, now)
        log.warning("%s: %s changed (%s), its alerts are held for a day", classifier, change.kind, change.detail)
        counting.mark(redis, classifier, change)
        known = {one: known.get(one, now) for one in labels}
    counting.save_served(redis, classifier, Served(seen=seen | {print_: now}, labels=known))


def _change(old: str, new: str, before: set[str], after: set[str], now: float) -> Change:
    models = new if old == new else f"{old} -> {new}"
    if before != after:
        moved = {"new": sorted(after - before), "gone": sorted(before - after)}
        words = [models, *(f"{how}: {', '.join(tags)}" for how, tags in moved.items() if tags)]
        return Change(at=now, kind="taxonomy", detail="; ".join(words))
    return Change(at=now, kind="thresholds" if old == new else "model", detail=models)
