"""Work done in a real browser: a model promoted and rolled back, a text tried, every page looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from integration import alerting, counting, messages, outcomes
from integration.controls import Controls
from integration.settings import Settings
from integration.store import Store, funnel_key
from tests.chromium import HARMLESS, chromium
from tests.console.conftest import Serve
from tests.console.test_browser import PHONE, SCREEN, drawn, faults, sign_in
from tests.console.test_categories import judgement
from tests.console.test_models import following, url
from tests.console.working import working
from tests.operating.test_parked import TICKET, park_write
from tests.test_store import decision
from tests.worker.conftest import SURE
from tests.worker.history import past_hours
from worker import watch
from worker.parts import Parts

__all__ = ["following", "url"]  # fixtures, for this file too

CATEGORY = SURE[2]
IGNORED = (*HARMLESS, "status of 409", "status of 404")
"""What Chromium says of every refusal."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def parts(following: Settings, store: Store, tmp_path: Path) -> Iterator[Parts]:
    """A worker that serves the registry's active model and answers."""
    assert store.redis.dbsize() == 0
    worker = msgspec.structs.replace(following.worker, cache=str(tmp_path / "cache"))
    made = Parts(msgspec.structs.replace(following, worker=worker))
    made.publish_models()
    with working(made):
        yield made


@pytest.fixture
def page(browser: Browser, serve: Serve, parts: Parts, request: pytest.FixtureRequest) -> Iterator[Page]:
    (width, height), scheme = getattr(request, "param", (SCREEN, "light"))
    complaints: list[str] = []
    page = browser.new_page(
        viewport={"width": width, "height": height},
        base_url=serve(parts.config),
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    sign_in(page)
    yield page
    page.close()
    assert [one for one in complaints if not any(known in one for known in IGNORED)] == []


def look(parts: Parts) -> None:
    """What a worker's thread does every 30 s."""
    parts.models.look(parts.publish_models)


def test_the_admin_watches_a_spike_fire_and_silences_it(page: Page, parts: Parts) -> None:
    """The watcher's own code fires it; the page, which was open, shows it without being asked."""
    now, redis = time.time(), parts.store.redis
    past_hours(parts, now, 4, {CATEGORY: 20})
    expect(page.locator("main")).to_contain_text("0 firing")
    newest = int(now // 60)
    counting.add(redis, "ticks", "category", {(tick, CATEGORY): 5 for tick in range(newest - 12, newest)})
    watch.watch(parts, now)
    expect(page.locator("main")).to_contain_text("1 firing", timeout=15_000)
    page.locator(".facts").get_by_role("link", name="Orders::Refund").click()
    expect(page.locator("main")).to_contain_text("50 tickets in 10 min, where 3.3 are usual")
    page.get_by_role("combobox").select_option("1 hour")
    page.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("status")).to_contain_text("Nobody is told")
    assert [one.category for one in alerting.silences(redis)] == [CATEGORY]


def test_the_admin_promotes_a_model_against_its_figures_and_rolls_back(page: Page, parts: Parts) -> None:
    served, main = page.locator(".facts").first, page.locator("main")
    page.get_by_role("link", name="Models").click()
    expect(served).to_contain_text("demo@2")
    page.get_by_text("Promote … 3").click()
    page.get_by_role("button", name="Promote 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo@3 is not promoted")
    expect(main).to_contain_text("refund_request has F1 0.600 where it had 0.900")
    force = page.get_by_role("button", name="Promote in spite of its figures")
    force.click()
    expect(force).to_be_visible()  # the box must be ticked first
    page.get_by_label("I have read the reasons above").check()
    force.click()
    expect(page.get_by_role("status")).to_contain_text("Promoted: workers serve demo@3 within about 30 s.")
    look(parts)
    page.reload()
    expect(served).to_contain_text("demo@3")
    page.get_by_text("Roll back to 2 …").click()
    page.get_by_role("button", name="Roll back to 2").click()
    expect(page.get_by_role("status")).to_contain_text("Rolled back: workers serve demo@2")
    look(parts)
    page.reload()
    expect(served).to_contain_text("demo@2")
    changes = [(one.by, one.what) for one in Controls(parts.store.redis).changes(2)]
    assert changes == [
        ("Anna (console)", "rolled category back to demo@2"),
        ("Anna (console)", "promoted demo@3 in spite of its figures for category"),
    ]


def test_the_admin_tries_a_text(page: Page) -> None:
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("Subject").fill(SURE[0])
    page.get_by_label("Text").fill(SURE[1])
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator("main")).to_contain_text("It would be filled: Orders::Refund")
    best = page.locator(".chances .part").first.bounding_box()
    whole = page.locator(".chances .whole").first.bounding_box()
    assert best is not None
    assert whole is not None
    assert 0.9 < best["width"] / whole["width"] <= 1
    expect(page.locator("mark.for", has_text="refund").last).to_be_visible()


CATEGORY_PAGE = f"/categories/one?classifier=category&category={CATEGORY}"
PAGES = ("/categories/", CATEGORY_PAGE, "/funnel/", "/tickets/", "/tickets/7", "/tickets/99", "/models/", "/try-it/")
COLOURFUL = (CATEGORY_PAGE, "/tickets/7", "/try-it/")


@pytest.mark.parametrize(
    ("page", "paths"),
    [((PHONE, "light"), PAGES), ((SCREEN, "dark"), COLOURFUL)],
    indirect=["page"],
    ids=["phone", "dark"],
)
def test_every_page_fits_and_has_no_accessibility_fault(page: Page, store: Store, paths: tuple[str, ...]) -> None:
    fill(store)
    width = (page.viewport_size or {"width": 0})["width"]
    found: list[str] = []
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        drawn(page)
        for closed in page.locator("details").all():
            closed.evaluate("one => one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found += faults(page, path)
    page.get_by_label("Text").fill(SURE[1])
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator("mark").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [*found, *faults(page, "an answer")] == []


def fill(store: Store) -> None:
    """Something of everything."""
    right = [judgement(one, CATEGORY, model="demo@2") for one in range(9)]
    outcomes.count(store.redis, [*right, judgement(9, CATEGORY, into="delivery_delay", model="demo@2")])
    Controls(store.redis).demote("category", CATEGORY, "60 of 90 were right")
    for step, count in {"received": 200, "decided": 180, "predicted": 170, "sure": 120, "filled": 100}.items():
        store.redis.hincrby(funnel_key(), step, count)
    one = decision(7, category=CATEGORY, top=((CATEGORY, 0.9), ("delivery_delay", 0.05)), decided_at=time.time())
    store.record([one], tick_s=60)
    store.finish([(one, "filled", "confident")])
    store.park(messages.CLASSIFY, TICKET, "RuntimeError")
    park_write(store, *range(10, 17))
    store.count_shadow([(decision(1, model="demo@2"), decision(1, model="demo@3", category="login"))])
