"""What the sidebar app gets from Presort, and what it does not get."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import msgspec
import pytest
import requests

from demo.processes import free_port, process
from demo.sidebar import AGENT
from integration import asking, feedback, messages
from integration.agent_api import desk as limits
from integration.agent_api import routes
from integration.asking import Answer, Question
from integration.settings import Settings
from integration.store import Store
from integration.web.app import create_app
from model_export.bundle.predictor import Predictor
from tests.agent.conftest import HEX_SECRET, SECRET, Answering, Client, token
from tests.conftest import awaited
from tests.simulator.support import Running
from tests.worker.conftest import SURE, Desk
from worker import explaining
from worker.parts import Parts

WORDS = {"classifier": "category", "subject": SURE[0], "description": SURE[1]}


def sort(desk: Desk) -> int:
    """A ticket that Presort has filled."""
    ticket = desk.file()
    desk.classify(ticket)
    desk.work()
    return ticket.ticket_id


# Suggestions


def test_a_suggestion_is_shown_with_its_alternatives(client: Client, desk: Desk) -> None:
    ticket_id = sort(desk)
    (shown,) = client.ask("GET", ticket_id).json()["classifiers"]
    assert (shown["state"], shown["sure"], shown["several"], shown["feedback"]) == ("suggested", True, False, None)
    (answer,) = shown["answers"]
    assert (answer["option"], answer["name"]) == (SURE[2], "Orders::Refund")
    assert answer["probability"] > shown["alternatives"][0]["probability"] >= shown["alternatives"][1]["probability"]
    assert len(shown["alternatives"]) == 2
    assert len(shown["choices"]) == len({one["option"] for one in shown["choices"]}) == 10


def test_after_presort_forgot_a_ticket_its_history_tells(client: Client, desk: Desk, store: Store) -> None:
    ticket_id = sort(desk)
    (before,) = client.ask("GET", ticket_id).json()["classifiers"]
    store.redis.delete(f"presort:ticket:{ticket_id}:category")
    (after,) = client.ask("GET", ticket_id).json()["classifiers"]
    assert after == before


def test_states_without_a_suggestion(client: Client, desk: Desk, store: Store) -> None:
    unsorted = desk.file()
    assert client.ask("GET", unsorted.ticket_id).json()["classifiers"][0]["state"] == "nothing"
    awaited(store, unsorted.ticket_id, time.time())
    assert client.ask("GET", unsorted.ticket_id).json()["classifiers"][0]["state"] == "waiting"
    empty = desk.file("", " ")
    desk.classify(empty)
    (shown,) = client.ask("GET", empty.ticket_id).json()["classifiers"]
    assert (shown["state"], shown["why"]) == ("skipped", "no_text")
    answer = client.ask("GET", 999_999)
    assert (answer.status_code, answer.json()["error"]) == (404, "no_ticket")


def test_a_zendesk_that_is_down_is_said(client: Client, desk: Desk, zendesk: Running) -> None:
    ticket_id = desk.file().ticket_id
    zendesk.post("/simulator/faults", {"down": True})
    answer = client.ask("GET", ticket_id)
    assert (answer.status_code, answer.json()["error"]) == (503, "zendesk")


def test_several_labels_are_several_answers(client: Client, desk: Desk, parts: Parts, several: Predictor) -> None:
    parts.__dict__["predictors"] = {"category": several}
    parts.publish_models()
    ticket = desk.file()
    desk.classify(ticket)
    (shown,) = client.ask("GET", ticket.ticket_id).json()["classifiers"]
    assert shown["several"] is True
    assert SURE[2] in [one["option"] for one in shown["answers"]]


# Who may ask


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        (lambda: "", "no bearer token"),
        (lambda: "nonsense", "not the app's"),
        (lambda: token(1, "a-secret-that-nobody-configured-anywhere"), "matches no secret"),
        (lambda: token(1, life_s=-30), "expired"),
        (lambda: token(1, life_s=3600), "longer than 60 s"),
        (lambda: token(1, aud="someone else"), "not the app's"),
        (lambda: token(1, aud=None), "not the app's"),
        (lambda: token(1, exp=None), "not the app's"),
        (lambda: token(1, agent_id=None), "not the app's"),
        (lambda: token(1, ticket_id="one"), "not the app's"),
        (lambda: token(1, agent_id="9" * 4000), "not the app's"),
        (lambda: token(2), "another ticket"),
        (lambda: token(1, SECRET * 2, algorithm="HS512"), "not the app's"),
        (lambda: jwt.encode({"exp": int(time.time() + 60), "aud": "presort"}, "", algorithm="none"), "not the app's"),
    ],
)
def test_who_is_not_the_app_is_refused(client: Client, bearer: Callable[[], str], reason: str) -> None:
    for method, path in (("GET", ""), ("POST", "/why"), ("POST", "/feedback")):
        answer = client.ask(method, 1, path, WORDS if method == "POST" else None, bearer=bearer())
        assert (answer.status_code, answer.json()["error"]) == (401, "no_access")
        assert reason in answer.json()["reason"]


def test_a_refusal_tells_no_byte_of_what_stands_in_for_a_token(client: Client) -> None:
    """Zendesk's proxy puts the secret there, if an agent's request says so."""
    told = {client.ask("GET", 1, bearer=f"{secret}.e30.x").json()["reason"] for secret in ("abcd" * 8, "_9x7" * 8)}
    assert told == {"the token is not the app's: DecodeError"}


def test_any_of_the_secrets_will_do(client: Client, desk: Desk) -> None:
    ticket_id = sort(desk)
    bearer = token(ticket_id, HEX_SECRET)
    assert client.ask("GET", ticket_id, bearer=bearer).status_code == 200


def test_no_other_origin_is_let_in(client: Client, desk: Desk) -> None:
    """Requests come through Zendesk's proxy: a page elsewhere has no business here."""
    answer = client.ask("GET", sort(desk))
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_without_a_secret_there_is_no_sidebar(config: Settings) -> None:
    http = create_app(config).test_client()
    assert http.get("/agent/tickets/1").status_code == 404
    assert http.get("/healthz").json == {"status": "ok"}


