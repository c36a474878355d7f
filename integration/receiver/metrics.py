"""``/metrics`` for Prometheus: this receiver's requests, and the queue as it is now."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector
from redis.exceptions import RedisError

from integration.store import Store

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
    registry.register(_Redis(current_app.extensions["presort"].store))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Redis(Collector):
    """Gauges read at scrape time; ``presort_redis_up`` is 0 when they cannot be."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("presort_redis_up", "1 when Redis answers")
        depth = GaugeMetricFamily("presort_messages", "Messages waiting, by place", labels=["place"])
        workers = GaugeMetricFamily("presort_workers", "Workers heard of in the last 30 s")
        alerts = GaugeMetricFamily("presort_alerts", "Spike alerts firing")
        funnel = CounterMetricFamily("presort_funnel_today", "Tickets by step since midnight UTC", labels=["step"])
        try:
            for place, count in self._store.depths().items():
                depth.add_metric([place], count)
            workers.add_metric([], len(self._store.workers()))
            alerts.add_metric([], sum(alert.state == "firing" for alert in self._store.alerts().values()))
            for step, count in self._store.funnel().items():
                funnel.add_metric([step], count)
        except RedisError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from (up, depth, workers, alerts, funnel)
