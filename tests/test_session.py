"""The session that carries our token to Zendesk, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from requests.exceptions import InvalidSchema
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from integration.settings import Zendesk
from integration.store import Store
from integration.zendesk.client import Zendesk as Client
from integration.zendesk.errors import NoAccess, RateLimited, UnreadableError
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


ME = "https://acme.zendesk.com/api/v2/users/me.json"


def local(port: int) -> Zendesk:
    """The account, played by whoever listens there."""
    return Zendesk(subdomain="acme", client_id="presort", url=f"http://127.0.0.1:{port}")


def test_a_redirect_to_another_host_is_not_followed(store: Store) -> None:
    store.save_token("presort", "t0ken", 60)
    with answering(Response()) as (foreign, seen):
        leading = Response(status=302, headers={"Location": f"http://127.0.0.1:{foreign}/"})
        with answering(leading) as (own, ours), pytest.raises(InvalidSchema):
            AuthorizedSession(local(own), "secret", store).get(ME)
    assert (ours, seen) == (["Bearer t0ken"], [])


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{port}/api/v2/tickets.json",
        "http://acme.zendesk.com/api/v2/users/me.json",
        "https://acme.zendesk.com.evil.example/",
        "https://acme.zendesk.com@127.0.0.1:{port}/",
        "https://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
def test_a_link_to_anywhere_else_is_not_followed(store: Store, link: str) -> None:
    store.save_token("presort", "t0ken", 60)
    with answering(Response()) as (foreign, seen):
        with pytest.raises(InvalidSchema):
            AuthorizedSession(local(foreign), "secret", store).get(link.format(port=foreign))
        assert seen == []


def test_a_next_page_elsewhere_is_an_answer_that_cannot_be_read(store: Store) -> None:
    store.save_token("presort", "t0ken", 60)
    with answering(Response()) as (foreign, seen):
        page = {"comments": [{"id": 1, "author_id": 5}], "next_page": f"http://127.0.0.1:{foreign}/2", "count": 200}
        with answering(Response(json.dumps(page), content_type="application/json")) as (own, ours):
            client = Client(local(own), "secret", store)
            with pytest.raises(UnreadableError, match="leads to another host, where our credentials do not go"):
                client.messages(1, 5)
    assert (ours, seen) == (["Bearer t0ken"], [])


def test_the_clients_secret_follows_no_redirect(store: Store) -> None:
    """A 307 repeats the body, secret and all, wherever it leads."""
    with answering(Response(status=200)) as (foreign, seen):
        leading = Response(status=307, headers={"Location": f"http://127.0.0.1:{foreign}/"})
        with answering(leading) as (own, _), pytest.raises(NoAccess, match="HTTP 307"):
            AuthorizedSession(local(own), "secret", store).get(ME)
    assert seen == []


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
        store.save_token("presort", "t0ken", 60)
        with pytest.raises(RateLimited) as limited:
            AuthorizedSession(local(port), "secret", store).get(ME)
    assert limited.value.retry_after == seconds
