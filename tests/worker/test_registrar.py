"""Orders to a registry: carried out once, by the worker's own settings, and told to whoever waits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from integration import asking
from integration.registries import NEWEST, Order, Reply
from integration.settings import Settings
from integration.store import Store
from model_export import registry
from model_export.bundle.channels import read_channels
from model_export.bundle.manifest import describe_files, read_manifest, write_manifest
from tests.model_export.test_registry import bundle
from worker import registrar
from worker.parts import Parts


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A registry with version 1 active and 2 staged."""
    url = str(tmp_path / "registry")
    registry.publish(url, bundle(tmp_path, "1"))
    registry.promote(url, "demo")
    registry.publish(url, bundle(tmp_path, "2"))
    return url


@pytest.fixture
def ordering(config: Settings, store: Store, url: str) -> Parts:
    """A worker; its model is not loaded, which an order does not need."""
    assert store.redis.dbsize() == 0
    (classifier,) = config.classifiers
    return Parts(
        msgspec.structs.replace(config, classifiers=(msgspec.structs.replace(classifier, bundle=f"{url}#demo"),))
    )


def give(parts: Parts, **order: object) -> Reply:
    """Give an order and wait for what becomes of it."""
    redis = parts.store.redis
    asking.put(redis, "o", msgspec.convert({"classifier": "category", **order}, Order))
    registrar.carry_out(parts, "o")
    found = asking.await_answer(redis, "o", 1, Reply)
    assert found is not None
    return found


def test_an_order_is_carried_out_once(ordering: Parts, url: str) -> None:
    """Its message may come twice, and may come after whoever gave it went away."""
    assert [one.version for one in give(ordering, task="promote", by="Anna").versions] == ["2", "1"]
    registrar.carry_out(ordering, "o")
    assert read_channels(url, "demo").active == "2"
    assert [one.what for one in ordering.controls.changes()] == ["promoted demo@2 for category"]
    asking.put(ordering.store.redis, "late", Order(classifier="category", task="rollback"))
    assert asking.await_answer(ordering.store.redis, "late", 0.05, Reply) is None
    registrar.carry_out(ordering, "late")
    assert read_channels(url, "demo").active == "2"


def test_looking_changes_nothing(ordering: Parts, url: str) -> None:
    before = read_channels(url, "demo")
    first, second = give(ordering).versions
    assert (first.version, first.channels, first.report) == ("2", ("staged",), False)
    assert (second.version, second.channels) == ("1", ("active",))
    assert second.size > 1_000_000
    assert read_channels(url, "demo") == before
    assert ordering.controls.changes() == []


def test_the_newest_versions_and_those_in_force(url: str, tmp_path: Path) -> None:
    for number in range(3, NEWEST + 3):
        (tmp_path / "registry" / "demo" / f"9.{number:02}").symlink_to(tmp_path / "2", target_is_directory=True)
    found = registry.versions(url, "demo", newest=NEWEST)
    assert len(found) == NEWEST + 2
    assert [one.channels for one in found[:2]] == [("active",), ("staged",)]


def test_a_report_that_is_too_long_or_another_is_not_handed_out(
    ordering: Parts, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle(tmp_path, "3")
    (made / registry.REPORT).write_text("<p>good</p>", encoding="utf-8")
    write_manifest(made, msgspec.structs.replace(read_manifest(made), files=describe_files(made)))
    registry.publish(url, made)
    assert give(ordering, task="report", version="3").report == "<p>good</p>"
    (Path(url) / "demo" / "3" / registry.REPORT).write_text("<p>evil</p>", encoding="utf-8")
    assert "is not the file that was published" in str(give(ordering, task="report", version="3").error)
    monkeypatch.setattr(registrar, "MOST_REPORT", 10)
    assert "read it at" in str(give(ordering, task="report", version="3").error)


def test_another_classifier_or_a_model_from_a_folder(ordering: Parts, config: Settings) -> None:
    assert give(ordering, classifier="other").error == "this worker's 'other' comes from no registry"
    assert give(Parts(config)).error == "this worker's 'category' comes from no registry"


def test_a_registry_out_of_reach_says_so(ordering: Parts, url: str) -> None:
    Path(url).rename(f"{url}.gone")
    error = give(ordering).error
    assert error is not None
    assert "check the URL and the name" in error
