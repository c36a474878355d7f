"""Versions of a real registry folder, promoted and rolled back by a worker whom the console asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from integration.controls import Controls
from integration.settings import Settings
from integration.store import Store
from model_export import registry
from model_export.bundle.channels import Channels, read_channels
from model_export.bundle.manifest import describe_files, read_manifest, write_manifest
from model_export.evidence import ClassScore
from tests.console.conftest import EVIL, Serve, Visitor
from tests.console.test_pages import words
from tests.console.working import working
from tests.model_export.test_registry import BUNDLE, GOOD, bundle
from tests.test_store import decision
from worker.parts import Parts

WORSE = msgspec.structs.replace(GOOD, per_class=GOOD.per_class | {"refund_request": ClassScore(0.6, 100)})


def with_report(made: Path, html: str) -> Path:
    """The same bundle with a report."""
    (made / registry.REPORT).write_text(html, encoding="utf-8")
    write_manifest(made, msgspec.structs.replace(read_manifest(made), files=describe_files(made)))
    return made


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A registry: 1 was active before 2, and 3 is staged and worse."""
    url = str(tmp_path / "registry")
    for version, evidence in (("1", GOOD), ("2", GOOD), ("3", WORSE)):
        made = bundle(tmp_path, version, evidence)
        registry.publish(url, with_report(made, f"<p>{EVIL}</p>") if version == "2" else made)
        if version != "3":
            registry.promote(url, "demo")
    return url


@pytest.fixture
def following(console_config: Settings, url: str) -> Settings:
    """The settings of console and worker."""
    classifiers = (msgspec.structs.replace(console_config.classifiers[0], bundle=f"{url}#demo"),)
    return msgspec.structs.replace(console_config, classifiers=classifiers)


@pytest.fixture
def admin(serve: Serve, following: Settings, store: Store) -> Visitor:
    """Signed in, with nobody to ask yet."""
    assert store.redis.dbsize() == 0
    visitor = Visitor(serve(following))
    visitor.sign_in()
    return visitor


@pytest.fixture
def asked(admin: Visitor, following: Settings) -> Iterator[Visitor]:
    """The same with a worker; orders need no model."""
    with working(Parts(following)):
        yield admin


def act(visitor: Visitor, what: str, **fields: str) -> str:
    return words(visitor.post(f"/models/{what}?classifier=category", page="/settings/", **fields))


def test_what_is_published(asked: Visitor) -> None:
    text, manifest = words(asked.get("/models/")), read_manifest(BUNDLE)
    created, figure = manifest.created[:16].replace("T", " "), f"{manifest.metrics['macro_f1']:.3f}"
    rows = [
        f"3 {manifest.base} staged {created} {figure} 1.6 MB none Promote",
        f"2 {manifest.base} active {created} {figure} 1.6 MB download",
        f"1 {manifest.base} previous {created} {figure} 1.6 MB none Promote",
    ]
    places = [text.find(row) for row in rows]
    assert -1 < places[0] < places[1] < places[2], "newest first"
    assert "Roll back to 1" in text
    assert "Served none no worker has loaded one" in text


def test_one_is_promoted_and_rolled_back_by_name(asked: Visitor, url: str, store: Store) -> None:
    assert "Promoted: workers serve demo@1 within about 30 s." in act(asked, "promote", version="1")
    assert read_channels(url, "demo") == Channels(staged="3", active="1", previous="2", generation=6)
    assert "Rolled back: workers serve demo@2" in act(asked, "rollback")
    assert [(one.by, one.what) for one in Controls(store.redis).changes(2)] == [
        ("Anna (console)", "rolled category back to demo@2"),
        ("Anna (console)", "promoted demo@1 for category"),
    ]


def test_figures_that_speak_against_it_are_shown_and_may_be_overruled(asked: Visitor, url: str, store: Store) -> None:
    answer = asked.post("/models/promote?classifier=category", page="/models/", version="3")
    assert answer.status_code == 409
    assert "demo@3 is not promoted" in words(answer)
    assert "refund_request has F1 0.600 where it had 0.900 (support 100)" in words(answer)
    assert read_channels(url, "demo").active == "2"
    assert "workers serve demo@3" in act(asked, "promote", version="3", force="yes")
    assert Controls(store.redis).changes(1)[0].what == "promoted demo@3 in spite of its figures for category"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2", "demo@2 is active already"),
        ("9", "check the URL and the name"),
        ("../../etc", "letters, digits, dot, dash and underscore"),
    ],
)
def test_what_cannot_be_promoted_at_all(asked: Visitor, url: str, version: str, reason: str) -> None:
    before = read_channels(url, "demo")
    assert reason in act(asked, "promote", version=version)
    assert read_channels(url, "demo") == before


def test_a_report_is_a_file_to_keep_and_never_a_page_of_the_console(asked: Visitor) -> None:
    answer = asked.get("/models/report?classifier=category&version=2")
    assert answer.text == f"<p>{EVIL}</p>"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="demo-2-report.html"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "demo@1 came without report/report.html" in words(asked.get("/models/report?version=1"))


def test_where_the_staged_model_differs(asked: Visitor, store: Store) -> None:
    agreed = [(decision(one, model="demo@2"), decision(one, model="demo@3")) for one in range(3)]
    other = (decision(9, model="demo@2"), decision(9, model="demo@3", category=EVIL))
    store.count_shadow([*agreed, other])
    answer = asked.get("/models/")
    assert "demo@3 beside demo@2 They agree on 3 of 4 tickets (75.0%)" in words(answer)
    assert "refund 4 75.0% (3)" in words(answer)
    assert EVIL not in answer.text


def test_a_version_that_workers_refuse(asked: Visitor, store: Store) -> None:
    store.count_refusal("category", "3")
    assert "Refused by workers 3 1&times; in 40 days" in words(asked.get("/models/"))


def test_without_a_worker_nothing_is_done(admin: Visitor, url: str, store: Store) -> None:
    before = read_channels(url, "demo")
    assert "Nobody could be asked No worker answered." in words(admin.get("/models/"))
    assert "no worker was heard of in 30 s" in act(admin, "promote", version="1")
    assert read_channels(url, "demo") == before
    assert store.redis.llen("presort.upkeep") == 0


def test_a_model_from_a_folder(anna: Visitor) -> None:
    text = words(anna.get("/models/"))
    assert "This model comes from a folder" in text
    assert "Staged models are not asked about live tickets" in text


def test_an_order_needs_the_forms_own_token(asked: Visitor, url: str) -> None:
    before = read_channels(url, "demo")
    for what in ("promote", "rollback"):
        assert asked.http.post(f"{asked.url}/models/{what}?classifier=category", timeout=10).status_code == 400
    assert read_channels(url, "demo") == before
