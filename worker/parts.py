"""What a worker process is made of, put together once."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import msgspec
from celery import Celery

from integration.controls import Controls
from integration.measures import Tally
from integration.publisher import create_celery
from integration.records import Model
from integration.settings import Classifier, Settings
from integration.store import Store
from integration.zendesk.alert_tickets import AlertTickets
from integration.zendesk.client import Zendesk
from model_export.bundle.manifest import Manifest
from model_export.bundle.predictor import Predictor
from worker.models import Models


@dataclass
class Parts:
    """Settings, connections and models of one process; connections are made when first used."""

    config: Settings
    ask_again_at: float = 0.0  # time.monotonic(); see classifying._own_user_id
    ticket_s: float = 0.0  # seconds a ticket of the last batch took; see taking.take
    tally: Tally = field(default_factory=Tally)  # what this process measures

    @cached_property
    def store(self) -> Store:
        """Redis."""
        return Store(self.config.redis_url)

    @cached_property
    def clock(self) -> Callable[[], float]:
        """The present, Unix seconds, by Redis's clock: the same for all workers, whose own may be minutes wrong.

        A look at the counts by a clock that is ahead would find the last minutes empty. Tests let days pass.
        """
        return self.store.now

    @cached_property
    def controls(self) -> Controls:
        """What people hold Presort back with."""
        return Controls(self.store.redis)

    @cached_property
    def zendesk(self) -> Zendesk:
        """The account."""
        return Zendesk(self.config.zendesk, self.config.zendesk_client_secret, self.store)

    @cached_property
    def exporting(self) -> Zendesk:
        """The account, with more patience: a page of the export takes Zendesk longer than anything else."""
        patient = msgspec.structs.replace(self.config.zendesk, timeout_s=max(60.0, self.config.zendesk.timeout_s))
        return Zendesk(patient, self.config.zendesk_client_secret, self.store)

    @cached_property
    def alert_tickets(self) -> AlertTickets:
        """The account, as a channel for alerts."""
        return AlertTickets(self.config.zendesk, self.config.zendesk_client_secret, self.store)

    @cached_property
    def celery(self) -> Celery:
        """The queue's client and, with tasks registered, the worker."""
        return create_celery("presort.worker", self.config.redis_url)

    @cached_property
    def own_user_id(self) -> int:
        """The Zendesk user Presort acts as."""
        return self.zendesk.me()

    @cached_property
    def models(self) -> Models:
        """Every classifier's model, loaded and self-tested; raises what ``Models`` raises."""
        return Models(self.config, self.store)

    @cached_property
    def predictors(self) -> dict[str, Predictor]:
        """The model that serves, by classifier name; an entry may be another one at the next look."""
        return self.models.serving

    def target(self, classifier: Classifier) -> float | None:
        """The precision that its filled categories must keep: as set, else what the model's thresholds promise."""
        if classifier.target_precision is not None:
            return classifier.target_precision
        return self.predictors[classifier.name].manifest.metrics.get("target_precision")

    def demoted(self, classifier: Classifier) -> set[str]:
        """Its categories that are suggested at most, until a person restores them."""
        return {category for name, category in self.controls.demotions() if name == classifier.name}

    def publish_models(self) -> None:
        """Tell the integration side what is served."""
        for classifier in self.config.classifiers:
            predictor = self.predictors[classifier.name]
            manifest = predictor.manifest
            model = Model(
                name=manifest.name,
                version=manifest.version,
                graph=predictor.graph,
                provider=predictor.provider,
                labels={label.value: label.name for label in manifest.labels},
                loaded_at=time.time(),
                thresholds={label.value: label.threshold for label in manifest.labels},
                precision=_precision(manifest),
                target=self.target(classifier),
                several=manifest.task == "multi",
            )
            self.store.publish_model(classifier.name, model)

    def heartbeat(self) -> None:
        """Say that this process is alive, and what it has measured since."""
        self.store.beat(f"{socket.gethostname()}:{os.getpid()}")
        self.tally.tell(self.store.redis)


def _precision(manifest: Manifest) -> dict[str, float]:
    """Of each label's answers on the model's own test rows, the share that was right; none for a multi-label model."""
    answers = zip(manifest.labels, zip(*(manifest.confusion or ()), strict=True), strict=False)  # a column an answer
    return {label.value: column[row] / sum(column) for row, (label, column) in enumerate(answers) if sum(column)}
