"""The whole way with the processes users run: gunicorn, Celery workers, beat, Redis, the local Zendesk."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from demo.processes import process, stop
from demo.sidebar import token
from demo.stage import AGENT_SECRET, PASSWORD, Stage, call, stage
from integration import asking, backfills, embedded_redis, messages, outcomes
from integration.asking import Answer, Question
from integration.controls import Controls
from integration.messages import Ask
from integration.publisher import create_celery, publish
from integration.records import Record
from integration.store import Store
from integration.zendesk import signature
from tests.console.conftest import Visitor
from tests.worker.conftest import SURE

HTML = f"<html><body><p>{SURE[1]}</p><br><div>Thanks</div></body></html>"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patched, stage(_json_logs(patched, tmp_path_factory)) as running:
        _until(lambda: len(Store(running.redis_url).workers()) == 2, "two workers")
        yield running


def _json_logs(patched: pytest.MonkeyPatch, folders: pytest.TempPathFactory) -> Path:
    patched.setenv("PRESORT_LOG", "json")
    return folders.mktemp("stage")


@pytest.fixture
def memory(running: Stage) -> Store:
    return Store(running.redis_url)


def file(running: Stage, subject: str = SURE[0], description: str = SURE[1], **more: object) -> int:
    """A customer's ticket; its webhook is on the way."""
    ticket_id = call(
        f"{running.zendesk_url}/simulator/tickets", {"subject": subject, "description": description, **more}
    )["id"]
    return int(ticket_id)


def outcome(memory: Store, ticket_id: int) -> Record:
    """Wait for what becomes of a ticket."""

    def finished() -> bool:
        record = memory.ticket(ticket_id, "category")
        return record is not None and record.outcome is not None

    def where() -> str:
        return f"an outcome for ticket {ticket_id}, of {memory.unanswered(time.time(), 9)}; {memory.depths()}"

    _until(finished, where)
    record = memory.ticket(ticket_id, "category")
    assert record is not None
    return record


def test_a_ticket_is_filled(running: Stage, memory: Store) -> None:
    ticket_id = file(running)
    assert outcome(memory, ticket_id).outcome == "filled"
    shown = call(f"{running.zendesk_url}/simulator/tickets/{ticket_id}")["ticket"]
    assert shown["fields"]["Category"] == SURE[2]


def test_a_worker_answers_what_a_person_asks_of_its_model(running: Stage, memory: Store) -> None:
    asking.put(memory.redis, "q", Question(classifier="category", subject=SURE[0], description=SURE[1]))
    publish(create_celery("a test", running.redis_url), messages.ASK, Ask(id="q"))
    found = asking.await_answer(memory.redis, "q", 4, Answer)
    assert found is not None
    assert (found.label, found.error) == (SURE[2], None)
    assert found.words


@pytest.mark.parametrize(
    ("subject", "description", "expected"),
    [
        ("", " ", "left_alone"),
        ("", "\x00\x00", "left_alone"),
        (SURE[0], SURE[1] + "\x00" + " filler" * 25_000, "filled"),
        ("", HTML, "filled"),
        ("🙈", "🎉👩‍👩‍👧" * 40, None),
        ("سؤال", "أين طلبي؟ لم يصل بعد", None),
    ],
)
def test_unusual_tickets_get_their_decision(
    running: Stage, memory: Store, subject: str, description: str, expected: str | None
) -> None:
    found = outcome(memory, file(running, subject, description)).outcome
    assert found == expected or (expected is None and found in {"filled", "suggested"})


def test_old_tickets_are_sorted_beside_new_ones(running: Stage, memory: Store) -> None:
    call(f"{running.zendesk_url}/simulator/faults", {"drop": 1.0})  # of these no webhook tells
    old = [file(running) for _ in range(120)]
    call(f"{running.zendesk_url}/simulator/faults", {})
    backfills.start(memory.redis, "a test", old, time.time())
    assert outcome(memory, file(running)).outcome == "filled"

    def done() -> bool:
        found = backfills.current(memory.redis)
        return found is not None and found.state == "done"

    _until(done, "the backfill to end")
    found = backfills.current(memory.redis)
    assert found
    assert (found.left, found.results) == (0, {"filled": len(old)})


def test_webhooks_that_come_twice_write_once(running: Stage, memory: Store) -> None:
    call(f"{running.zendesk_url}/simulator/faults", {"duplicate": 1.0, "shuffle": 0.5})
    before = call(f"{running.zendesk_url}/simulator/summary")["updates"]
    tickets = [file(running) for _ in range(20)]
    assert {outcome(memory, one).outcome for one in tickets} == {"filled"}
    call(f"{running.zendesk_url}/simulator/faults", {})
    assert call(f"{running.zendesk_url}/simulator/summary")["updates"] - before == len(tickets)


