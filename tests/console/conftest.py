"""The console over HTTP, as ``presort console`` serves it, on a real Redis."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from integration import alerting, counting, usual
from integration.records import Alert, Model, Sample
from integration.settings import Settings, Zendesk
from integration.store import Store
from integration.usual import Baseline, Row
from integration.web.app import create_app

PASSWORD = "correct horse battery staple"
LABELS = {"refund": "Orders::Refund", "delay": "Orders::Delivery", "login": "Login"}
EVIL = "<script>document.title='owned'</script>"


class Visitor:
    """A browser's cookies, forms with their hidden token, and the text of what comes back."""

    def __init__(self, url: str) -> None:
        self.url, self.http = url, requests.Session()

    def get(self, path: str, **more: object) -> requests.Response:
        """Open an address."""
        return self.http.get(self.url + path, timeout=10, **more)  # type: ignore[arg-type]  # requests' own options

    def post(self, path: str, *, page: str = "/", **fields: str) -> requests.Response:
        """Send a form of ``page``."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        token = {"csrf_token": found[1]} if found else {}
        return self.http.post(self.url + path, data=token | fields, timeout=10)

    def sign_in(self, password: str = PASSWORD, name: str = "Anna", to: str = "") -> requests.Response:
        """Fill in the door's form; ``to`` is where the person wanted to go."""
        return self.post("/sign-in", page="/sign-in", name=name, password=password, next=to)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """No line for each request."""


Serve = Callable[[Settings | Flask], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a console of these settings, or another application; its address."""
    servers = []

    def start(what: Settings | Flask) -> str:
        app = what if isinstance(what, Flask) else create_app(what)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def console_config(config: Settings, store: Store) -> Settings:
    """With a password, and an empty Redis."""
    assert store.redis.ping()
    zendesk = Zendesk(subdomain="acme", client_id="presort", time_zone="Europe/Berlin")
    return msgspec.structs.replace(config, zendesk=zendesk, console_password=PASSWORD)


@pytest.fixture
def console(serve: Serve, console_config: Settings) -> str:
    return serve(console_config)


@pytest.fixture
def anna(console: str) -> Visitor:
    """An admin who has signed in."""
    visitor = Visitor(console)
    assert visitor.sign_in().ok
    return visitor


@pytest.fixture
def busy(store: Store) -> Alert:
    """A worker and its model, what is usual, counts of the last hours, and an alert that fires."""
    now, redis = time.time(), store.redis
    model = Model(name="support", version="7", graph="int8", provider="CPU", labels=LABELS, loaded_at=now - 60)
    store.publish_model("category", model)
    store.beat("box:1")
    rates = {"refund": 60.0, "delay": 6.0, "login": 12.0, "Orders::*": 66.0, "*": 78.0}
    names = LABELS | {"Orders::*": "Orders (all)", "*": "All tickets"}
    rows = [
        Row(row=row, name=names[row], rate=(rate,) * 168, error=(0.01,) * 168, dispersion=(0.0, 0.0), weeks=8)
        for row, rate in rates.items()
    ]
    rows[2] = msgspec.structs.replace(rows[2], held="learning")
    usual.publish(redis, "category", Baseline(until=0, changed_at=0, rows=rows))
    tick = int(now // 60)
    counts = {(tick - back, "refund"): 1 for back in range(-9, 200)}  # so that a minute may end meanwhile
    counts |= {(tick - back, "delay"): 2 for back in range(3, 33)}
    counting.add(redis, "ticks", "category", counts)
    alert = Alert(
        id="5d2f9c1e07ab",
        classifier="category",
        category="delay",
        name=LABELS["delay"],
        opened_at=now - 1500,
        started_at=now - 1800,
        observed=60,
        expected=3.0,
        window_s=1800,
        ratio_low=15.0,
        ratio_high=26.0,
        once_in_weeks=300,
        share=0.66,
        samples=(Sample(ticket_id=3311, url="https://acme.zendesk.com/agent/tickets/3311", subject=EVIL),),
    )
    assert alerting.save(redis, alert, over=0)
    return alert
