"""A real browser: this machine's own Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import need

HARMLESS = ("Applying inline style violates", "Autofocus processing was blocked")
"""Complaints of the browser that are nobody's fault: Plotly's map library would add a sheet of its own as it loads,
which the policy forbids, and no map is drawn; and a test may be faster at the first field than ``autofocus``."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window; skips, in CI fails, where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        need("Chromium is missing (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox; nothing but our own pages is opened.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
