"""``presort agreement``: what agents kept, in numbers that say how sure they are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from integration import outcomes
from integration.agreement import expected, wilson
from integration.cli import main
from integration.controls import Controls
from integration.outcomes import OTHER, By, Judgement
from integration.receiver.app import create_app
from integration.records import Model
from integration.settings import Settings
from integration.store import Store
from tests.conftest import awaited

MONTH = "2026-11"


@pytest.fixture
def settings_file(tmp_path: Path, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert store.redis.dbsize() == 0
    path = tmp_path / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    monkeypatch.setenv("PRESORT_CONFIG", str(path))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", "w")
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "c")
    return path


def judgement(
    ticket_id: int, into: str | None = None, *, by: By = "person", written: bool = True, month: str = MONTH
) -> Judgement:
    """Of a ticket answered "refund", which stands unless it says otherwise."""
    return Judgement(
        ticket_id=ticket_id,
        classifier="category",
        model="category@2",
        category="refund",
        month=month,
        sure=written,
        written=written,
        right=into is None,
        into=() if into is None else (into,),
        by=by,
    )


def judge(store: Store) -> None:
    """Ninety kept, four changed by people and one by a trigger, and five unsure suggestions that came true."""
    outcomes.count(store.redis, [judgement(number) for number in range(90)])
    outcomes.count(store.redis, [judgement(number, "delivery") for number in range(100, 104)])
    outcomes.count(store.redis, [judgement(104, "login", by="rule")])
    outcomes.count(store.redis, [judgement(number, written=False) for number in range(200, 205)])


def serve(store: Store) -> None:
    labels = {"refund": "Orders::Refund", "delivery": "Orders::Delivery"}
    model = Model(
        name="category",
        version="2",
        graph="int8",
        provider="CPU",
        labels=labels,
        loaded_at=1.0,
        precision={"refund": 0.93},
        target=0.9,
    )
    store.publish_model("category", model)


def said(*options: str) -> str:
    result = CliRunner().invoke(main, ["agreement", "--month", MONTH, *options])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("settings_file")
def test_the_table_says_precision_with_its_interval_and_what_was_changed_into_what(store: Store) -> None:
    judge(store)
    serve(store)
    output = said()
    assert "live precision  94.7 % (88.3 to 97.7), 90 of 95 sure answers, target 90 %" in output
    assert "all answers     95.0 % (88.8 to 97.8), 95 of 100 answers; 93.0 % expected of this mix" in output
    (row,) = (line for line in output.splitlines() if line.strip().startswith("Orders::Refund"))
    assert " ".join(row.split()) == (
        "Orders::Refund 100 95 90 94.7 % (88.3 to 97.7) 95 90 Orders::Delivery 4, login 1 by rule"
    )
    assert "newest wrong: refund #104 #103" in output


@pytest.mark.usefixtures("settings_file")
def test_the_funnel_leads_from_received_to_kept(store: Store) -> None:
    today = f"{time.strftime('%Y-%m', time.gmtime())}"
    awaited(store, 1, time.time())
    outcomes.count(store.redis, [judgement(1, month=today), judgement(2, "delivery", month=today)])
    outcomes.await_judgement(store.redis, [7])
    output = CliRunner().invoke(main, ["agreement"]).output
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.startswith("  ")}
    assert rows["received"] == ["1", "100.0"]
    assert rows["kept"][:4] == ["1", "of", "2", "written"]
    assert rows["1"][:3] == ["solved", "tickets", "wait"]


@pytest.mark.usefixtures("settings_file")
def test_a_demoted_category_is_named_with_its_reason(store: Store) -> None:
    judge(store)
    Controls(store.redis).demote("category", "refund", "60 of 100 were right")
    assert "60 of 100 were right" in said()


@pytest.mark.usefixtures("settings_file")
def test_an_empty_month_says_which_are_not(store: Store) -> None:
    outcomes.count(store.redis, [judgement(1, month="2026-09")])
    assert "months with figures: 2026-09" in said()


@pytest.mark.usefixtures("settings_file")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--month", "November"], "not a month such as 2026-11"),
        (["--classifier", "x"], "no classifier 'x': there is category"),
    ],
)
def test_a_wrong_option_is_named(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["agreement", *options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilsons_interval_is_newcombes(hits: int, tries: int, low: float, high: float) -> None:
    """The worked examples of Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert (wilson(hits, tries).low, wilson(hits, tries).high) == pytest.approx((low, high), abs=5e-5)


def test_a_months_estimate_weighs_each_categorys_precision_by_its_answers() -> None:
    assert expected({"a": 30, "b": 10, "unknown": 99}, {"a": 0.9, "b": 0.5}) == pytest.approx(0.8)
    assert expected({"unknown": 99}, {"a": 0.9}) is None


def test_a_ticket_is_counted_once(store: Store) -> None:
    outcomes.count(store.redis, [judgement(8191), judgement(8192)])
    outcomes.count(store.redis, [judgement(8192, "delivery"), judgement(8193)])
    counts = outcomes.counts(store.redis, "category", MONTH)["category@2", "refund"]
    assert (counts.written, counts.kept, counts.changed) == (3, 3, {})
    outcomes.await_judgement(store.redis, [8191, 8192, 9000])
    assert outcomes.take_unjudged(store.redis, 10) == [9000]


def test_the_matrix_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MOST_CELLS", 1)
    for ticket_id, into in enumerate(("a", "b", "c")):
        outcomes.count(store.redis, [judgement(ticket_id, into)])
    counts = outcomes.counts(store.redis, "category", MONTH)["category@2", "refund"]
    assert counts.changed == {("person", "a"): 1, ("person", OTHER): 2}


def test_so_are_the_tickets_that_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MOST_WAITING", 10)
    outcomes.await_judgement(store.redis, range(25))
    assert outcomes.unjudged(store.redis) == 10


def test_metrics_tell_what_became_of_answers(config: Settings, store: Store) -> None:
    month = outcomes.month_of(time.time())
    outcomes.count(store.redis, [judgement(1, month=month), judgement(2, "delivery", month=month)])
    outcomes.caught_up(store.redis, time.time() - 100)
    lines = create_app(config).test_client().get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("presort_"))
    assert values['presort_answers_this_month{category="refund",classifier="category",step="written"}'] == "2.0"
    assert values['presort_answers_this_month{category="refund",classifier="category",step="kept"}'] == "1.0"
    assert 99 < float(values["presort_export_age_seconds"]) < 110
    assert values["presort_unjudged_tickets"] == "0.0"
