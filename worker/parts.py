"""What a worker process is made of, put together once."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from functools import cached_property

from celery import Celery

from integration.publisher import create_celery
from integration.records import Model
from integration.settings import Settings
from integration.store import Store
from integration.zendesk.client import Zendesk
from model_export.bundle.predictor import Predictor
from worker.models import Models


@dataclass
class Parts:
    """Settings, connections and models of one process; connections are made when first used."""

    config: Settings
    ask_again_at: float = 0.0  # time.monotonic(); see classifying._own_user_id

    @cached_property
    def store(self) -> Store:
        """Redis."""
        return Store(self.config.redis_url)

    @cached_property
    def zendesk(self) -> Zendesk:
        """The account."""
        return Zendesk(self.config.zendesk, self.config.zendesk_client_secret, self.store)

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

    def publish_models(self) -> None:
        """Tell the integration side what is served."""
        for name, predictor in self.predictors.items():
            manifest = predictor.manifest
            model = Model(
                name=manifest.name,
                version=manifest.version,
                graph=predictor.graph,
                provider=predictor.provider,
                labels={label.value: label.name for label in manifest.labels},
                loaded_at=time.time(),
            )
            self.store.publish_model(name, model)

    def heartbeat(self) -> None:
        """Say that this process is alive."""
        self.store.beat(f"{socket.gethostname()}:{os.getpid()}")
