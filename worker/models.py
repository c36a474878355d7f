"""The models of one worker process, and the one place that replaces them while tickets are sorted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from integration.settings import Settings
from integration.store import Store
from model_export.bundle.channels import Channels, RegistryError, read_channels
from model_export.bundle.fetch import Fetched, fetch, in_force
from model_export.bundle.manifest import BundleError
from model_export.bundle.predictor import Predictor

log = logging.getLogger("presort.model")


class _Loaded(NamedTuple):
    predictor: Predictor
    copy: Fetched


class _Followed:
    """A classifier whose model comes from a registry.

    Attributes:
        channels: those that were last acted on; None to act on the next ones whatever they are.
        loaded: by version; more than one while a staged model is asked too.
        refused: versions whose refusal was logged.
    """

    def __init__(self, classifier: str, bundle: str) -> None:
        self.classifier = classifier
        self.url, _, self.name = bundle.rpartition("#")
        self.channels: Channels | None = None
        self.loaded: dict[str, _Loaded] = {}
        self.refused: set[str] = set()


class Models:
    """Loads each classifier's model, and follows those that come from a registry.

    ``serving`` is read by the thread that sorts tickets and changed by the one that follows, an entry in one
    assignment: a batch keeps the model it began with, and the next one asks the new.

    Attributes:
        serving: by classifier name.
        shadowing: staged models that are asked too but never decide, by classifier name; see ``worker.shadow``.
    """

    def __init__(self, config: Settings, store: Store) -> None:
        """Load every model, with its self-test.

        When the active version of a registry's model must not serve, the previous one does: a worker that starts
        anew is no worse off than one that kept its good model.

        Raises:
            BundleError: a bundle is broken or answers wrongly on this machine.
            RegistryError: a registry has no such model or nothing of it is active, or it cannot be reached and
                nothing of it is cached.
        """
        self.serving: dict[str, Predictor] = {}
        self.shadowing: dict[str, Predictor] = {}
        self._worker, self._store = config.worker, store
        self._cache = Path(config.worker.cache)
        self._followed = [_Followed(one.name, one.bundle) for one in config.classifiers if "#" in one.bundle]
        for classifier in config.classifiers:
            if "#" not in classifier.bundle:
                self.serving[classifier.name] = Predictor(Path(classifier.bundle), self._worker.provider)
        for one in self._followed:
            self._start(one)

    def follow(self, every_s: float, published: Callable[[], None]) -> None:
        """Look again and again, for as long as the process lives.

        In a thread of its own: Celery's timers run between the tickets, and those must not wait for a download.

        Args:
            every_s: seconds between two looks.
            published: called after a change, to tell others what is served.
        """

        def forever() -> None:
            while True:
                time.sleep(every_s)
                try:
                    self.look(published)
                except Exception:  # whatever it was, the next look may go well, and the old models serve
                    log.exception("looking for new models failed")

        if self._followed:
            threading.Thread(target=forever, name="presort-models", daemon=True).start()

    def look(self, published: Callable[[], None]) -> None:
        """Serve what the registries have in force now; one thread at a time.

        What cannot be reached is tried at the next look; a bundle that must not serve not before its channels change.
        """
        for one in self._followed:
            try:
                channels = read_channels(one.url, one.name)
                if channels == one.channels:
                    continue
                self._adopt(one, channels)
            except RegistryError as error:
                log.warning("%s: %s", one.classifier, error)
                continue
            except Exception:  # whatever it was, the other classifiers are looked after, and the old model serves
                log.exception("%s: looking for a new model failed", one.classifier)
                continue
            published()
            one.channels = channels

    def _start(self, one: _Followed) -> None:
        channels = in_force(one.url, one.name, self._cache)
        if channels.active is None:
            raise RegistryError(f"no version of {one.name} in {one.url} is active: promote one", permanent=True)
        try:
            self.serving[one.classifier] = self._load(one, channels.active).predictor
        except BundleError as error:
            before = self._load_if_good(one, channels.previous)
            if before is None:
                raise
            self._refuse(one, channels.active, error)
            self.serving[one.classifier] = before.predictor

    def _adopt(self, one: _Followed, channels: Channels) -> None:
        active = self._load_if_good(one, channels.active)
        if active is not None and active.predictor is not self.serving[one.classifier]:
            self.serving[one.classifier] = active.predictor
            log.info("%s: now serving %s@%s", one.classifier, one.name, active.copy.version)
        staged = self._load_if_good(one, channels.staged) if self._worker.shadow_staged else None
        if staged is not None:
            self.shadowing[one.classifier] = staged.predictor
        else:
            self.shadowing.pop(one.classifier, None)
        self._release(one)

    def _load_if_good(self, one: _Followed, version: str | None) -> _Loaded | None:
        if version is None:
            return None
        try:
            return self._load(one, version)
        except BundleError as error:
            self._refuse(one, version, error)
        except RegistryError as error:
            if not error.permanent:
                raise
            self._refuse(one, version, error)
        return None

    def _load(self, one: _Followed, version: str) -> _Loaded:
        if version not in one.loaded:
            copy = fetch(one.url, one.name, version, self._cache)
            try:
                one.loaded[version] = _Loaded(Predictor(copy.folder, self._worker.provider), copy)
            except BaseException:
                copy.lease.close()
                raise
        return one.loaded[version]

    def _refuse(self, one: _Followed, version: str, error: Exception) -> None:
        """Count every refusal, log each version's once."""
        self._store.count_refusal(one.classifier, version)
        if version not in one.refused:
            one.refused.add(version)
            log.error("%s: %s@%s must not serve, another goes on: %s", one.classifier, one.name, version, error)

    def _release(self, one: _Followed) -> None:
        """Let go of what is neither served nor asked any more; the cache may drop it now."""
        used = (self.serving.get(one.classifier), self.shadowing.get(one.classifier))
        for version, loaded in list(one.loaded.items()):
            if loaded.predictor not in used:
                loaded.copy.lease.close()
                del one.loaded[version]
