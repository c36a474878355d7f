"""The pages in a real browser, as a newcomer meets them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from zenpy import Zenpy
from zenpy.lib.api_objects import Ticket

from integration.simulator.config import SimulatorConfig
from tests.simulator.support import Receiver, Running, serving

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is missing: install Debian's or Ubuntu's package 'chromium'"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(listening: Receiver) -> Iterator[Running]:
    with serving(SimulatorConfig(requests_per_minute=100_000, webhook_url=listening.url)) as running:
        yield running


@pytest.fixture
def page(browser: Browser, simulator: Running) -> Iterator[Page]:
    """The overview; whatever the browser complains about fails the test, a broken policy included."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(simulator.url)
    yield page
    page.close()
    assert complaints == []


def answer(zenpy: Zenpy, simulator: Running, ticket_id: int) -> None:
    """What Presort does to a ticket."""
    config = simulator.config
    fields = {
        config.category_field_id: "billing",
        config.predicted_field_id: "Billing",
        config.confidence_field_id: "0.93",
        config.model_field_id: "support-7",
    }
    values = [{"id": field_id, "value": value} for field_id, value in fields.items()]
    zenpy.tickets.update(Ticket(id=ticket_id, custom_fields=values, metadata={"decision": "d-1"}))


def test_the_first_visit_says_what_to_do(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("A local Zendesk for Presort")
    expect(page.get_by_text("No tickets yet")).to_be_visible()
    expect(page.get_by_role("table")).to_be_hidden()


def test_a_ticket_is_written_and_its_fields_fill_before_ones_eyes(page: Page, zenpy: Zenpy, simulator: Running) -> None:
    page.get_by_label("Subject").fill("Printer")
    page.get_by_label("Description").fill("It is on fire.")
    page.get_by_role("button", name="Create the ticket").click()
    row = page.get_by_role("row", name="Printer")
    expect(row).to_contain_text("waiting")
    expect(page.get_by_text("Webhook sent")).to_have_class("done")
    answer(zenpy, simulator, 1)
    for text in ("Billing", "0.93", "support-7"):
        expect(row).to_contain_text(text)
    expect(page.get_by_text("Fields filled in")).to_have_class("done")
    expect(page.locator("#filled")).to_have_text("1")
    expect(page.locator("#filled-share")).to_have_text("100 %")


def test_the_keyboard_is_enough(page: Page, simulator: Running) -> None:
    for _ in range(2):  # the link to the content, then the first example
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Create the ticket")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Charged twice this month")).to_be_visible()
    assert simulator.get("/simulator/summary")["tickets"]["created"] == 1


def test_a_strangers_text_stays_text(page: Page, simulator: Running) -> None:
    evil = '<img src=x onerror="document.title=1"><b>bold</b>'
    ticket_id = simulator.create(evil, evil)
    expect(page.get_by_role("row").filter(has_text=evil)).to_be_visible()
    page.goto(f"{simulator.url}/tickets/{ticket_id}")
    expect(page.locator("#description")).to_have_text(evil)
    assert page.locator("b, main img").count() == 0


def test_a_tickets_page_shows_who_changed_what(page: Page, zenpy: Zenpy, simulator: Running) -> None:
    ticket_id = simulator.create("Printer")
    answer(zenpy, simulator, ticket_id)
    page.get_by_role("link", name="Printer").click()
    newest = page.locator("#history > li").first
    for text in ("Presort", "Presort model", "support-7", "decision: d-1"):
        expect(newest).to_contain_text(text)
    page.get_by_label("Category").select_option("Login and account")
    page.get_by_role("button", name="Set it").click()
    expect(newest).to_contain_text("Avery Agent")
    expect(newest).to_contain_text("login")


def test_several_choices_are_written_and_changed(browser: Browser) -> None:
    with serving(SimulatorConfig(category_kind="multiselect")) as simulator:
        page = browser.new_page()
        page.goto(simulator.url)
        page.get_by_label("Subject").fill("Printer")
        page.get_by_label("Description").fill("It is on fire.")
        page.get_by_label("Category").select_option(["billing", "bug"])
        page.get_by_role("button", name="Create the ticket").click()
        expect(page.get_by_role("row", name="Printer")).to_contain_text("Billing, Something is broken")
        page.goto(f"{simulator.url}/tickets/1")
        expect(page.get_by_label("Category")).to_have_values(["billing", "bug"])
        page.get_by_label("Category").select_option(["bug", "login"])
        page.get_by_role("button", name="Set it").click()
        expect(page.locator("#history > li").first).to_contain_text("login, bug")
        page.close()


def test_a_closed_tickets_refusal_is_shown(browser: Browser, simulator: Running) -> None:
    """Without the check for complaints: a browser reports every 422."""
    ticket_id = simulator.create()
    page = browser.new_page()
    page.goto(f"{simulator.url}/tickets/{ticket_id}")
    page.get_by_role("button", name="Close the ticket").click()
    expect(page.locator("#status")).to_have_text("closed")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_role("alert")).to_have_text("Status: closed prevents ticket update")
    page.close()


def test_faults_are_announced(page: Page, simulator: Running) -> None:
    simulator.post("/simulator/faults", {"down": True, "drop": 0.5})
    expect(page.get_by_text("Broken on purpose: down, drop 0.5")).to_be_visible()


def test_a_phone_never_scrolls_sideways(page: Page, simulator: Running) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    ticket_id = simulator.create("A subject that is much longer than any telephone is wide, and then some more")
    expect(page.get_by_role("row", name="A subject")).to_be_visible()
    for path in ("/", f"/tickets/{ticket_id}"):
        page.goto(simulator.url + path)
        expect(page.get_by_text("A subject").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_pages_allow_nothing_from_elsewhere(simulator: Running) -> None:
    policy = simulator.http.get(simulator.url, timeout=5).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_ticket_that_is_not_there_has_no_page(simulator: Running) -> None:
    assert simulator.http.get(f"{simulator.url}/tickets/99", timeout=5).status_code == 404
