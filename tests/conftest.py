"""Real parts: a Redis server, settings as a user would write them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from demo.processes import redis_server
from integration import embedded_redis, inbox, messages, settings
from integration.messages import NewTicket
from integration.store import Store

FIXTURES = Path(__file__).with_name("fixtures")
SECRET = "test-signing-secret"


def need(reason: str) -> None:
    """A tool that is missing fails in CI and skips elsewhere, with how to get it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def awaited(store: Store, ticket_id: int, at: float, classifiers: Sequence[str] = ("category",)) -> None:
    """A ticket whose webhook came at a Unix time and has no outcome; its message was taken, or lost."""
    ticket = NewTicket(ticket_id=ticket_id, received_at=at)
    assert inbox.put(store.redis, messages.CLASSIFY, ticket, f"{ticket_id} {at}", classifiers)
    store.redis.lpop(messages.TICKETS_QUEUE)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real Redis server for the session."""
    try:
        embedded_redis.find_server()
    except embedded_redis.NoRedisError as error:
        need(str(error))
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def store(redis_url: str) -> Store:
    """The store on an empty Redis."""
    store = Store(redis_url)
    store.redis.flushall()
    return store


@pytest.fixture
def config(redis_url: str) -> settings.Settings:
    """Settings of an account that the simulator plays."""
    return settings.Settings(
        zendesk=settings.Zendesk(subdomain="acme", client_id="presort", url="http://127.0.0.1:9"),
        classifiers=(settings.Classifier(field_id=101, bundle="demo/bundle", mode="prefill"),),
        receiver=settings.Receiver(),
        worker=settings.Worker(),
        spikes=settings.Spikes(),
        zendesk_client_secret="client-secret",
        webhook_secrets=(SECRET,),
        redis_url=redis_url,
    )
