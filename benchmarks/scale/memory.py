"""What each process takes at rest and after work, beside what holds it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.scale import watching
from benchmarks.scale.crews import LOOK_S, PATIENCE_S, PLENTY
from benchmarks.scale.rig import rig, texts, workers
from benchmarks.scale.watching import Say
from demo.processes import process

WORKERS = 2
BOUNDS = {
    "receiver": "bodies up to 256 KB, a connection's buffers, nothing kept",
    "worker": "the model, a batch of `worker.batch` tickets, texts cut to 20,000 characters",
    "beat": "nothing kept",
    "console": "pages, a connection's buffers, nothing kept",
    "redis": "`maxmemory`: full, it refuses and forgets nothing",
}


def measure(tickets: int, say: Say) -> dict[str, Any]:
    """Megabytes (PSS) of a receiver, a worker with the demo's model, beat, console and Redis: idle, then after work."""
    with tempfile.TemporaryDirectory() as folder, rig(Path(folder), zendesk=PLENTY) as running:
        desk = [sys.executable, "-m", "gunicorn", "-c", "python:integration.web.gunicorn"]
        password = {"PRESORT_CONSOLE_PASSWORD": "a measurement"}
        with (
            process(desk, log=running.folder / "console.log", environ=running.environ | password) as console,
            workers(running, WORKERS),
        ):
            running.children["console"] = [console]
            say("idle")
            idle = watching.memory(running)
            running.file(tickets, texts())
            watching.follow(running, tickets, say, every_s=LOOK_S, patience_s=PATIENCE_S)
            after = watching.memory(running)
    return {
        kind: {"idle_mb": round(idle[kind]), f"after_{tickets}_mb": round(after[kind]), "held_by": held}
        for kind, held in BOUNDS.items()
    }
