"""A worker that follows a registry: another model while tickets come in, and a good one whatever is promoted."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from integration import messages
from integration.messages import NewTicket
from integration.settings import Settings, load
from integration.store import Store
from model_export import registry
from model_export.bundle.channels import RegistryError
from model_export.bundle.manifest import BundleError, describe_files, read_manifest, write_manifest
from tests.worker.conftest import BUNDLE, SURE, Desk
from worker.models import Models
from worker.parts import Parts
from worker.shadow import table


def bundle(folder: Path, version: str, *, swapped: bool = False, broken: bool = False) -> Path:
    """The demo's model under another version.

    Args:
        folder: where to make it.
        version: the new one.
        swapped: it calls refunds deliveries and the other way round.
        broken: its files are whole, but it does not answer as its golden sequences say it should.
    """
    made = folder / version
    shutil.copytree(BUNDLE, made)
    manifest = read_manifest(BUNDLE)
    if broken:
        golden = dict(np.load(made / "golden.npz"))
        np.savez_compressed(made / "golden.npz", **golden | {"logits": np.roll(golden["logits"], 1, axis=1)})
    labels = list(manifest.labels)
    if swapped:
        one, other = (next(i for i, label in enumerate(labels) if label.value == value) for value in SWAPPED)
        labels[one], labels[other] = labels[other], labels[one]
    new = msgspec.structs.replace(manifest, version=version, labels=tuple(labels), files=describe_files(made))
    write_manifest(made, new)
    return made


SWAPPED = (SURE[2], "delivery_delay")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A registry with version 1 active."""
    url = str(tmp_path / "registry")
    registry.publish(url, bundle(tmp_path, "1"))
    registry.promote(url, "demo")
    return url


@pytest.fixture
def following(desk: Desk, url: str, tmp_path: Path) -> Desk:
    """A worker whose model comes from the registry."""
    config = desk.parts.config
    (classifier,) = config.classifiers
    followed = msgspec.structs.replace(
        config,
        classifiers=(msgspec.structs.replace(classifier, bundle=f"{url}#demo"),),
        worker=msgspec.structs.replace(config.worker, cache=str(tmp_path / "cache"), shadow_staged=True),
    )
    return Desk(Parts(followed), desk.zendesk)


def look(desk: Desk) -> None:
    """What the thread does every 30 s."""
    desk.parts.models.look(desk.parts.publish_models)


def serving(desk: Desk) -> str:
    return desk.parts.predictors["category"].manifest.version


@pytest.mark.parametrize("place", ["s3://bucket/models#demo", "models#demo"])
def test_a_registry_is_named_by_its_url_or_beside_the_settings(tmp_path: Path, place: str) -> None:
    toml = f'[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "{place}"\n'
    (tmp_path / "presort.toml").write_text(toml, encoding="utf-8")
    secrets = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", "PRESORT_WEBHOOK_SECRETS": "w"}
    loaded = load(tmp_path / "presort.toml", secrets)
    assert loaded.classifiers[0].bundle == (place if "://" in place else str(tmp_path / place))
    assert loaded.worker.cache == str(tmp_path / "var" / "bundles")


def test_a_promoted_version_serves_at_the_next_look_and_is_published(following: Desk, url: str, tmp_path: Path) -> None:
    assert serving(following) == "1"
    registry.publish(url, bundle(tmp_path, "2"))
    look(following)
    assert serving(following) == "1"
    registry.promote(url, "demo", force=True)
    look(following)
    assert serving(following) == "2"
    published = following.parts.store.model("category")
    assert published is not None
    assert published.version == "2"


