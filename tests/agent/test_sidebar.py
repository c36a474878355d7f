"""The sidebar app in a real browser, as an agent uses it: its own files, the API, a fake of Zendesk's frame."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from demo import sidebar
from demo.sidebar import AGENT, Frame
from integration import asking, feedback
from integration.agent_api import packing
from integration.asking import Answer, Word
from integration.store import Store
from integration.zendesk.channels import STUB_CHANNELS
from model_export.bundle.predictor import Predictor
from tests.agent.conftest import SECRET, Answering
from tests.chromium import chromium
from tests.worker.conftest import ACCOUNT, SURE, Desk
from worker import explaining

FIELD = f"ticket.customField:custom_field_{ACCOUNT.category_field_id}"


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium() as browser:
        yield browser.new_context(viewport={"width": sidebar.WIDTH, "height": 700})


@pytest.fixture
def frame(browser: BrowserContext, console: str) -> Iterator[Frame]:
    """The sidebar's 320 px; whatever the browser complains about, or the proxy is not asked rightly, fails the test."""
    with sidebar.frame(browser.new_page(), console, SECRET) as frame:
        yield frame
    assert frame.complaints == []
    for options in frame.asked:
        assert options["secure"] is True
        assert options["headers"] == {"Authorization": "Bearer {{jwt.token}}"}
        assert (options["jwt"]["algorithm"], options["jwt"]["secret_key"]) == ("HS256", "{{setting.shared_secret}}")


@pytest.fixture
def sorted_ticket(desk: Desk) -> int:
    """A ticket that Presort has filled."""
    ticket = desk.file()
    desk.classify(ticket)
    desk.work()
    return ticket.ticket_id


