"""The pictures in the README: ``make screenshots``; needs Chromium and the ``dev`` extra."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from demo import sidebar
from demo.scenario import SPIKE, SPIKE_TO, arrivals
from demo.stage import AGENT_SECRET, CLASSIFIER, PASSWORD, WORKERS, Stage, call, stage
from demo.tickets import Ticket
from integration import alerting, counting
from integration.store import Store

IMAGES = Path("docs/img")
SEED = 3
SIZE: ViewportSize = {"width": 1360, "height": 860}
SIDEBAR: ViewportSize = {"width": sidebar.WIDTH, "height": 400}


def main() -> None:
    """Play the scenario up to the end of its spike before the local Zendesk's page, then look at the console."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium found: install one (Debian: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as running, sync_playwright() as playwright:
        while len(Store(running.redis_url).workers()) < WORKERS:
            time.sleep(0.1)
        # Root, as in a container, has no sandbox; nothing but our own pages is opened.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(running.zendesk_url)  # first, for its chart draws what it saw
        began = time.monotonic()
        filed: dict[int, Ticket] = {}
        for arrival in arrivals(SEED):
            if arrival.at > SPIKE_TO:
                break
            page.wait_for_timeout(max(0.0, began + arrival.at - time.monotonic()) * 1000)
            new = {"subject": arrival.ticket.subject, "description": arrival.ticket.description, "channel": "email"}
            filed[call(f"{running.zendesk_url}/simulator/tickets", new)["id"]] = arrival.ticket
        _console(browser.new_page(viewport=SIZE, color_scheme="light"), running)
        _sidebar(browser.new_page(viewport=SIDEBAR, color_scheme="light"), running, filed)
        page.bring_to_front()
        page.wait_for_timeout(2200)
        page.screenshot(path=IMAGES / "simulator.png")
        browser.close()


def _console(page: Page, running: Stage) -> None:
    """What comes in while the spike lasts, its alert, and the way of one of its tickets."""
    store = Store(running.redis_url)
    (alert,) = (one for one in alerting.active(store.redis) if one.category == SPIKE)
    (ticket_id,) = counting.newest(store.redis, CLASSIFIER, SPIKE, until=time.time() - 5, limit=1)
    page.goto(running.console_url)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for name, path in (("console", "/"), ("alert", f"/alerts/{alert.id}"), ("ticket", f"/tickets/{ticket_id}")):
        page.goto(f"{running.console_url}{path}")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(700)  # charts are drawn a moment later
        page.screenshot(path=IMAGES / f"{name}.png")


def _sidebar(page: Page, running: Stage, filed: Mapping[int, Ticket]) -> None:
    """What an agent sees beside a ticket that Presort was not sure about, having asked why."""
    store = Store(running.redis_url)
    records = (store.ticket(one, CLASSIFIER) for one in filed)
    ticket_id = next(one.decision.ticket_id for one in records if one and one.outcome == "suggested")
    ticket = filed[ticket_id]
    with sidebar.frame(page, running.console_url, AGENT_SECRET) as frame:
        frame.open(ticket_id, ticket.subject, ticket.description)
        page.get_by_role("button", name="Why?").click()
        page.wait_for_timeout(2000)
        page.screenshot(path=IMAGES / "sidebar.png", full_page=True)


if __name__ == "__main__":
    main()