def test_a_pause_holds_all_workers_and_costs_no_decision(running: Stage, memory: Store) -> None:
    controls = Controls(memory.redis)
    _until(lambda: not any(memory.depths().values()), "the second messages of tickets that came twice to be gone")
    before = call(f"{running.zendesk_url}/simulator/summary")["updates"]
    controls.throw(paused=True, by="anna")
    try:
        tickets = [file(running) for _ in range(20)]
        _until(lambda: memory.waiting(messages.WRITE) == len(tickets), "all decisions to wait")
        assert all(memory.ticket(one, "category") for one in tickets)
        assert call(f"{running.zendesk_url}/simulator/summary")["updates"] == before
    finally:
        controls.throw(paused=False, by="anna")
    assert {outcome(memory, one).outcome for one in tickets} == {"filled"}
    assert call(f"{running.zendesk_url}/simulator/summary")["updates"] - before == len(tickets)


def test_poisonous_messages_are_parked_and_the_workers_go_on(running: Stage, memory: Store) -> None:
    """Whatever is in a message: no loop, no dead worker, no text in a log; what came with it is worked on."""
    celery = create_celery("test", running.redis_url)
    text = {"subject": "Zanzibar", "description": "zanzibar"}
    ticket = {"ticket_id": 1, "received_at": time.time()}
    poison: list[tuple[str, list[object]]] = [
        (messages.CLASSIFY, [None]),
        (messages.CLASSIFY, []),
        (messages.CLASSIFY, [text]),
        (messages.CLASSIFY, [ticket | {"received_at": float("nan")}]),
        (messages.CLASSIFY, [ticket | {"created_at": float("inf")}]),
        (messages.WRITE, [{"decisions": [{"id": "half a pair \ud800"}]}]),
        (messages.WRITE, [{"decisions": 5}]),
        (messages.CONFIRM, ["job"]),
        ("presort.of_a_newer_release", [text]),
    ]
    before = len(memory.parked())
    for task, args in poison:
        celery.send_task(task, args=args, queue=messages.QUEUES.get(task, messages.TICKETS_QUEUE), argsrepr="()")
    for body in ("{}", "[1]", "null", "no JSON"):
        celery.send_task("presort.scratch", args=[], queue="presort.scratch")
        envelope = json.loads(str(memory.redis.rpop("presort.scratch")))
        envelope["headers"]["task"] = messages.CLASSIFY
        envelope["body"] = base64.b64encode(body.encode()).decode()
        memory.redis.lpush(messages.TICKETS_QUEUE, json.dumps(envelope))
    entries = ["no JSON", "5", "[]", "null", "{}", '{"properties": {}}', "[" * 100_000, json.dumps({"body": text})]
    entries.append(json.dumps(envelope | {"body": "x"}))
    memory.redis.lpush(messages.TICKETS_QUEUE, *entries)
    tickets = [file(running) for _ in range(5)]
    assert {outcome(memory, one).outcome for one in tickets} == {"filled"}
    expected = len(poison) + 4 + len(entries)
    _until(lambda: len(memory.parked()) - before == expected, "all poison to be parked")
    assert all(running.children[name].poll() is None for name in ("worker-1", "worker-2"))
    for name in ("worker-1.log", "worker-2.log"):
        assert "zanzibar" not in (running.logs / name).read_text(encoding="utf-8").lower()
    memory.redis.delete("presort:parked")


def test_workers_read_the_export_and_look_back(running: Stage, memory: Store) -> None:
    """What beat asks for every few minutes."""
    outcomes.await_judgement(memory.redis, [1])
    celery = create_celery("test", running.redis_url)
    for task in (messages.RECONCILE, messages.JUDGE):
        publish(celery, task, {})
    _until(lambda: outcomes.caught_up_at(memory.redis) is not None, "the export to be read")
    _until(lambda: outcomes.unjudged(memory.redis) == 0, "a look back")


