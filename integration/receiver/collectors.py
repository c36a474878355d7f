"""What Redis knows, as metrics: read anew at every scrape."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from integration import alerting, measures, notices, outcomes, recounts, taxonomy
from integration.controls import Controls
from integration.measures import OVER, SUM, Measure
from integration.records import Severity
from integration.settings import Classifier, Settings, Zendesk
from integration.store import Store


class FromRedis(Collector):
    """All of them, or ``presort_redis_up 0`` alone while Redis does not answer."""

    def __init__(self, store: Store, config: Settings) -> None:
        self._store, self._config = store, config

    def collect(self) -> Iterator[Metric]:
        """What there is now."""
        now, redis = time.time(), self._store.redis
        names = [one.name for one in self._config.classifiers]
        up = GaugeMetricFamily("presort_redis_up", "1 when Redis answers")
        try:
            found = [
                *_waiting(self._store, now),
                *_writes(self._store, self._config.zendesk, now),
                *_models(self._store, self._config.classifiers),
                *_alerts(redis, now),
                *_past(redis, now),
                *_hindsight(redis, names, now),
                *_measured(redis),
            ]
        except RedisError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from chain([up], found)


def _waiting(store: Store, now: float) -> Iterator[Metric]:
    depth = GaugeMetricFamily("presort_messages", "Messages waiting, by place", labels=["place"])
    for place, count in store.depths().items():
        depth.add_metric([place], count)
    oldest = store.unanswered(now, 1)
    age = max(0.0, now - oldest[0][2]) if oldest else 0.0
    yield depth
    yield GaugeMetricFamily(
        "presort_oldest_ticket_seconds", "For how long the oldest ticket without an outcome has waited, 0 for none", age
    )
    yield GaugeMetricFamily("presort_workers", "Workers heard of in the last 30 s", len(store.workers()))
    funnel = CounterMetricFamily("presort_funnel_today", "Tickets by step since midnight UTC", labels=["step"])
    for step, count in store.funnel().items():
        funnel.add_metric([step], count)
    yield funnel


def _writes(store: Store, limits: Zendesk, now: float) -> Iterator[Metric]:
    controls, per_minute = Controls(store.redis), limits.updates_per_minute * limits.share
    paused = controls.paused(limits) is not None
    yield GaugeMetricFamily("presort_writes_paused", "1 while a person or presort.toml pauses all writes", paused)
    slots = store.free_updates(per_minute)
    yield GaugeMetricFamily("presort_update_slots", "Ticket updates that may go at once; below 1 they wait", slots)
    yield GaugeMetricFamily("presort_updates_per_minute", "Ticket updates a minute that Presort may use", per_minute)
    held = store.updates_held()
    yield GaugeMetricFamily("presort_updates_held_seconds", "For how long Zendesk still asks all updates to wait", held)
    if limits.writes_per_day is not None:
        written = controls.written_on(now)
        yield GaugeMetricFamily("presort_tickets_written_today", "Tickets under the day's cap (UTC), if any", written)
        yield GaugeMetricFamily("presort_writes_per_day", "The day's cap, if any", limits.writes_per_day)


def _models(store: Store, classifiers: tuple[Classifier, ...]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "presort_model_info",
        "1 for the model that serves",
        labels=["classifier", "name", "version", "graph", "provider"],
    )
    missing = CounterMetricFamily(
        "presort_option_missing",
        "Decisions that name a label whose option is gone; forgotten 40 days after the last",
        labels=["classifier", "label"],
    )
    for one in classifiers:
        if (model := store.model(one.name)) is not None:
            info.add_metric([one.name, model.name, model.version, model.graph, model.provider], 1)
        for label, count in taxonomy.gone(store.redis, one.name).items():
            missing.add_metric([one.name, label], count)
    yield from (info, missing)


def _alerts(redis: Redis, now: float) -> Iterator[Metric]:
    firing = Counter(one.severity for one in alerting.active(redis) if one.state == "firing")
    alerts = GaugeMetricFamily("presort_alerts", "Spike alerts firing, by severity", labels=["severity"])
    severity: Severity
    for severity in get_args(Severity):
        alerts.add_metric([severity], firing[severity])
    failing = GaugeMetricFamily(
        "presort_channel_failing_seconds", "For how long an alert channel has taken nothing", labels=["channel"]
    )
    for name, trouble in notices.troubles(redis).items():
        failing.add_metric([name], max(0.0, now - trouble.since))
    yield from (alerts, failing)


def _past(redis: Redis, now: float) -> Iterator[Metric]:
    read = GaugeMetricFamily("presort_past_hours_ratio", "How much of the past hours was read, while they are")
    if (run := recounts.current(redis)) is not None:
        read.add_metric([], run.share(now))
    yield read


def _hindsight(redis: Redis, classifiers: list[str], now: float) -> Iterator[Metric]:
    age = GaugeMetricFamily("presort_export_age_seconds", "Since Zendesk's export was read to its end")
    if (read_at := outcomes.caught_up_at(redis)) is not None:
        age.add_metric([], now - read_at)
    yield age
    waiting = outcomes.unjudged(redis)
    yield GaugeMetricFamily("presort_unjudged_tickets", "Solved tickets that wait for a look back", waiting)
    answers = GaugeMetricFamily(
        "presort_answers_this_month",
        "Answers about solved tickets filed this month (UTC), by what became of them",
        labels=["classifier", "category", "step"],
    )
    for name in classifiers:
        for category, counts in outcomes.totals(redis, name, outcomes.month_of(now)).items():
            for step in outcomes.STEPS:
                answers.add_metric([name, category, step], getattr(counts, step))
    yield answers


def _measured(redis: Redis) -> Iterator[Metric]:
    found = measures.read(redis)
    for measure in measures.MEASURES:
        yield _family(measure, found[measure.name])


def _family(measure: Measure, found: dict[tuple[str, ...], dict[str, float]]) -> Metric:
    if not measure.bounds:
        counter = CounterMetricFamily(measure.name, measure.help, labels=measure.labels)
        for labels, values in found.items():
            counter.add_metric(labels, values[""])
        return counter
    histogram = HistogramMetricFamily(measure.name, measure.help, labels=measure.labels)
    bounds = [*map(str, measure.bounds), OVER]
    for labels, values in found.items():
        counts = accumulate(values.get(bound, 0.0) for bound in bounds)
        histogram.add_metric(labels, list(zip(bounds, counts, strict=True)), sum_value=values[SUM])
    return histogram
