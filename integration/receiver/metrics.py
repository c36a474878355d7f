"""``/metrics`` for Prometheus: this receiver's requests, and the queue as it is now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector
from redis.exceptions import RedisError

from integration import outcomes, taxonomy
from integration.controls import Controls
from integration.settings import Zendesk
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
    receiver = current_app.extensions["presort"]
    registry.register(_Redis(receiver.store, receiver.config.zendesk))
    registry.register(_Hindsight(receiver.store, receiver.classifiers))
    registry.register(_Taxonomy(receiver.store, receiver.classifiers))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Redis(Collector):
    """Gauges read at scrape time; ``presort_redis_up`` is 0 when they cannot be."""

    def __init__(self, store: Store, limits: Zendesk) -> None:
        self._store, self._limits = store, limits

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("presort_redis_up", "1 when Redis answers")
        depth = GaugeMetricFamily("presort_messages", "Messages waiting, by place", labels=["place"])
        workers = GaugeMetricFamily("presort_workers", "Workers heard of in the last 30 s")
        alerts = GaugeMetricFamily("presort_alerts", "Spike alerts firing")
        funnel = CounterMetricFamily("presort_funnel_today", "Tickets by step since midnight UTC", labels=["step"])
        paused = GaugeMetricFamily("presort_writes_paused", "1 while a person or presort.toml pauses all writes")
        written = GaugeMetricFamily("presort_tickets_written_today", "Tickets under the day's cap (UTC), if any")
        cap = GaugeMetricFamily("presort_writes_per_day", "The day's cap, if any")
        try:
            for place, count in self._store.depths().items():
                depth.add_metric([place], count)
            workers.add_metric([], len(self._store.workers()))
            alerts.add_metric([], sum(alert.state == "firing" for alert in self._store.alerts().values()))
            for step, count in self._store.funnel().items():
                funnel.add_metric([step], count)
            controls, now = Controls(self._store.redis), time.time()
            paused.add_metric([], controls.paused(self._limits) is not None)
            if self._limits.writes_per_day is not None:
                written.add_metric([], controls.written_on(now))
                cap.add_metric([], self._limits.writes_per_day)
        except RedisError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from (up, depth, workers, alerts, funnel, paused, written, cap)


class _Hindsight(Collector):
    """What the export told; nothing while Redis does not answer."""

    def __init__(self, store: Store, classifiers: Sequence[str]) -> None:
        self._redis, self._classifiers = store.redis, classifiers

    def collect(self) -> Iterator[Metric]:
        age = GaugeMetricFamily("presort_export_age_seconds", "Since Zendesk's export was read to its end")
        waiting = GaugeMetricFamily("presort_unjudged_tickets", "Solved tickets that wait for a look back")
        answers = GaugeMetricFamily(
            "presort_answers_this_month",
            "Answers about solved tickets filed this month (UTC), by what became of them",
            labels=["classifier", "category", "step"],
        )
        now = time.time()
        try:
            if (read_at := outcomes.caught_up_at(self._redis)) is not None:
                age.add_metric([], now - read_at)
            waiting.add_metric([], outcomes.unjudged(self._redis))
            for name in self._classifiers:
                for category, counts in outcomes.totals(self._redis, name, outcomes.month_of(now)).items():
                    for step in outcomes.STEPS:
                        answers.add_metric([name, category, step], getattr(counts, step))
        except RedisError:
            return
        yield from (age, waiting, answers)


class _Taxonomy(Collector):
    """Labels whose option is gone; nothing while Redis does not answer."""

    def __init__(self, store: Store, classifiers: Sequence[str]) -> None:
        self._redis, self._classifiers = store.redis, classifiers

    def collect(self) -> Iterator[Metric]:
        missing = CounterMetricFamily(
            "presort_option_missing",
            "Decisions that name a label whose option is gone; forgotten 40 days after the last",
            labels=["classifier", "label"],
        )
        try:
            for name in self._classifiers:
                for label, count in taxonomy.gone(self._redis, name).items():
                    missing.add_metric([name, label], count)
        except RedisError:
            return
        yield missing
