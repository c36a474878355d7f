"""Whatever customers, admins of Zendesk and makers of models write is shown as text, on every page, in Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from integration import alerting, counting, usual
from integration.controls import Controls
from integration.records import Alert, Model, Record, Sample, Word
from integration.settings import Settings
from integration.store import Store
from integration.usual import Baseline, Row
from tests.chromium import HARMLESS, chromium
from tests.console.conftest import PASSWORD, Serve, console_config, serve
from tests.test_store import decision

__all__ = ["console_config", "serve"]  # fixtures of the console's, here too

LINK = "<a href='https://evil.example/'>click</a>"
EVIL = f"<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{LINK}"
JAVASCRIPT = "javascript:document.title='owned'"

PAGES = [
    *("/", "/categories/", "/categories/one?category=delay", "/alerts/", "/alerts/a1", "/funnel/", "/tickets/"),
    *("/tickets/7", "/models/", "/try-it/", "/settings/", f"/?category={EVIL}", f"/tickets/?ticket={EVIL}"),
    f"/sign-in?next={JAVASCRIPT}",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def infested(store: Store) -> None:
    """Markup wherever somebody else may put some."""
    now, redis = time.time(), store.redis
    labels = {"delay": EVIL, "refund": f"Orders::{EVIL}", LINK: LINK}
    model = Model(name=EVIL, version=EVIL, graph=EVIL, provider=EVIL, labels=labels, loaded_at=now - 60)
    store.publish_model("category", model)
    store.beat(EVIL)
    rows = [
        Row(row=row, name=labels.get(row, EVIL), rate=(6.0,) * 168, error=(0.01,) * 168, dispersion=(0.0, 0.0), weeks=8)
        for row in ("delay", "refund", "*")
    ]
    usual.publish(redis, "category", Baseline(until=0, changed_at=0, rows=rows))
    tick = int(now // 60)
    counting.add(redis, "ticks", "category", {(tick - back, "delay"): 2 for back in range(33)})
    alert = Alert(
        id="a1",
        classifier="category",
        category="delay",
        name=EVIL,
        opened_at=now - 1500,
        started_at=now - 1800,
        observed=60,
        expected=3.0,
        window_s=1800,
        ratio_low=15.0,
        ratio_high=26.0,
        once_in_weeks=300,
        share=0.66,
        samples=(Sample(ticket_id=7, url="https://acme.zendesk.com/agent/tickets/7", subject=EVIL),),
        words=(Word(EVIL, 12, 20, 3, 200),),
        also=(EVIL,),
        acknowledged_by=EVIL,
        acknowledged_at=now - 60,
    )
    assert alerting.save(redis, alert, over=0)
    over = msgspec.structs.replace(
        alert, id="a0", category="refund", state="resolved", event="resolved", resolved_at=now - 60
    )
    assert alerting.save(redis, over, over=0)
    Controls(redis).throw(paused=True, by=EVIL, reason=EVIL)
    one = decision(7, category="delay", top=(("delay", 0.5), (LINK, 0.3)), model=f"{EVIL}@{EVIL}")
    redis.set("presort:ticket:7:category", msgspec.json.encode(Record(decision=one)))
    store.park("presort.write", {"decisions": [{"ticket_id": 7, "subject": EVIL}]}, EVIL)


@pytest.mark.usefixtures("infested")
def test_no_page_shows_a_strangers_markup_as_markup(browser: Browser, serve: Serve, console_config: Settings) -> None:
    page, complaints = browser.new_page(base_url=serve(console_config)), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    sign_in(page)
    shown = 0
    for path in PAGES:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for chart in page.locator("figure").all():
            expect(chart.locator(".main-svg").first).to_be_visible()
        shown += "evil.example" in page.locator("body").inner_text()
        assert "owned" not in page.title().split(" · ")[-1], path
        assert page.locator("img[src=x], script:not([src])").count() == 0, path
        # Plotly makes links of what looks like some; in its charts they are SVG's.
        links = page.evaluate(
            "[...document.querySelectorAll('a')].map((one) => one.getAttribute('href')"
            " ?? one.getAttribute('xlink:href') ?? one.getAttributeNS('http://www.w3.org/1999/xlink', 'href') ?? '')"
        )
        assert [one for one in links if "evil.example" in one.lower() and not one.startswith("/")] == [], path
        assert [one for one in links if one.lower().startswith("javascript")] == [], path
    page.close()
    assert shown >= 5  # or nobody wrote anything
    assert [one for one in complaints if not any(known in one for known in (*HARMLESS, "400 (BAD REQUEST)"))] == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Your name").fill(EVIL[:60])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Now")
