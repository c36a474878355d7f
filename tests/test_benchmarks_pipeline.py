"""The pipeline's benchmark: what it prints, and that the local Zendesk's own records are what it counts by."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import requests
from tokenizers import Tokenizer

from benchmarks.pipeline import bare, ours, report, stage, texts
from benchmarks.pipeline.load import Plan, send
from demo import tickets
from demo.stage import call
from model_export.bundle.manifest import TOKENIZER
from model_export.bundle.text import prepare_text

KEYS = {
    "bare_per_s", "end_to_end_per_s", "ratio", "overhead_cpu_ms_per_ticket", "plain_per_s", "peer_per_s", "p50_s",
    "p99_s", "requests_per_ticket", "lost", "written_twice", "simulator_cpu_ms_per_ticket",
}  # fmt: skip
BUNDLE = Path("demo/bundle").resolve()


def test_texts_have_exactly_so_many_tokens(tmp_path: Path) -> None:
    made_up = texts.questions(tmp_path)
    tokenizer = Tokenizer.from_file(str(BUNDLE / TOKENIZER))
    for tokens in (32, 128):
        cut = texts.cut(tokenizer, made_up[:200], tokens)
        assert {len(one.ids) for one in tokenizer.encode_batch(cut)} == {tokens}
        assert all(prepare_text("", one) == one for one in cut)


def test_the_whole_way_is_measured_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "WARM_UP", 4)
    account = msgspec.structs.replace(stage.ACCOUNT, options=tuple((one.value, one.name) for one in tickets.CATEGORIES))
    monkeypatch.setattr(stage, "ACCOUNT", account)  # with what the demo's model answers
    limit = bare.Bare(per_s=100.0, cpu_ms=1.0, setting="made up")
    fast, calm = ours.measure(
        tmp_path, BUNDLE, ["My parcel is late.", "I was charged twice."], tickets=40, calm_s=0.5, say=lambda _: None
    )
    found = report.figures(limit, fast, calm, None, None)
    assert found.keys() >= KEYS
    assert json.loads(json.dumps(found)) == found
    assert (found["lost"], found["written_twice"]) == (0, 0)
    assert found["tickets"] == 40 + len(calm.seconds) > 40
    assert fast.requests > 0
    assert set(fast.cpu_ms) == {
        "redis", "simulator", "receiver", "worker-1", "worker-2", "beat", "generator",
    }  # fmt: skip


def test_what_is_lost_and_written_twice_is_told_by_the_local_zendesk(tmp_path: Path) -> None:
    """A ticket that nobody wrote to, one that was written to once, and one that was written to twice."""
    with stage.place(tmp_path) as place:
        ids = stage.file(place, ["a text"] * 3)
        for ticket_id, times in zip(ids, (0, 1, 2), strict=True):
            for number in range(times):
                _update(place, ticket_id, f"topic_{number}")
        found = stage.record(place, ids)
        assert [found[one].times for one in ids] == [0, 1, 2]
        assert [found[one].at is None for one in ids] == [True, False, False]
        assert (stage.written(place), stage.requests(place)) == (2, 3)


def test_the_load_keeps_its_pace_and_counts_refusals(tmp_path: Path) -> None:
    with stage.place(tmp_path) as place:
        port = int(place.zendesk.rpartition(":")[2])
        new = [json.dumps({"description": "a text"})] * 5
        sent = send(Plan(port=port, path="/simulator/faults", bodies=["{}", '{"no such": 1}'], connections=1))
        assert sent.refused == 1
        send(Plan(port=port, path="/simulator/tickets", bodies=new, connections=2))
        assert call(f"{place.zendesk}/simulator/summary")["tickets"]["created"] == len(new)


def test_costs_follow_from_the_assumptions() -> None:
    prices = report.Prices(machine=0.36, llm_in=0.1, llm_out=1.0, prompt=72, answer=10)
    found = report.costs(100.0, 128, prices)
    assert found == {"usd_per_million": 1.0, "llm_usd_per_million": 30.0}


def _update(place: stage.Place, ticket_id: int, topic: str) -> None:
    grant = {"grant_type": "client_credentials", "scope": "read write"}
    account = {"client_id": stage.ACCOUNT.client_id, "client_secret": stage.ACCOUNT.client_secret}
    token = requests.post(f"{place.zendesk}/oauth/tokens", json=grant | account, timeout=5).json()["access_token"]
    fields = [{"id": stage.ACCOUNT.category_field_id, "value": topic}]
    answer = requests.put(
        f"{place.zendesk}/api/v2/tickets/{ticket_id}",
        json={"ticket": {"custom_fields": fields}},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )
    assert answer.ok
