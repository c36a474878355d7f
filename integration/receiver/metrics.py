"""``/metrics`` for Prometheus: this receiver's requests, and the queue as it is now."""

from __future__ import annotations

import os

from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from integration.receiver.collectors import FromRedis

routes = Blueprint("metrics", __name__)

WEBHOOKS = Counter("presort_webhooks", "Webhook deliveries by answer", ["status"])
WEBHOOK_SECONDS = Histogram(
    "presort_webhook_seconds",
    "Seconds from a delivery's arrival to its answer",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@routes.get("/metrics")
def metrics() -> Response:
    """All receiver processes of this machine together, and what Redis knows."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
    else:
        registry.register(REGISTRY)
    receiver = current_app.extensions["presort"]
    registry.register(FromRedis(receiver.store, receiver.config))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
