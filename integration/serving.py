"""How gunicorn serves receiver and console alike: whoever is slow, or silent, holds up nobody else."""

from __future__ import annotations

import warnings
from typing import Any

import gevent
from gevent.monkey import MonkeyPatchWarning
from gunicorn.workers.ggevent import GeventWorker


class Worker(GeventWorker):
    """gunicorn's for gevent: a connection costs a little memory, and none of a few threads.

    gunicorn itself closes a connection whose head has not come within ``keepalive`` seconds.
    """

    def patch(self) -> None:
        """Make the standard library's blocking calls gevent's, in this process."""
        # gevent warns that ssl was imported before, which gunicorn always does. It matters to modules that take ssl's
        # classes by name; of those we use, urllib3, none is imported yet.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MonkeyPatchWarning)
            super().patch()

    def handle_request(self, *request: Any) -> Any:  # noqa: ANN401 - gunicorn's own
        """One request: its body in, the answer out, both within ``timeout`` seconds."""
        with gevent.Timeout(self.cfg.timeout, exception=False):
            return super().handle_request(*request)
        raise StopIteration  # so gunicorn closes the connection