def test_the_command_serves_it(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    environ = {"PRESORT_CONFIG": str(path), "PRESORT_REDIS_URL": redis_url, "PRESORT_ZENDESK_CLIENT_SECRET": "c"}
    port = free_port()
    command = [str(Path(sys.executable).with_name("presort")), "console", "--bind", f"127.0.0.1:{port}"]
    serving = process(command, log=tmp_path / "log", port=port, environ=environ | {"PRESORT_AGENT_SECRETS": SECRET})
    with serving:
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).json() == {"status": "ok"}
        assert requests.get(f"http://127.0.0.1:{port}/agent/tickets/1", timeout=5).status_code == 401


def test_one_agent_cannot_ask_without_end(client: Client, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "AGENT_REQUESTS_PER_MINUTE", 3)
    ticket_id = sort(desk)
    answers = [client.ask("GET", ticket_id).status_code for _ in range(10)]
    assert answers[:3] == [200] * 3
    assert 429 in answers  # a minute may end between two of them
    other = token(ticket_id, agent_id="7002")
    assert client.ask("GET", ticket_id, bearer=other).status_code == 200


def test_all_agents_together_cannot_use_up_zendesks_limits(
    client: Client, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HISTORIES_PER_MINUTE", 2)
    ticket_id = desk.file().ticket_id
    answers = [client.ask("GET", ticket_id, bearer=token(ticket_id, agent_id=str(one))) for one in range(6)]
    assert "too_many" in {one.json().get("error") for one in answers}


# Why


def test_a_worker_says_which_words_weighed(client: Client, desk: Desk, answering: Answering, store: Store) -> None:
    ticket_id = sort(desk)
    with answering():
        answer = client.ask("POST", ticket_id, "/why", WORDS | {"label": SURE[2]})
    told = answer.json()
    assert answer.status_code == 200
    assert "".join(one["text"] for one in told["words"]) == (SURE[0] + SURE[1]).replace(" ", "")
    assert sum(one["weight"] > 0 for one in told["words"]) > len(told["words"]) / 2
    assert told["labels"][0]["name"] == told["name"] == "Orders::Refund"
    assert len(told["labels"]) == 3, "the app needs no more"
    assert told["ms"] > 0
    assert store.redis.keys("presort:question:*") == store.redis.keys("presort:answer:*") == []


@pytest.mark.parametrize("text", ['"%s"', '"my %s, please"', '"\\u%s"', '{"no": "%s"}'])
def test_the_secret_cannot_be_had_as_a_word(client: Client, desk: Desk, answering: Answering, text: str) -> None:
    """Zendesk's proxy puts the secret wherever an agent's request says so, into an escape of JSON's too."""
    ticket_id = sort(desk)
    body = '{"classifier": "category", "description": ' + text % HEX_SECRET + "}"
    headers = {"Authorization": f"Bearer {token(ticket_id)}"}
    with answering():
        answer = client.http.post(f"{client.url}/agent/tickets/{ticket_id}/why", body, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert HEX_SECRET[4:] not in answer.text


def test_without_a_worker_the_question_is_taken_back(
    client: Client, desk: Desk, parts: Parts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ANSWER_S", 0.2)
    ticket_id = sort(desk)
    for _ in range(2):
        answer = client.ask("POST", ticket_id, "/why", WORDS)
        assert (answer.status_code, answer.json()["error"]) == (503, "no_worker")
        parts.heartbeat()  # the second time there is one, but it has no time
    (message,) = store.redis.lrange(messages.UPKEEP_QUEUE, 0, -1)
    assert SURE[1] not in str(message)
    assert store.redis.keys("presort:question:*") == []


def test_a_crowd_is_sent_away_at_once(parts: Parts, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING", 1)
    at_work = limits.Desk(parts.config)
    parts.heartbeat()
    question = Question(classifier="category", description=SURE[1])
    with ThreadPoolExecutor(1) as first:
        waiting = first.submit(at_work.ask, question)
        while not (keys := store.redis.keys("presort:question:*")):
            time.sleep(0.01)
        with pytest.raises(limits.Refused) as refused:
            at_work.ask(question)
        assert (refused.value.status, refused.value.code) == (503, "busy")
        explaining.answer(parts, str(keys[0]).rpartition(":")[2])
        assert waiting.result().label == SURE[2]
    monkeypatch.setattr(limits, "ANSWER_S", 0.1)
    with pytest.raises(limits.Refused, match="no worker answered"):  # there is room again
        at_work.ask(question)


def test_ticket_text_reaches_no_log(
    client: Client, desk: Desk, answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    ticket_id = sort(desk)
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="presort")
    with answering():
        assert client.ask("POST", ticket_id, "/why", WORDS).status_code == 200
        broken = client.ask("POST", ticket_id, "/why", WORDS | {"subject": ["hush"]})
    assert (broken.status_code, broken.json()["error"]) == (400, "bad_request")
    assert "hush" not in broken.text + caplog.text
    assert SURE[1] not in caplog.text


def test_a_question_that_nobody_waits_for_costs_nothing(store: Store) -> None:
    asking.put(store.redis, "q", Question(classifier="category", description=SURE[1]))
    assert 0 < store.redis.ttl("presort:question:q") <= asking.LIFE_S
    assert asking.await_answer(store.redis, "q", 0.05, Answer) is None
    assert asking.take(store.redis, "q", Question) is None


# Feedback


def test_feedback_is_counted_once(client: Client, desk: Desk, store: Store) -> None:
    ticket_id = sort(desk)
    body = {"classifier": "category", "into": [SURE[2]]}
    assert client.ask("POST", ticket_id, "/feedback", body).json() == {"recorded": True, "verdict": "accepted"}
    other = {"classifier": "category", "into": ["delivery_delay"]}
    assert client.ask("POST", ticket_id, "/feedback", other).json() == {"recorded": False, "verdict": "corrected"}
    funnel = store.funnel()
    assert (funnel["accepted"], funnel.get("corrected")) == (1, None)
    given = feedback.given(store.redis, ticket_id, "category")
    assert given is not None
    assert (given.agent_id, given.answers, given.into) == (AGENT, (SURE[2],), (SURE[2],))
    (shown,) = client.ask("GET", ticket_id).json()["classifiers"]
    assert shown["feedback"] == {"verdict": "accepted", "into": [SURE[2]]}


def test_a_correction_moves_the_funnel(client: Client, desk: Desk, store: Store) -> None:
    ticket_id = sort(desk)
    (shown,) = client.ask("GET", ticket_id).json()["classifiers"]
    into = [shown["alternatives"][0]["option"]]
    answer = client.ask("POST", ticket_id, "/feedback", {"classifier": "category", "into": into})
    assert answer.json() == {"recorded": True, "verdict": "corrected"}
    assert store.funnel()["corrected"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"classifier": "category", "into": ["made up"]}, 400, "unknown_option"),
        ({"classifier": "category", "into": []}, 400, "bad_request"),
        ({"classifier": "other", "into": ["refund_request"]}, 404, "bad_request"),
        ([], 400, "bad_request"),
    ],
)
def test_feedback_of_no_form_is_refused(client: Client, desk: Desk, body: object, status: int, code: str) -> None:
    answer = client.ask("POST", sort(desk), "/feedback", body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_there_is_nothing_to_say_of_no_suggestion(client: Client, desk: Desk, store: Store) -> None:
    body = {"classifier": "category", "into": [SURE[2]]}
    answer = client.ask("POST", desk.file().ticket_id, "/feedback", body)
    assert (answer.status_code, answer.json()["error"]) == (409, "nothing_suggested")
    assert "accepted" not in store.funnel()


def test_an_outage_of_redis_is_said(config: Settings) -> None:
    away = msgspec.structs.replace(config, redis_url="redis://127.0.0.1:9/0", agent_secrets=(SECRET,))
    headers = {"Authorization": f"Bearer {token(1)}"}
    answer = create_app(away).test_client().get("/agent/tickets/1", headers=headers)
    assert (answer.status_code, json.loads(answer.data)["error"]) == (503, "unavailable")
