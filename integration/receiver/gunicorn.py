"""How gunicorn serves the receiver: ``gunicorn -c python:integration.receiver.gunicorn``."""

from __future__ import annotations

import os
import tempfile

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from integration import logs, settings

# Before anything imports prometheus_client: counters of several processes meet in files here.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="presort-metrics-"))

_settings = settings.load()
_receiver = _settings.receiver

wsgi_app = "integration.receiver.app:create_app()"
bind = f"{_receiver.host}:{_receiver.port}"
proc_name = "presort-receiver"
worker_class = "integration.serving.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
timeout = 30
graceful_timeout = 10
keepalive = 75
control_socket_disable = True  # nothing uses it, and the image's file system is read-only
accesslog = None  # the receiver's own line says more of a webhook
logconfig_dict = logs.document(_settings.log)


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """A dead process's gauges must not be summed any longer."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - only after PROMETHEUS_MULTIPROC_DIR is set

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
