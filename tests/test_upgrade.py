"""What the previous release wrote is read by this one, and what a newer one might write is read or refused by name.

``fixtures/previous_release.json`` has a document of each kind as it was written then. When a release is made, it is
written anew; until then a failing test here means that a rolling deployment would break.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import integration
from integration import alerting, controls, messages, stream
from integration.messages import Job, NewTicket, Writes
from integration.parking import message_of
from integration.records import Record
from integration.store import Store
from model_export.bundle.fetch import fetch
from model_export.bundle.manifest import PROTOCOL, OtherReleaseError
from model_export.registry import publish
from tests.conftest import FIXTURES
from tests.model_export.test_registry import bundle

WRITTEN: dict[str, dict[str, Any]] = json.loads((FIXTURES / "previous_release.json").read_bytes())["documents"]
KINDS = pytest.mark.parametrize("name", WRITTEN)

PARTS = {"messages.Message", "records.Sample", "usual.Row", "registries.Published"}
"""Stand in others."""
NOT_KEPT = {"records.Shadow", "outcomes.Judgement", "inbox.Envelope"}
"""Are made of counters, or become some; or are Celery's own."""


def kind(name: str) -> type[msgspec.Struct]:
    module, _, struct = name.rpartition(".")
    found: type[msgspec.Struct] = getattr(importlib.import_module(f"integration.{module}"), struct)
    return found


def holds(new: Any, old: Any) -> bool:
    """Whether all of an old document stands in a new one, which may have more."""
    if isinstance(old, dict):
        return all(name in new and holds(new[name], value) for name, value in old.items())
    if isinstance(old, list):
        return len(new) == len(old) and all(map(holds, new, old))
    return bool(new == old)


def test_there_is_a_document_of_every_kind() -> None:
    """Whoever adds a kind to what travels or is kept writes down how it looks."""
    found = set()
    for module in pkgutil.iter_modules(integration.__path__):
        if module.ispkg or module.name == "settings":
            continue
        names = vars(importlib.import_module(f"integration.{module.name}"))
        found |= {
            f"{module.name}.{name}"
            for name, one in names.items()
            if isinstance(one, type)
            and issubclass(one, msgspec.Struct)
            and one.__module__ == f"integration.{module.name}"
        }
    assert found - PARTS - NOT_KEPT == set(WRITTEN)


@KINDS
def test_the_previous_releases_documents_mean_the_same(name: str) -> None:
    """Each field is read and written back as it was; only new ones, with their defaults, come beside it."""
    read = msgspec.json.decode(msgspec.json.encode(WRITTEN[name]), type=kind(name))
    assert holds(msgspec.json.decode(msgspec.json.encode(read)), WRITTEN[name])


@KINDS
def test_a_field_of_a_newer_release_is_passed_over(name: str) -> None:
    newer = WRITTEN[name] | {"of_a_newer_release": {"any": ["thing"]}}
    assert msgspec.convert(newer, kind(name)) == msgspec.convert(WRITTEN[name], kind(name))


@KINDS
def test_what_has_a_default_may_be_missing(name: str) -> None:
    """As in a document from before the field was there."""
    required = {field.encode_name for field in msgspec.structs.fields(kind(name)) if field.required}
    older = {key: value for key, value in WRITTEN[name].items() if key in required}
    assert isinstance(msgspec.convert(older, kind(name)), kind(name))


def test_the_store_reads_what_the_previous_release_left_in_redis(store: Store) -> None:
    """By the keys of then, so that a key's new name shows too."""
    redis, record = store.redis, json.dumps(WRITTEN["records.Record"])
    deferred = json.dumps(WRITTEN["records.Deferred"])
    redis.set("presort:ticket:4711:category", record)
    redis.xadd("presort:decisions", {"record": record})
    redis.zadd("presort:later:presort.write", {deferred: 1764000000})
    redis.zadd("presort:unanswered", {"4712:category": 1764000000})
    redis.hset("presort:parked", "3f1c9a04b7de", json.dumps(WRITTEN["records.Parked"]))
    redis.set("presort:model:category", json.dumps(WRITTEN["records.Model"]))
    redis.hset("presort:alerts_active", "category/refund_request", json.dumps(WRITTEN["records.Alert"]))
    redis.set("presort:switch", json.dumps(WRITTEN["controls.Switch"]))
    redis.hset("presort:demoted", "category/refund_request", json.dumps(WRITTEN["controls.Demotion"]))
    assert store.ticket(4711, "category") == msgspec.convert(WRITTEN["records.Record"], Record)
    assert [one.record.decision.ticket_id for one in stream.read(redis, 0)] == [4711]
    assert store.due(messages.WRITE, 9) == [(deferred, WRITTEN["records.Deferred"]["payload"])]
    assert store.unanswered(1764000001, 9) == [(4712, "category", 1764000000)]
    assert [message_of(one) for one in store.parked()] == [WRITTEN["records.Parked"]["payload"]]
    assert store.model("category") is not None
    assert [one.id for one in alerting.active(redis)] == ["a1"]
    held = controls.Controls(redis)
    switch = held.switch()
    assert switch is not None
    assert switch.paused
    assert set(held.demotions()) == {("category", "refund_request")}


@pytest.mark.parametrize(
    ("message", "payload", "cause"),
    [
        (NewTicket, {"ticket": 4711, "received_at": 1764000000}, "missing required field `ticket_id`"),
        (
            NewTicket,
            WRITTEN["messages.NewTicket"] | {"subject": {"text": "Zanzibar"}},
            r"got `object` - at `\$.subject`",
        ),
        (Writes, {"decisions": "elsewhere"}, "Expected `array`"),
        (Job, WRITTEN["messages.Job"] | {"id": 5}, r"got `int` - at `\$.id`"),
    ],
)
def test_a_message_that_cannot_be_read_is_refused_by_name(
    message: type[messages.Message], payload: dict[str, Any], cause: str
) -> None:
    with pytest.raises(
        msgspec.ValidationError, match=rf"no {message.__name__} that .*{cause}.*presort parked retry"
    ) as told:
        message.from_json(payload)
    assert "Zanzibar" not in str(told.value)


def test_what_was_put_aside_in_another_form_is_parked_and_the_others_come(store: Store) -> None:
    store.redis.zadd("presort:later:presort.write", {'{"document": {}}': 1764000000})
    store.defer(messages.WRITE, [WRITTEN["messages.Writes"]], delay_s=-1, reason="update budget")
    assert [payload for _, payload in store.due(messages.WRITE, 9)] == [WRITTEN["messages.Writes"]]
    (row,) = store.parked()
    assert "put aside in a form that this release cannot read" in row.reason
    assert store.waiting(messages.WRITE) == 1


def test_workers_of_two_releases_may_share_a_cache_of_bundles(tmp_path: Path) -> None:
    """The older one refuses the newer one's bundle by name, and leaves it where it is."""
    url = str(tmp_path / "registry")
    publish(url, bundle(tmp_path, "1"))
    cached = fetch(url, "demo", "1", tmp_path / "cache").folder
    manifest = json.loads((cached / "manifest.json").read_bytes())
    (cached / "manifest.json").write_text(json.dumps(manifest | {"protocol": PROTOCOL + 1}))
    before = sorted(cached.rglob("*"))
    with pytest.raises(OtherReleaseError, match=rf"has protocol {PROTOCOL + 1}, .*run the release that wrote it"):
        fetch(url, "demo", "1", tmp_path / "cache")
    assert sorted(cached.rglob("*")) == before