def test_a_hanging_redis_is_answered_with_503_in_time(running: Stage) -> None:
    """Zendesk gives up after 12 s; the receiver must have said "come again" long before."""
    timestamp = datetime.now(UTC).isoformat()
    body = b'{"ticket_id": 4711}'
    headers = {
        "Content-Type": "application/json",
        signature.TIMESTAMP_HEADER: timestamp,
        signature.SIGNATURE_HEADER: signature.sign(running.environ["PRESORT_WEBHOOK_SECRETS"], timestamp, body),
    }
    process = int(str(Store(running.redis_url).redis.info("server")["process_id"]))
    os.kill(process, signal.SIGSTOP)
    try:
        answers = [
            requests.post(f"{running.receiver_url}/webhooks/zendesk", body, headers=headers, timeout=8)
            for _ in range(2)
        ]
        assert requests.get(f"{running.receiver_url}/healthz", timeout=3).status_code == 200
    finally:
        os.kill(process, signal.SIGCONT)
    assert [(one.status_code, one.headers["Retry-After"]) for one in answers] == [(503, "30")] * 2


def test_a_tickets_id_leads_through_all_logs(running: Stage, memory: Store) -> None:
    """Every line of every process is JSON; a ticket's lines name it, in the order of its way."""
    ticket_id = file(running)
    outcome(memory, ticket_id)
    lines = [
        json.loads(line)
        for name in ("receiver", "worker-1", "worker-2", "beat")
        for line in (running.logs / f"{name}.log").read_text(encoding="utf-8").splitlines()
    ]
    way = sorted((one for one in lines if one.get("ticket") == ticket_id), key=lambda one: one["at"])
    told = [(one["logger"], one["message"]) for one in way if not one["message"].startswith("waits")]
    assert [message for _, message in told] == ["queued", "decided", "sent", "filled"]
    record = memory.ticket(ticket_id, "category")
    assert record
    assert {one.get("decision") for one in way[1:]} == {record.decision.id}
    assert {one.get("classifier") for one in way[1:]} == {"category"}


def test_what_workers_measure_reaches_the_receivers_metrics(running: Stage, memory: Store) -> None:
    """With their next heartbeat."""
    outcome(memory, file(running))

    def shown() -> bool:
        lines = requests.get(f"{running.receiver_url}/metrics", timeout=5).text.splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        wanted = ("presort_written_seconds_count", "presort_inference_seconds_count")
        assert float(found.get('presort_webhooks_total{status="accepted"}', 0)) >= 1, (
            "the receiver's own are there at once"
        )
        return all(float(found.get(f'{name}{{classifier="category"}}', 0)) >= 1 for name in wanted)

    _until(shown, "the workers to tell what they measured")


def test_no_log_holds_text_or_secrets(running: Stage, memory: Store) -> None:
    ticket_id = file(running, *XYLOPHONE)
    outcome(memory, ticket_id)
    admin_tries_a_text(running, ticket_id)
    agent_asks_why(running, ticket_id)
    logs = {path.name: path.read_text(encoding="utf-8") for path in running.logs.glob("*.log")}
    assert {"receiver.log", "worker-1.log", "beat.log", "console.log"} <= logs.keys()
    for event in ("wrong password", "signed in from", "refused with 401", "refused with 400", '"feedback"'):
        assert event in logs["console.log"], "the console was not used as it should be"
    secrets = [
        *("PRESORT_WEBHOOK_SECRETS", "PRESORT_ZENDESK_CLIENT_SECRET", "PRESORT_ALERT_URLS"),
        *("PRESORT_CONSOLE_PASSWORD", "PRESORT_AGENT_SECRETS"),
    ]
    for name, text in logs.items():
        for word in ("xylophone", "instead of my order", *SURE[:2]):
            assert word.lower() not in text.lower(), name
        for secret in (*(running.environ[one] for one in secrets), "a-wrong-password", A_TOKEN):
            assert secret not in text, (name, secret)


A_TOKEN = "eyJ"
"""How every one begins: ``{"`` in base64."""

XYLOPHONE = ("Xylophone", "A xylophone arrived instead of my order, please refund it.")


def admin_tries_a_text(running: Stage, ticket_id: int) -> None:
    """Goes in at the second try, opens the ticket, asks for it by its words, and has the same text judged."""
    anna, (subject, description) = Visitor(running.console_url), XYLOPHONE
    assert anna.sign_in("a-wrong-password").status_code == 403
    assert anna.sign_in(PASSWORD).ok
    assert anna.get(f"/tickets/{ticket_id}").ok
    anna.get(f"/tickets/?ticket={subject}")
    told = anna.post("/try-it/", page="/try-it/", subject=subject, description=description)
    assert (told.status_code, "It would be" in told.text) == (200, True)
    too_long = anna.post("/try-it/", page="/try-it/", subject=subject, description=description * 2000)
    assert too_long.status_code == 413
    forged = anna.http.post(f"{anna.url}/try-it/", data={"csrf_token": "x", "subject": subject}, timeout=10)
    assert forged.status_code == 400