def test_no_ticket_is_lost_while_models_are_swapped(following: Desk, url: str, tmp_path: Path) -> None:
    """Tickets are sorted all the time; promotions and a rollback happen beside them."""
    first = following.file()
    following.classify(first)
    ended = threading.Event()

    def operate() -> None:
        for version in ("2", "3"):
            registry.publish(url, bundle(tmp_path, version))
            registry.promote(url, "demo", force=True)
            look(following)
        registry.rollback(url, "demo")
        look(following)
        ended.set()

    operator = threading.Thread(target=operate)
    operator.start()
    tickets: list[NewTicket] = []
    while not ended.is_set() or len(tickets) < 40:
        tickets += [following.file() for _ in range(4)]
        following.classify(*tickets[-4:])
    operator.join()
    tickets += [following.file()]
    following.classify(tickets[-1])
    following.settle(seconds=30)
    records = [following.record(ticket) for ticket in tickets]
    assert {(record.outcome, record.decision.category) for record in records} == {("filled", SURE[2])}
    assert following.parts.store.parked() == []
    served = [record.decision.model for record in records]
    assert following.record(first).decision.model == "demo@1"
    assert served[-1] == "demo@2"
    for start in range(0, len(tickets) - 1, 4):
        assert len(set(served[start : start + 4])) == 1, "a batch keeps the model it began with"


def test_a_swap_does_not_hold_up_the_tickets(following: Desk, url: str, tmp_path: Path) -> None:
    """Loading happens beside; a batch may wait for a share of the processor, not for the new model."""
    following.classify(following.file())
    registry.publish(url, bundle(tmp_path, "2"))
    registry.promote(url, "demo", force=True)
    operator = threading.Thread(target=look, args=[following])
    operator.start()
    batches = 0
    while operator.is_alive():
        following.classify(following.file())
        batches += 1
    assert serving(following) == "2"
    assert batches >= 2


