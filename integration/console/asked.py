"""What the pages ask of a worker: one desk a process, so that no more wait at once than its threads can spare."""

from __future__ import annotations

from flask import current_app

from integration.agent_api.desk import Desk
from integration.agent_api.routes import EXTENSION


def desk() -> Desk:
    """The process's; its methods raise ``Refused``."""
    found: Desk = current_app.extensions[EXTENSION]
    return found


TEXTS = {
    "no_worker": "No worker answered. Is one running? `presort-worker run` starts it. A busy one may answer next time.",
    "busy": "Others are asking too, and only a few may wait at once. Try again in a moment.",
    "too_many": "That was asked very often in the last minute. Wait a little, then try again.",
    "failed": "The worker could not answer; its log says why.",
}
"""What a refusal's code means for a person who can mend it."""