def agent_asks_why(running: Stage, ticket_id: int) -> None:
    """Looks, asks why and accepts; with tokens that are no good, and with bodies that are none."""
    url = f"{running.console_url}/agent/tickets/{ticket_id}"

    def ask(path: str, body: object = None, secret: str = AGENT_SECRET) -> requests.Response:
        bearer = {"Authorization": f"Bearer {token(ticket_id, secret)}"}
        if body is None:
            return requests.get(url + path, headers=bearer, timeout=20)
        return requests.post(url + path, json=body, headers=bearer, timeout=20)

    shown = ask("").json()["classifiers"][0]
    assert shown["state"] == "suggested"
    why = {"classifier": "category", "subject": XYLOPHONE[0], "description": XYLOPHONE[1]}
    assert ask("/why", why).ok
    assert ask("/feedback", {"classifier": "category", "into": [shown["answers"][0]["option"]]}).ok
    assert ask("", secret=AGENT_SECRET.swapcase()).status_code == 401
    assert ask("/why", why | {"subject": [XYLOPHONE[1]]}).status_code == 400
    assert ask("/why", why | {"description": AGENT_SECRET}).status_code == 400
    assert ask("/feedback", {"classifier": "category", "into": ["xylophone"]}).status_code == 400


def test_a_killed_workers_tickets_come_back(running: Stage, memory: Store) -> None:
    """SIGKILL in the middle of a batch: the other worker gets its messages after the visibility timeout."""
    doomed, other = running.children["worker-1"], running.children["worker-2"]
    before = call(f"{running.zendesk_url}/simulator/summary")["updates"]
    other.send_signal(signal.SIGSTOP)
    tickets = [file(running) for _ in range(60)]
    _until(lambda: memory.depths()["unacknowledged"] > 0, "the worker to take messages")
    doomed.kill()
    doomed.wait()
    assert memory.depths()["unacknowledged"] > 0, "the worker was killed too late to hold anything"
    other.send_signal(signal.SIGCONT)
    assert {outcome(memory, one).outcome for one in tickets} == {"filled"}
    assert call(f"{running.zendesk_url}/simulator/summary")["updates"] - before == len(tickets)


def test_a_full_redis_costs_no_connections(running: Stage, memory: Store) -> None:
    """Workers that connect while it refuses what Celery asks of it wait, and do not connect anew for each refusal."""
    bound = str(memory.redis.config_get("maxmemory")["maxmemory"])
    before = len(memory.redis.client_list())
    memory.redis.config_set("maxmemory", "1")
    try:
        memory.redis.execute_command("CLIENT", "KILL", "TYPE", "normal")  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        time.sleep(12)  # a heartbeat and a look for held messages come every 10 s
        during = len(memory.redis.client_list())
    finally:
        memory.redis.config_set("maxmemory", bound)
    assert during <= before + 50  # each new try kept four: that would be hundreds
    assert outcome(memory, file(running)).outcome == "filled"


def test_a_restarted_redis_loses_nothing_and_the_workers_take_up_again(tmp_path: Path) -> None:
    with stage(tmp_path) as running:
        memory = Store(running.redis_url)
        _until(lambda: len(memory.workers()) == 2, "two workers")
        tickets = [file(running) for _ in range(40)]
        memory.redis.shutdown()
        port = urlsplit(running.redis_url).port
        assert port
        with process(embedded_redis.command(tmp_path / "redis", port), log=tmp_path / "redis.log", port=port):
            tickets += [file(running) for _ in range(10)]
            assert {outcome(memory, one).outcome for one in tickets} == {"filled"}
            _until(lambda: len(memory.workers()) == 2, "both workers to be heard of again")
            # A batch of one, too: the timers must have been started anew.
            assert outcome(memory, file(running)).outcome == "filled"
            assert call(f"{running.zendesk_url}/simulator/summary")["updates"] == len(tickets) + 1
            for name in ("beat", "worker-1", "worker-2", "receiver"):  # before their Redis
                stop(running.children[name])


def test_the_demo_ends_well(tmp_path: os.PathLike[str]) -> None:
    """What ``make demo`` runs; its exit status is its verdict."""
    repository = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - two levels up
    environ = {**os.environ, "SEED": "1", "PYTHONPATH": repository}
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "webhook to field" in done.stdout


def _until(met: Callable[[], bool], what: str | Callable[[], str], seconds: float = 240) -> None:
    """Longer than the worst that may come together, on a busy machine too.

    Zendesk's repetition (30 s), a message lost and missed (115 s), another look at a decided ticket (30 s), the lock of
    a worker that is gone (30 s).
    """
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
