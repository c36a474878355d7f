"""Messages put aside for a while, back into their queues."""

from __future__ import annotations

from integration import messages
from integration.messages import Decision, Writes
from integration.publisher import publish
from integration.zendesk.client import BULK
from worker.parts import Parts
from worker.writing import take_slot

AT_ONCE = 500
"""Messages a second at most, so that a great backlog does not hold this worker."""


def resume(parts: Parts) -> None:
    """Publish what is due. Published first and dropped after: a crash between repeats, it never loses."""
    with parts.store.lock("resume", life_s=30) as ours:
        if not ours:
            return
        for task in (messages.CLASSIFY, messages.CONFIRM):
            for handle, waiting in parts.store.due(task, AT_ONCE):
                publish(parts.celery, task, waiting.payload)
                parts.store.drop_deferred(task, [handle])
        _resume_writes(parts)


def _resume_writes(parts: Parts) -> None:
    """Merge waiting decisions into full requests, as many as the update budget has slots for."""
    handles: list[str] = []
    decisions: list[Decision] = []
    for handle, waiting in parts.store.due(messages.WRITE, AT_ONCE):
        these = Writes.from_json(waiting.payload).decisions
        if decisions and len(decisions) + len(these) > BULK:
            if not _send(parts, handles, decisions):
                return
            handles, decisions = [], []
        handles.append(handle)
        decisions.extend(these)
    if decisions:
        _send(parts, handles, decisions)


def _send(parts: Parts, handles: list[str], decisions: list[Decision]) -> bool:
    if take_slot(parts) > 0:
        return False
    publish(parts.celery, messages.WRITE, Writes(decisions=tuple(decisions), has_slot=True))
    parts.store.drop_deferred(messages.WRITE, handles)
    return True
