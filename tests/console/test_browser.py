"""The console in a real browser, as an admin uses it; whatever the browser complains about fails the test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from integration import alerting
from integration.controls import Controls
from integration.records import Alert
from integration.store import Store
from tests.chromium import HARMLESS, chromium
from tests.console.conftest import EVIL, PASSWORD

PHONE, SCREEN = (320, 640), (1280, 900)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, console: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The sign-in page, on a screen of the test's size."""
    width, height = getattr(request, "param", SCREEN)
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": height}, base_url=console)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    yield page
    page.close()
    assert [one for one in complaints if not any(known in one for known in HARMLESS)] == []


def sign_in(page: Page) -> None:
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Now")


def drawn(page: Page) -> None:
    """Wait for the page's charts, and so for its scripts."""
    for chart in page.locator("figure").all():
        expect(chart.locator(".main-svg").first).to_be_visible()


@pytest.mark.usefixtures("busy")
def test_the_admin_sees_an_alert_fire_and_silences_it(page: Page, store: Store) -> None:
    sign_in(page)
    expect(page.locator(".plot .bars path")).not_to_have_count(0)
    page.get_by_role("link", name="alert fires").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders::Delivery")
    expect(page.locator("figure figcaption")).to_contain_text("tickets from 20")
    expect(page.get_by_text(EVIL)).to_be_visible()
    expect(page).to_have_title("Orders::Delivery · Presort")
    page.get_by_role("combobox").select_option("1 hour")
    page.get_by_label("Reason").fill("known outage")
    page.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("status")).to_contain_text("Nobody is told of Orders::Delivery until")
    (silence,) = alerting.silences(store.redis)
    assert (silence.category, silence.reason, silence.by) == ("delay", "known outage", "Anna")
    page.get_by_role("link", name="Alerts 1").click()
    expect(page.get_by_role("listitem").filter(has_text="Orders::Delivery")).to_contain_text("silenced")


def test_what_changes_is_seen_without_a_reload(page: Page, busy: Alert, store: Store) -> None:
    page.clock.install()
    sign_in(page)
    page.evaluate("window.same = true")
    expect(page.locator("main")).to_contain_text("1 firing")
    drawn(page)
    Controls(store.redis).throw(paused=True, by="ben")
    over = msgspec.structs.replace(busy, state="resolved", resolved_at=time.time(), revision=busy.revision + 1)
    assert alerting.save(store.redis, over, over=busy.revision)
    page.clock.run_for(6_000)
    expect(page.locator("main")).to_contain_text("0 firing")
    expect(page.locator("main")).to_contain_text("paused by ben")
    assert page.evaluate("window.same")


@pytest.mark.usefixtures("busy")
def test_nothing_is_asked_for_while_nobody_looks(page: Page) -> None:
    page.clock.install()
    sign_in(page)
    drawn(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/now/facts"):
        page.clock.run_for(6_000)
    look(page, hidden=True)
    asked.clear()
    page.clock.run_for(600_000)
    look(page, hidden=True)
    assert asked == []
    with page.expect_request("**/now/facts"):
        look(page, hidden=False)


def look(page: Page, *, hidden: bool) -> None:
    """Switch to another tab, or back."""
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{ value: {str(hidden).lower()}, configurable: true }})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.usefixtures("busy")
def test_the_keyboard_is_enough(page: Page, store: Store) -> None:
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Now")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("main").get_by_role("link", name="Orders::Delivery").first).to_be_focused()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="I look after it")
    expect(button).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    assert button.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Anna looks after")
    assert [one.acknowledged_by for one in alerting.active(store.redis)] == ["Anna"]


@pytest.mark.parametrize("page", [PHONE], indirect=True)  # also a screen of 1,280 pixels at 400 %
def test_every_page_fits_a_narrow_screen(page: Page, busy: Alert) -> None:
    sign_in(page)
    for path in ("/", "/alerts/", f"/alerts/{busy.id}", "/settings/"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_fault(page: Page, busy: Alert, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    found = [*faults(page, "the door")]
    sign_in(page)
    for path in ("/", "/alerts/", f"/alerts/{busy.id}", "/settings/"):
        page.goto(path)
        drawn(page)
        found += faults(page, path)
    assert found == []


def faults(page: Page, where: str) -> Iterator[str]:
    """What axe-core finds, whatever its impact."""
    for one in Axe().run(page).response["violations"]:
        yield f"{where}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:120]}"