def test_the_agent_sees_what_and_how_sure(frame: Frame, sorted_ticket: int) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    page = frame.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders::Refund")
    expect(page.locator("section")).to_contain_text("very likely, 9")
    expect(page.locator("section")).to_contain_text("%")
    expect(page.get_by_text("sure enough to fill", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Use ")).to_have_count(3)  # two alternatives, and "Use it"


def test_accepting_sets_the_form_and_is_noted(frame: Frame, sorted_ticket: int, store: Store) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    frame.page.get_by_role("button", name="Accept").click()
    expect(frame.page.get_by_text("You accepted it.")).to_be_visible()
    expect(frame.page.get_by_role("status")).to_contain_text("Orders::Refund is in the form")
    assert frame.form == {FIELD: SURE[2]}
    assert store.funnel()["accepted"] == 1
    given = feedback.given(store.redis, sorted_ticket, "category")
    assert given is not None
    assert given.agent_id == AGENT


def test_an_alternative_is_one_click_away(frame: Frame, sorted_ticket: int, store: Store) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    button = frame.page.locator("li").first.get_by_role("button")
    name = button.inner_text().removeprefix("Use ")
    button.click()
    expect(frame.page.get_by_text(f"It was corrected to {name}.")).to_be_visible()
    assert frame.form[FIELD] != SURE[2]
    assert store.funnel()["corrected"] == 1


def test_any_category_can_be_chosen(frame: Frame, sorted_ticket: int, store: Store) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    frame.page.get_by_label("Another category").select_option("Billing::Invoice")
    frame.page.get_by_role("button", name="Use it").click()
    expect(frame.page.get_by_text("It was corrected to Billing::Invoice.")).to_be_visible()
    assert frame.form == {FIELD: "invoice_question"}
    frame.page.reload()  # whoever opens it next sees what was said
    expect(frame.page.get_by_text("It was corrected to Billing::Invoice.")).to_be_visible()
    assert store.funnel()["corrected"] == 1


def test_the_keyboard_is_enough(frame: Frame, sorted_ticket: int, answering: Answering) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    accept = frame.page.get_by_role("button", name="Accept")
    expect(accept).to_be_visible()
    frame.page.keyboard.press("Tab")
    expect(accept).to_be_focused()
    frame.page.keyboard.press("Enter")
    expect(frame.page.get_by_text("You accepted it.")).to_be_visible()
    expect(accept).to_be_focused()
    for _ in range(5):  # two alternatives, the list, its button, why
        frame.page.keyboard.press("Tab")
    with answering():
        frame.page.keyboard.press("Space")
        why = frame.page.get_by_role("button", name="Why?")
        expect(frame.page.get_by_text("speaks for it").first).to_be_visible()
    expect(why).to_be_focused()
    expect(why).to_have_attribute("aria-expanded", "true")


def test_why_names_words_and_says_what_that_means(frame: Frame, sorted_ticket: int, answering: Answering) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    with answering():
        frame.page.get_by_role("button", name="Why?").click()
        place = frame.page.locator("[id^=why-]")
        expect(place).to_contain_text("not that it is right")
    expect(place.get_by_role("listitem")).to_have_count(6)
    expect(place).to_contain_text("demo@")
    frame.page.get_by_role("button", name="Why?").click()
    expect(place).to_be_hidden()


def test_weights_have_one_decimal_whole_ones_too(
    frame: Frame, sorted_ticket: int, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Answer(model="demo@1", label=SURE[2], words=(Word("refund", 3.0), Word("order", 2.06), Word("last", -1.0)))
    monkeypatch.setattr(explaining, "answer", lambda parts, name: asking.answer(parts.store.redis, name, said))
    frame.open(sorted_ticket, *SURE[:2])
    with answering():
        frame.page.get_by_role("button", name="Why?").click()
        rows = frame.page.locator("[id^=why-]").get_by_role("listitem")
        expect(rows).to_have_count(3)
    assert [one.rpartition(" ")[2].strip() for one in rows.all_inner_texts()] == ["+3.0", "+2.1", "-1.0"]


def test_without_a_worker_why_says_so_and_can_be_asked_again(
    frame: Frame, sorted_ticket: int, answering: Answering
) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    why = frame.page.get_by_role("button", name="Why?")
    why.click()
    expect(frame.page.get_by_role("alert")).to_have_text("No worker answers at the moment.")
    why.click()
    with answering():
        why.click()
        expect(frame.page.get_by_text("speaks for it").first).to_be_visible()


def test_a_conversations_own_words_are_weighed(frame: Frame, sorted_ticket: int, answering: Answering) -> None:
    """A messaging ticket's description is Zendesk's line."""
    said = [
        {"author": {"role": "end-user"}, "message": {"content": "Refund my order, please."}},
        {"author": {"role": "agent"}, "message": {"content": "Which one?"}},
    ]
    via = {"channel": "native_messaging"}
    frame.open(sorted_ticket, SURE[0], "Conversation with Ann", ticket__via=via, ticket__conversation=said)
    with answering():
        frame.page.get_by_role("button", name="Why?").click()
        expect(frame.page.get_by_text("speaks for it").first).to_be_visible()
    asked = json.loads(frame.asked[-1]["data"])
    assert asked == {"classifier": "category", "label": SURE[2], "description": "Refund my order, please."}


def test_presort_away_is_an_error_with_a_way_out(frame: Frame, sorted_ticket: int) -> None:
    frame.away = True
    frame.open(sorted_ticket, *SURE[:2])
    expect(frame.page.get_by_role("alert")).to_have_text("Presort cannot be reached.")
    frame.away = False
    frame.page.get_by_role("button", name="Try again").click()
    expect(frame.page.get_by_role("heading", level=1)).to_have_text("Orders::Refund")
    expect(frame.page.locator("main")).to_be_focused()


def test_another_secret_is_no_access(frame: Frame, sorted_ticket: int) -> None:
    frame.secret = "a-secret-that-nobody-configured-anywhere"
    frame.open(sorted_ticket, *SURE[:2])
    expect(frame.page.get_by_role("alert")).to_contain_text("Ask an admin to compare the app's shared secret")


def test_a_ticket_without_a_suggestion(frame: Frame, desk: Desk) -> None:
    ticket = desk.file()
    frame.open(ticket.ticket_id, *SURE[:2])
    expect(frame.page.get_by_text("No suggestion for this ticket")).to_be_visible()
    desk.classify(ticket)
    frame.page.get_by_role("button", name="Look again").click()
    expect(frame.page.get_by_role("heading", level=1)).to_have_text("Orders::Refund")


def test_a_closed_ticket_is_only_shown(frame: Frame, sorted_ticket: int) -> None:
    frame.open(sorted_ticket, *SURE[:2], status="closed")
    expect(frame.page.get_by_text("This ticket is closed")).to_be_visible()
    expect(frame.page.get_by_role("button")).to_have_count(1)  # why
    expect(frame.page.get_by_text("It could also be")).to_be_visible()


def test_a_form_that_lacks_the_field_is_said_and_nothing_is_noted(
    frame: Frame, sorted_ticket: int, store: Store
) -> None:
    frame.refuses = True
    frame.open(sorted_ticket, *SURE[:2])
    frame.page.get_by_role("button", name="Accept").click()
    expect(frame.page.get_by_role("status")).to_contain_text("The form did not take Orders::Refund")
    assert "accepted" not in store.funnel()


def test_several_labels_are_boxes(frame: Frame, desk: Desk, several: Predictor, store: Store) -> None:
    desk.parts.__dict__["predictors"] = {"category": several}
    desk.parts.publish_models()
    ticket = desk.file()
    desk.classify(ticket)
    frame.open(ticket.ticket_id, *SURE[:2])
    page = frame.page
    expect(page.get_by_role("checkbox", name="Orders::Refund")).to_be_checked()
    page.get_by_label("Another category").select_option("Billing::Invoice")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("checkbox", name="Billing::Invoice")).to_be_checked()
    page.get_by_role("button", name="Set these").click()
    expect(page.locator(".noted")).to_contain_text("It was corrected to")
    assert {SURE[2], "invoice_question"} <= set(frame.form[FIELD])
    assert store.funnel()["corrected"] == 1


def test_a_strangers_text_stays_text(frame: Frame, sorted_ticket: int, answering: Answering) -> None:
    evil = '<img/src=x/onerror="document.title=1"> refund'
    frame.open(sorted_ticket, evil, "", ticket__description=None)
    with answering():
        frame.page.get_by_role("button", name="Why?").click()
        expect(frame.page.get_by_text("speaks for it").first).to_be_visible()
    assert frame.page.locator("img").count() == 0
    assert frame.page.title() == "Presort"


@pytest.mark.parametrize(
    ("locale", "words"), [("de", "sehr wahrscheinlich"), ("fr-CA", "très probable"), ("xx", "very likely")]
)
def test_it_speaks_the_agents_language(frame: Frame, sorted_ticket: int, locale: str, words: str) -> None:
    frame.open(sorted_ticket, *SURE[:2], currentUser__locale=locale)
    expect(frame.page.locator("section")).to_contain_text(words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_sidebar_and_can_be_read_in_light_and_dark(
    frame: Frame, sorted_ticket: int, answering: Answering, scheme: str
) -> None:
    frame.open(sorted_ticket, *SURE[:2], colorScheme=scheme)
    with answering():
        frame.page.get_by_role("button", name="Why?").click()
        expect(frame.page.get_by_text("speaks for it").first).to_be_visible()
    assert frame.page.evaluate("document.documentElement.scrollWidth") <= 320
    for selector in ("body", "button.main", ".muted"):
        assert _contrast(frame.page, selector) >= 4.5, selector  # WCAG 2.2, 1.4.3
    brightness = _luminance(_colours(frame.page, "body")[1])
    assert brightness > 0.8 if scheme == "light" else brightness < 0.1


def test_the_app_asks_for_short_tokens_bound_to_the_ticket(frame: Frame, sorted_ticket: int) -> None:
    frame.open(sorted_ticket, *SURE[:2])
    expect(frame.page.get_by_role("heading", level=1)).to_be_visible()
    asked = frame.asked[0]["jwt"]
    assert asked["expiry"] == 60
    assert asked["claims"] == {"aud": "presort", "ticket_id": str(sorted_ticket), "agent_id": str(AGENT)}


def test_messaging_channels_are_the_workers() -> None:
    script = packing.files("https://presort.acme.com")["assets/app.js"].decode()
    listed = script.partition("STUB_CHANNELS = ")[2].partition(";")[0]
    assert frozenset(json.loads(listed)) == STUB_CHANNELS
    assert asking.LIFE_S == 60


def _colours(page: Page, selector: str) -> tuple[list[float], list[float]]:
    """Of an element's text and of what it stands on, red, green and blue from 0 to 255."""
    script = """(selector) => {
      const one = document.querySelector(selector);
      let ground = one;
      while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
      return [getComputedStyle(one).color, getComputedStyle(ground).backgroundColor]
        .map((colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
    }"""
    text, ground = page.evaluate(script, selector)
    return text, ground


def _luminance(colour: list[float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    shares = [part / 255 for part in colour]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(page: Page, selector: str) -> float:
    light, dark = sorted((_luminance(one) for one in _colours(page, selector)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
