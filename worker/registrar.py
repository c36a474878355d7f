"""Orders to a registry of models, carried out for a person who has no access to it: see ``integration.registries``."""

from __future__ import annotations

import logging

from integration import asking
from integration.registries import NEWEST, Order, Published, Reply
from model_export import registry
from model_export.bundle.channels import RegistryError
from model_export.registry import NotBetterError, Version
from worker.parts import Parts

log = logging.getLogger("presort.registrar")

MOST_REPORT = 8_000_000
"""Bytes of a report: it lies in Redis for a minute."""


def carry_out(parts: Parts, name: str) -> None:
    """Carry an order out, unless nobody waits for it any more. Raises nothing but Redis errors."""
    order = asking.take(parts.store.redis, name, Order)
    if order is not None:
        asking.answer(parts.store.redis, name, _reply(parts, order))


def _reply(parts: Parts, order: Order) -> Reply:
    bundle = next((one.bundle for one in parts.config.classifiers if one.name == order.classifier), "")
    url, _, model = bundle.rpartition("#")
    if not url:
        return Reply(error=f"this worker's {order.classifier!r} comes from no registry")
    try:
        _act(parts, order, url, model)
        if order.task == "report":
            raw = registry.report(url, model, order.version or "", most=MOST_REPORT)
            return Reply(name=model, report=raw.decode(errors="replace"))
        found = registry.versions(url, model, newest=NEWEST)
    except NotBetterError as error:
        return Reply(name=model, refusal=tuple(error.reasons))
    except RegistryError as error:
        return Reply(name=model, error=str(error))
    return Reply(name=model, versions=tuple(map(_published, reversed(found))))


def _act(parts: Parts, order: Order, url: str, model: str) -> None:
    """Change what is in force, if that is the order, and remember who did."""
    if order.task == "promote":
        after = registry.promote(url, model, order.version, force=order.force)
        what = f"promoted {model}@{after.active}{' in spite of its figures' * order.force} for {order.classifier}"
    elif order.task == "rollback":
        after = registry.rollback(url, model)
        what = f"rolled {order.classifier} back to {model}@{after.active}"
    else:
        return
    parts.controls.note(order.by, what)


def _published(one: Version) -> Published:
    manifest = one.manifest
    return Published(
        version=manifest.version,
        created=manifest.created,
        base=manifest.base,
        macro_f1=manifest.metrics.get("macro_f1"),
        channels=one.channels,
        report=registry.REPORT in manifest.files,
        size=sum(file.size for file in manifest.files.values()),
    )
