"""Serves the simulator with gunicorn: one worker, because its memory is the account, and many threads."""

from __future__ import annotations

from flask import Flask
from gunicorn.app.base import BaseApplication

from integration.simulator.app import create_app
from integration.simulator.config import SimulatorConfig

THREADS = 32


class _Server(BaseApplication):
    def __init__(self, config: SimulatorConfig, bind: str) -> None:
        self._config = config
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": self._bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 75,  # longer than clients keep idle connections, so that none meets a closed one
            "timeout": 0,  # a worker that was killed and started anew would have forgotten the account
            "graceful_timeout": 2,
            "proc_name": "presort-simulator",
            "loglevel": "warning",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:  # type: ignore[override]  # gunicorn's stubs ask for any mapping, Flask takes a dict
        # Called in the worker, after the fork: threads started earlier would not be there.
        return create_app(self._config)


def serve(config: SimulatorConfig, host: str = "127.0.0.1", port: int = 8090) -> None:
    """Serve until SIGTERM or SIGINT; ends the process, as gunicorn does.

    Args:
        config: the account.
        host: address to listen on; the simulator trusts everyone who reaches it.
        port: TCP port.
    """
    _Server(config, f"{host}:{port}").run()
