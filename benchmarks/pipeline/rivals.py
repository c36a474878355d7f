"""The others, measured like us: a plain script's whole way, and a serving library for the inference alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import usage
from benchmarks.pipeline import ours, stage
from benchmarks.pipeline.bundles import Made
from benchmarks.pipeline.load import Plan
from demo.processes import free_port
from model_export.bundle.manifest import TOKENIZER
from model_export.bundle.predictor import INT8

WARM_UP = 16
CONNECTIONS = 32
"""Requests to the serving library at once: more than two of its batches."""


def plain(folder: Path, made: Made, texts: Sequence[str], *, tickets: int, say: ours.Say) -> ours.Run:
    """Flask and a Celery task a ticket, as ``plain.py`` has them; Celery's own settings."""
    with stage.place(folder) as place:
        port = free_port()
        environ = {
            "PLAIN_REDIS": place.redis_url,
            "PLAIN_NETWORK": str(made.network),
            "PLAIN_ZENDESK": place.zendesk,
            "PLAIN_FIELD": str(stage.ACCOUNT.category_field_id),
        }
        module, bind = "benchmarks.pipeline.plain", f"127.0.0.1:{port}"
        gunicorn = ["gunicorn", "--threads", "4", "--keep-alive", "75", "--bind", bind, f"{module}:server"]
        place.start("receiver", [sys.executable, "-m", *gunicorn], environ, port)
        place.start("worker", [sys.executable, "-m", "celery", "--app", module, "worker"], environ)
        many = [texts[number % len(texts)] for number in range(tickets)]
        ours.play(place, *_plan(place, port, many[:WARM_UP]), patience_s=120)
        return ours.play(place, *_plan(place, port, many), patience_s=60 + tickets, say=say)


def _plan(place: stage.Place, port: int, texts: Sequence[str]) -> tuple[Plan, list[int]]:
    sent, ids = ours.plan(place, port, texts)
    return msgspec.structs.replace(sent, path="/webhook"), ids


def peer(folder: Path, python: Path, made: Made, texts: Sequence[str], *, requests: int) -> float:
    """Texts a second that LitServe answers over HTTP, with the same graph on as many processes."""
    with stage.place(folder) as place:
        port = free_port()
        server = [str(python), str(Path(__file__).with_name("peer_server.py")), str(port)]
        graph = [str(made.bundle / INT8), str(made.bundle / TOKENIZER)]
        place.start("peer", [*server, *graph], {}, port)
        bodies = [json.dumps({"text": texts[number % len(texts)]}) for number in range(requests)]
        plan = Plan(port=port, path="/predict", bodies=bodies, connections=CONNECTIONS)
        try:
            _answers(place, msgspec.structs.replace(plan, bodies=bodies[:WARM_UP]))
            return _answers(place, plan)
        finally:
            usage.kill(place.pids["peer"])  # LitServe's own end leaves its processes behind


def _answers(place: stage.Place, plan: Plan) -> float:
    with stage.sending(place, plan) as file:
        sent = stage.read_sent(file, patience_s=60 + len(plan.bodies))
    if sent.refused:
        raise RuntimeError(f"the serving library refused {sent.refused} of {len(plan.bodies)}: see peer.log")
    return len(plan.bodies) / sent.took_s
