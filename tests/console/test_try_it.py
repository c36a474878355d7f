"""A text, asked of a worker's own code with the demo's model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import expect

from integration import asking, messages
from integration.agent_api import desk
from integration.asking import Word
from integration.console import try_it
from integration.console.try_it import Shade, heaviest, shades, verdict
from integration.controls import Controls
from integration.settings import Settings
from integration.store import Store
from model_export.bundle.predictor import Predictor
from tests.chromium import chromium
from tests.console.conftest import EVIL, Serve, Visitor
from tests.console.test_browser import faults, sign_in
from tests.console.test_pages import words
from tests.console.working import working
from tests.test_store import decision
from tests.worker.conftest import SURE, predictor
from worker.parts import Parts

__all__ = ["predictor"]  # a fixture, for this file too


@pytest.fixture
def parts(console_config: Settings, predictor: Predictor) -> Parts:
    made = Parts(console_config)
    made.__dict__["predictors"] = {"category": predictor}  # loaded once a session
    return made


@pytest.fixture
def asked(anna: Visitor, parts: Parts) -> Iterator[Visitor]:
    parts.publish_models()
    with working(parts):
        yield anna


def ask(visitor: Visitor, subject: str = SURE[0], description: str = SURE[1]) -> str:
    return words(
        visitor.post("/try-it/?classifier=category", page="/try-it/", subject=subject, description=description)
    )


def test_probabilities_decision_words_and_milliseconds(asked: Visitor, store: Store) -> None:
    text = ask(asked)
    assert "It would be filled: Orders::Refund . The model was sure enough." in text
    assert re.search(r"Orders::Refund 9\d\.\d% 80%", text)
    assert "App::Bug" in text
    assert "Words that weighed for Orders::Refund Refund request I would like" in text
    assert "for it" in text
    assert " ms in the worker" in text
    assert store.funnel() == {}, "it is no ticket"
    assert store.redis.keys("presort:question:*") == []


def test_every_category_is_there_the_unlikely_ones_folded(
    asked: Visitor, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_it, "LIKELIEST", 3)
    text = ask(asked)
    shown, _, rest = text.partition(" more, together ")
    folded = int(shown.rpartition(" ")[2])
    assert folded == len(predictor.manifest.labels) - 3
    assert re.match(r"\d\.\d% All other categories", rest)
    table = text.partition("The likeliest categories")[2].partition(" ms in the worker")[0]
    assert all(f"{label.name} " in table for label in predictor.manifest.labels)
    assert len(re.findall(r"\d% (?:\d+%|never)", table)) == len(predictor.manifest.labels)


def test_the_unlikely_ones_are_a_click_away(asked: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(try_it, "LIKELIEST", 3)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 320, "height": 640}, base_url=asked.url)
        page.goto("/")
        sign_in(page)
        page.goto("/try-it/")
        page.get_by_label("Subject").fill(SURE[0])
        page.get_by_label("Text").fill(SURE[1])
        page.get_by_role("button", name="Ask the model").click()
        others = page.get_by_role("table", name="All other categories")
        expect(page.get_by_role("table", name="The likeliest categories").get_by_role("row")).to_have_count(1 + 3)
        expect(others).to_be_hidden()
        page.get_by_text("more, together").click()
        expect(others).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert list(faults(page, "try it")) == []


def test_the_decision_is_the_one_a_ticket_would_get(asked: Visitor, store: Store) -> None:
    Controls(store.redis).demote("category", SURE[2], "why")
    assert "It would be suggested only: Orders::Refund . The category is demoted" in ask(asked)


def test_a_hostile_text_stays_text(asked: Visitor) -> None:
    answer = asked.post("/try-it/?classifier=category", page="/try-it/", subject=EVIL, description=f"</textarea>{EVIL}")
    assert answer.ok
    assert EVIL not in answer.text
    assert "</textarea>&lt;" not in answer.text
    assert "&lt;script&gt;document" in answer.text


@pytest.mark.parametrize(
    ("description", "status", "text"),
    [("  ", 400, "Paste a subject or a text."), ("x" * 20_001, 413, "longer than 20,000 characters")],
)
def test_nothing_or_too_much(anna: Visitor, description: str, status: int, text: str) -> None:
    answer = anna.post("/try-it/", page="/try-it/", subject="", description=description)
    assert (answer.status_code, text in words(answer)) == (status, True)


def test_a_text_of_nothing_the_model_reads(asked: Visitor) -> None:
    assert "Nothing would be written . It has no text." in ask(asked, "", "<br><br>")


def test_without_a_worker(anna: Visitor) -> None:
    answer = anna.post("/try-it/", page="/try-it/", subject="a", description=EVIL)
    assert answer.status_code == 503
    assert "No worker answered. Is one running?" in words(answer)
    assert "&lt;script&gt;document" in answer.text, "what was pasted is not lost"


def test_a_worker_that_does_not_come_for_it(anna: Visitor, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "ANSWER_S", 0.1)
    parts.heartbeat()
    assert "no worker answered in 0 s" in ask(anna)
    assert asking.take(parts.store.redis, "any", asking.Question) is None
    assert parts.store.redis.keys("presort:question:*") == []


def test_too_many_in_a_minute(anna: Visitor, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.heartbeat()
    monkeypatch.setattr("integration.console.try_it.QUESTIONS_PER_MINUTE", 0)
    assert "asked very often in the last minute" in ask(anna)


def test_too_many_at_once(serve: Serve, parts: Parts, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.redis.dbsize() == 0
    monkeypatch.setattr(desk, "WAITING", 0)
    visitor = Visitor(serve(parts.config))
    visitor.sign_in()
    parts.heartbeat()
    assert "only a few may wait at once" in ask(visitor)


def test_an_error_in_the_worker(anna: Visitor, parts: Parts) -> None:
    parts.__dict__["predictors"] = {}
    with working(parts):
        assert "The worker could not answer; its log says why." in ask(anna)


def test_the_answer_that_an_agent_waits_for_has_no_decision(parts: Parts, store: Store) -> None:
    """It costs another run of the model."""
    question = asking.Question(classifier="category", subject=SURE[0], description=SURE[1])
    for decide in (False, True):
        asking.put(store.redis, "q", msgspec.structs.replace(question, decide=decide))
        with working(parts):
            store.redis.lpush(messages.UPKEEP_QUEUE, MESSAGE)
            found = asking.await_answer(store.redis, "q", 4, asking.Answer)
        assert found is not None
        assert (found.decision is not None) is decide


MESSAGE = '{"headers": {"task": "presort.ask"}, "body": "W1t7ImlkIjogInEifV1d"}'
"""As Celery lays ``Ask(id="q")`` down: its body is base64 of ``[[{"id": "q"}]]``."""


def test_a_word_is_as_dark_as_its_weight_is_against_the_heaviest() -> None:
    found = shades((Word("a", 2.0), Word("b", -1.0), Word("c", 0.1), Word("d", 0.3)))
    assert found == ([Shade("a", 4), Shade("b", -3), Shade("c", 0), Shade("d", 1)])
    assert shades((Word("a", 0.0),)) == [Shade("a", 0)]
    assert shades(()) == []
    assert [one.text for one in heaviest((Word("a", 0.1), Word("b", -2.0), Word("c", 0.001)))] == ["b", "a"]


def test_what_would_be_done_in_words() -> None:
    assert verdict(decision(), {"refund": "Refund"}) == ("It would be filled: Refund", "The model was sure enough.")
    foreign = decision(action="suggest", reason="other_language", language="fr")
    assert verdict(foreign, {}) == (
        "It would be suggested only: refund",
        "It is in a language the model was not made for (its language is fr).",
    )