def test_a_broken_promotion_keeps_the_good_model(
    following: Desk, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Tried once for each change of the channels, said once, counted; mended by a rollback or another version."""
    assert serving(following) == "1"
    registry.publish(url, bundle(tmp_path, "2", broken=True))
    registry.promote(url, "demo", force=True)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            look(following)
    assert serving(following) == "1"
    assert following.parts.store.refusals("category") == {"2": 1}
    registry.publish(url, bundle(tmp_path, "3"))
    with caplog.at_level(logging.ERROR):
        look(following)
    assert following.parts.store.refusals("category") == {"2": 2}
    said = [record.getMessage() for record in caplog.records if "must not serve" in record.getMessage()]
    assert len(said) == 1
    assert "demo@2" in said[0]
    assert "fails its self-test" in said[0]
    ticket = following.file()
    following.classify(ticket)
    assert following.record(ticket).decision.model == "demo@1"
    registry.promote(url, "demo", force=True)
    look(following)
    assert serving(following) == "3"


def test_a_bundle_damaged_in_the_registry_keeps_the_good_model(following: Desk, url: str, tmp_path: Path) -> None:
    assert serving(following) == "1"
    registry.publish(url, bundle(tmp_path, "2"))
    registry.promote(url, "demo", force=True)
    (Path(url) / "demo" / "2" / "tokenizer.json").write_text("{}", encoding="utf-8")
    look(following)
    assert serving(following) == "1"
    assert following.parts.store.refusals("category") == {"2": 1}


def test_after_a_rollback_the_previous_version_serves(following: Desk, url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "2"))
    registry.promote(url, "demo", force=True)
    assert serving(following) == "2"
    registry.rollback(url, "demo")
    look(following)
    assert serving(following) == "1"


def test_while_the_registry_is_away_the_model_stays(
    following: Desk, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert serving(following) == "1"
    away = Path(url).rename(Path(url).with_name("away"))
    look(following)
    assert serving(following) == "1"
    assert "check the URL" in caplog.text
    away.rename(url)
    look(following)
    assert serving(following) == "1"


def test_a_worker_that_starts_anew_takes_the_previous_version_when_the_active_is_broken(
    following: Desk, url: str, tmp_path: Path
) -> None:
    registry.publish(url, bundle(tmp_path, "2", broken=True))
    registry.promote(url, "demo", force=True)
    assert serving(following) == "1"
    assert following.parts.store.refusals("category") == {"2": 1}


def test_a_worker_without_any_good_version_does_not_start(config: Settings, store: Store, tmp_path: Path) -> None:
    url = str(tmp_path / "registry")
    (classifier,) = config.classifiers
    followed = msgspec.structs.replace(
        config,
        classifiers=(msgspec.structs.replace(classifier, bundle=f"{url}#demo"),),
        worker=msgspec.structs.replace(config.worker, cache=str(tmp_path / "cache")),
    )
    with pytest.raises(RegistryError, match="check the URL and the name"):
        Models(followed, store)
    registry.publish(url, bundle(tmp_path, "1", broken=True))
    with pytest.raises(RegistryError, match="is active: promote one"):
        Models(followed, store)
    registry.promote(url, "demo")
    with pytest.raises(BundleError, match="fails its self-test"):
        Models(followed, store)


def test_the_thread_looks_by_itself(following: Desk, url: str, tmp_path: Path) -> None:
    assert serving(following) == "1"
    following.parts.models.follow(0.05, following.parts.publish_models)
    registry.publish(url, bundle(tmp_path, "2"))
    registry.promote(url, "demo", force=True)
    deadline = time.monotonic() + 20
    while serving(following) != "2":
        assert time.monotonic() < deadline
        time.sleep(0.02)


# A staged model


def test_a_staged_model_is_asked_and_decides_nothing(following: Desk, url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "2", swapped=True))
    look(following)
    refund, other = following.file(), following.file("Password", "I cannot log in, please reset my password.")
    following.classify(refund, other)
    following.settle()
    following.classify(refund)
    assert following.record(refund).decision.model == "demo@1"
    assert following.fields(refund)["Category"] == SURE[2]
    (shadow,) = following.parts.store.shadows("category")
    assert (shadow.active, shadow.staged) == ("demo@1", "demo@2")
    rows = {row.category: row for row in shadow.agreement()}
    assert rows[SURE[2]] == (SURE[2], 1, 0, "delivery_delay")
    assert sum(row.agreed for row in rows.values()) == 1
    assert table(shadow).startswith("demo@2 beside demo@1: agrees on 1 of 2 tickets\ncategory")


def test_after_its_promotion_nobody_is_asked_beside_it(following: Desk, url: str, tmp_path: Path) -> None:
    registry.publish(url, bundle(tmp_path, "2"))
    look(following)
    staged = following.parts.models.shadowing["category"]
    registry.promote(url, "demo", force=True)
    look(following)
    assert following.parts.models.shadowing == {}
    assert following.parts.predictors["category"] is staged, "it is loaded already"
    following.classify(following.file())
    assert following.parts.store.shadows("category") == []


def test_a_staged_model_that_breaks_costs_no_ticket(
    following: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry.publish(url, bundle(tmp_path, "2"))
    look(following)

    def breaks(texts: list[str]) -> None:
        raise RuntimeError(texts[0])

    monkeypatch.setattr(following.parts.models.shadowing["category"], "predict", breaks)
    ticket = following.file()
    following.classify(ticket)
    following.settle()
    assert following.record(ticket).outcome == "filled"
    assert "demo@2 was not asked about 1 tickets: RuntimeError" in caplog.text
    assert SURE[1] not in caplog.text
    assert following.parts.store.waiting(messages.CLASSIFY) == 0


def test_nobody_is_asked_beside_unless_the_setting_says_so(following: Desk, url: str, tmp_path: Path) -> None:
    parts = following.parts
    worker = msgspec.structs.replace(parts.config.worker, shadow_staged=False)
    quiet = Desk(Parts(msgspec.structs.replace(parts.config, worker=worker)), following.zendesk)
    registry.publish(url, bundle(tmp_path, "2"))
    look(quiet)
    quiet.classify(quiet.file())
    assert quiet.parts.models.shadowing == {}
    assert quiet.parts.store.shadows("category") == []
