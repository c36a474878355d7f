"""The pictures in the README: ``make screenshots``; needs Chromium and the ``dev`` extra."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from demo.scenario import arrivals
from demo.stage import WORKERS, call, stage
from integration.store import Store

IMAGES = Path("docs/img")
TICKETS = 220


def main() -> None:
    """Play the scenario's beginning before the page, then take a picture of it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium found: install one (Debian: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as running, sync_playwright() as playwright:
        while len(Store(running.redis_url).workers()) < WORKERS:
            time.sleep(0.1)
        # Root, as in a container, has no sandbox; nothing but our own page is opened.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1360, "height": 860}, color_scheme="light")
        page.goto(running.zendesk_url)  # first, for its chart draws what it saw
        began = time.monotonic()
        for number, arrival in enumerate(arrivals(seed=3)):
            if number == TICKETS:
                break
            page.wait_for_timeout(max(0.0, began + arrival.at - time.monotonic()) * 1000)
            new = {"subject": arrival.ticket.subject, "description": arrival.ticket.description, "channel": "email"}
            call(f"{running.zendesk_url}/simulator/tickets", new)
        page.wait_for_timeout(2200)
        page.screenshot(path=IMAGES / "simulator.png")
        browser.close()


if __name__ == "__main__":
    main()
