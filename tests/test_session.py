"""The session that carries our token to Zendesk, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from integration.settings import Zendesk
from integration.store import Store
from integration.zendesk.errors import RateLimited
from integration.zendesk.session import AuthorizedSession


@contextmanager
def answering(response: Response) -> Iterator[tuple[int, list[str | None]]]:
    """A server that gives one answer: its port, and the tokens it was sent."""
    seen: list[str | None] = []

    @Request.application
    def app(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return response

    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.port, seen
    finally:
        server.shutdown()
        server.server_close()


def test_a_redirect_to_another_host_gets_no_token_even_if_it_asks(store: Store) -> None:
    with (
        answering(Response(status=401)) as (foreign, seen),
        answering(Response(status=302, headers={"Location": f"http://localhost:{foreign}/"})) as (own, ours),
    ):
        config = Zendesk(subdomain="acme", client_id="presort", url=f"http://127.0.0.1:{own}")
        store.save_token("presort", "t0ken", 60)
        assert AuthorizedSession(config, "secret", store).get(f"http://127.0.0.1:{own}/").status_code == 401
    assert (ours, seen) == (["Bearer t0ken"], [None])
    assert store.token("presort") == "t0ken"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2.5", 2.5),
        ("-3", 0.0),
        ("1e9", 3600.0),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2026", None),
        (None, None),
    ],
)
def test_a_429_says_how_long_to_wait_within_reason(store: Store, said: str | None, seconds: float | None) -> None:
    headers = {} if said is None else {"Retry-After": said}
    with answering(Response(status=429, headers=headers)) as (port, _):
        config = Zendesk(subdomain="acme", client_id="presort", url=f"http://127.0.0.1:{port}")
        store.save_token("presort", "t0ken", 60)
        with pytest.raises(RateLimited) as limited:
            AuthorizedSession(config, "secret", store).get(f"http://127.0.0.1:{port}/")
    assert limited.value.retry_after == seconds
