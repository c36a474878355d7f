"""``/healthz``: the process answers. ``/readyz``: what it depends on answers too."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Blueprint, Response, current_app, jsonify
from redis.exceptions import RedisError

from integration.controls import Controls
from integration.settings import Zendesk
from integration.store import Store

routes = Blueprint("health", __name__)


@routes.get("/healthz")
def healthz() -> Response:
    """Alive. Asks nothing else, so that an outage of Redis does not restart the receiver."""
    return jsonify(status="ok")


@routes.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Each dependency under ``ok`` or ``failing``; 503 when webhooks cannot be taken.

    Workers and models are listed but do not decide: webhooks are taken, and kept, while none runs.
    """
    receiver = current_app.extensions["presort"]
    store: Store = receiver.store
    checks: dict[str, Callable[[], str]] = {
        "redis": lambda: f"version {store.redis.info('server')['redis_version']}",
        "queue": lambda: ", ".join(f"{name} {depth}" for name, depth in store.depths().items()),
        "workers": lambda: _workers(store),
        "writes": lambda: _writes(store, receiver.config.zendesk),
        "models": lambda: _models(store, [one.name for one in receiver.config.classifiers]),
    }
    ok: dict[str, str] = {}
    failing: dict[str, str] = {}
    for name, check in checks.items():
        try:
            ok[name] = check()
        except RedisError as error:
            failing[name] = f"{type(error).__name__}: is Redis running at PRESORT_REDIS_URL?"
        except LookupError as error:
            failing[name] = str(error.args[0])
    return jsonify(ok=ok, failing=failing), 503 if {"redis", "queue"} & failing.keys() else 200


def _workers(store: Store) -> str:
    workers = store.workers()
    if not workers:
        raise LookupError("none was heard of in 30 s: tickets wait in the queue until one starts")
    return ", ".join(workers)


def _writes(store: Store, limits: Zendesk) -> str:
    refusal = Controls(store.redis).refusal(limits, time.time())
    if refusal is not None:
        raise LookupError(f"{refusal}; decisions are kept, and `presort status` says more")
    return "on"


def _models(store: Store, classifiers: list[str]) -> str:
    models = {name: store.model(name) for name in classifiers}
    if missing := [name for name, model in models.items() if model is None]:
        raise LookupError(f"no worker has loaded a model for {', '.join(missing)} yet")
    return ", ".join(f"{name}: {one.name}@{one.version} on {one.provider}" for name, one in models.items() if one)
