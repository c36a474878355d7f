"""``presort tickets``: from an account, through the real zenpy, to a file that ``presort-model`` reads."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integration.cli import main
from integration.export import cli
from integration.export.part import Part, Row, opened
from integration.export.reading import TRIES, Patience
from integration.export.writing import table
from integration.settings import Classifier
from integration.simulator.account import AGENT, INTEGRATION
from integration.simulator.api import export
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from integration.zendesk.client import Audit, Change, Decided
from integration.zendesk.history import set_by
from model_export.dataset.build import build
from model_export.dataset.options import Options
from model_export.dataset.rows import Dataset
from model_export.dataset.tickets import read_tickets
from tests.model_export.dataset_support import text
from tests.simulator.support import Running, serving

CONFIG = SimulatorConfig(requests_per_minute=100_000, updates_per_minute=100_000, exports_per_minute=10)
CATEGORY, PREDICTED, MODEL = CONFIG.category_field_id, CONFIG.predicted_field_id, CONFIG.model_field_id
AUDITS = "GET /api/v2/tickets/<int:ticket_id>/audits"
EXPORT = "GET /api/v2/incremental/tickets/cursor"

SETTINGS = f"""
[zendesk]
subdomain = "acme"
client_id = "{CONFIG.client_id}"
url = "URL"
[[classifier]]
field_id = {CATEGORY}
prediction_field_id = {PREDICTED}
model_field_id = {MODEL}
bundle = "demo/bundle"
"""


class Desk:
    """An account with tickets, and a person who types ``presort tickets``."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.said: list[str] = []
        self.settings = folder / "presort.toml"
        self.settings.write_text(SETTINGS.replace("URL", running.url))

    def file(self, **more: object) -> int:
        """A customer writes a ticket, an hour after the one before."""
        self.running.clock.advance(3600)
        number = len(self.running.simulation.account.tickets) + 1
        return self.running.create(f"Subject {number}", text(number), **more)

    def agent(self, ticket_id: int, value: object = None, **attributes: object) -> None:
        """An agent sets the category, or whatever is given."""
        if not attributes:
            attributes = {"custom_fields": [{"id": CATEGORY, "value": value}]}
        self.running.simulation.update(ticket_id, attributes, actor_id=AGENT.id, channel="web")

    def presort(self, ticket_id: int, value: str, *, fill: bool) -> None:
        """Presort writes its text fields, and the category itself if it is sure, the way the worker does."""
        fields = {PREDICTED: value, MODEL: "category@1"} | ({CATEGORY: value} if fill else {})
        attributes = {
            "custom_fields": [{"id": field, "value": one} for field, one in fields.items()],
            "metadata": {"presort": {"category": {"decision": "d1", "model": "category@1"}}},
        }
        self.running.simulation.update(ticket_id, attributes, actor_id=INTEGRATION.id)

    def solved(self, value: str = "billing", status: str = "solved", **more: object) -> int:
        """A ticket that an agent sorted and solved."""
        ticket_id = self.file(**more)
        self.agent(ticket_id, value)
        self.agent(ticket_id, status=status)
        return ticket_id

    def export(self, name: str = "tickets.csv", *options: str) -> Result:
        """Type the command, more than a minute after everything that happened."""
        self.running.clock.advance(61)
        return CliRunner().invoke(main, ["tickets", str(self.folder / name), *options])

    def rows(self, name: str = "tickets.csv", **options: Any) -> dict[int, Any]:
        """The file as the data set reads it, by ticket id."""
        read = read_tickets(self.folder / name, Options(**options))
        assert read.malformed == 0
        assert len({one.ticket_id for one in read.tickets}) == len(read.tickets)
        return {int(one.ticket_id): one for one in read.tickets}

    def requests(self, route: str) -> int:
        """How often a route was asked for."""
        return int(self.running.get("/simulator/summary")["requests"].get(route, 0))


@pytest.fixture(scope="module")
def account() -> Iterator[Running]:
    with serving(CONFIG) as running:
        yield running


@pytest.fixture
def desk(account: Running, store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    assert store.redis.dbsize() == 0
    account.clock.offset_s = 0
    account.simulation.reset()
    desk = Desk(account, tmp_path)
    monkeypatch.setenv("PRESORT_CONFIG", str(desk.settings))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", "w")
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", CONFIG.client_secret)
    waits(desk, monkeypatch, account.clock.advance)
    return desk


def waits(desk: Desk, monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """What happens while the command waits; usually the time passes, and nothing else."""
    monkeypatch.setattr(cli, "PATIENCE", Patience(say=desk.said.append, sleep=sleep))


def weights(dataset: Dataset) -> dict[int, tuple[str, float]]:
    """Label and weight by ticket id."""
    return {
        int(ticket_id): (dataset.labels[target], round(float(weight), 2))
        for split in (dataset.train, dataset.calibration, dataset.test)
        for ticket_id, target, weight in zip(split.ticket_ids, split.targets, split.weights, strict=True)
    }


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.jsonl", "tickets.csv.gz", "tickets.jsonl.xz"])
def test_the_file_is_what_a_model_learns_from(desk: Desk, name: str) -> None:
    expected = {desk.solved("bug" if number % 3 else "billing"): 1.0 for number in range(12)}
    for _ in range(3):
        ticket_id = desk.file()
        desk.presort(ticket_id, "bug", fill=True)
        desk.agent(ticket_id, status="closed")
        expected[ticket_id] = 0.3
    result = desk.export(name)
    assert result.exit_code == 0, result.output
    dataset, _ = build(desk.folder / name, Options(min_support=2))
    labels = {ticket_id: "bug" if ticket_id > 12 or (ticket_id - 1) % 3 else "billing" for ticket_id in expected}
    assert weights(dataset) == {ticket_id: (labels[ticket_id], weight) for ticket_id, weight in expected.items()}
    first = desk.rows(name)[1]
    assert (first.subject, first.description) == ("Subject 1", text(1))
    created_at = desk.running.get("/simulator/tickets/1")["ticket"]["created_at"]
    assert first.created_at == int(created_at)


def test_texts_survive_as_they_were_written(desk: Desk) -> None:
    written = 'Grüße,\r\n"quoted", a\ttab; 🙂\n\n= 1 + 1'
    for name in ("tickets.csv", "tickets.jsonl"):
        ticket_id = desk.running.create("", written)
        desk.agent(ticket_id, "bug")
        desk.agent(ticket_id, status="solved")
        assert desk.export(name).exit_code == 0
        assert (desk.rows(name)[ticket_id].subject, desk.rows(name)[ticket_id].description) == ("", written)


def test_what_is_left_out_is_counted_with_its_reason(desk: Desk) -> None:
    kept = desk.solved()
    desk.agent(desk.file(), "bug")
    desk.agent(desk.file(), status="solved")
    deleted = desk.solved()
    desk.running.post(f"/simulator/tickets/{deleted}/delete")
    desk.solved(channel="native_messaging")
    own = desk.running.simulation.create(
        {"subject": "Spike", "description": "Delivery, 12 tickets"}, actor_id=INTEGRATION.id
    )
    desk.agent(own.id, "delivery")
    desk.agent(own.id, status="solved")
    result = desk.export()
    assert list(desk.rows()) == [kept]
    counted = {line[:40].strip(): line[40:].split() for line in result.output.splitlines() if "16.7" in line}
    assert counted == {
        "not solved yet": ["1", "16.7"],
        "no value in the field": ["1", "16.7"],
        "deleted, spam among them": ["1", "16.7"],
        "messaging, not the customer's words": ["1", "16.7"],
        "filed by Presort's own user": ["1", "16.7"],
    }


def ours_untouched(desk: Desk, ticket_id: int) -> None:
    desk.presort(ticket_id, "bug", fill=True)


def ours_corrected(desk: Desk, ticket_id: int) -> None:
    desk.presort(ticket_id, "billing", fill=True)
    desk.agent(ticket_id, "bug")


def ours_taken_back_and_set_again(desk: Desk, ticket_id: int) -> None:
    desk.presort(ticket_id, "bug", fill=True)
    desk.agent(ticket_id)
    desk.agent(ticket_id, "bug")


def suggestion_taken(desk: Desk, ticket_id: int) -> None:
    desk.presort(ticket_id, "bug", fill=False)
    desk.agent(ticket_id, "bug")


def set_before_our_suggestion(desk: Desk, ticket_id: int) -> None:
    desk.agent(ticket_id, "bug")
    desk.presort(ticket_id, "bug", fill=False)


@pytest.mark.parametrize(
    ("happened", "by_bot"),
    [
        (ours_untouched, True),
        (ours_corrected, False),
        (ours_taken_back_and_set_again, False),
        (suggestion_taken, False),
        (set_before_our_suggestion, False),
    ],
)
def test_whose_label_it_is(desk: Desk, happened: Callable[[Desk, int], None], *, by_bot: bool) -> None:
    ticket_id = desk.file()
    happened(desk, ticket_id)
    desk.agent(ticket_id, status="solved")
    assert desk.export().exit_code == 0
    assert (desk.rows()[ticket_id].labels, desk.rows()[ticket_id].by_bot) == (("bug",), by_bot)


def test_a_customers_own_choice_in_the_form_is_a_persons(desk: Desk) -> None:
    ticket_id = desk.file(fields={CONFIG.category_title: "bug"})
    desk.presort(ticket_id, "bug", fill=False)
    desk.agent(ticket_id, status="solved")
    desk.export()
    assert not desk.rows()[ticket_id].by_bot


@pytest.mark.parametrize(
    "audits",
    [
        [],
        [Audit(author_id=AGENT.id, fields={MODEL: Change("category@1")})],
        [Audit(author_id=INTEGRATION.id, fields={CATEGORY: Change("bug")})],
    ],
    ids=["no history", "no change of the field", "ours without a decision"],
)
def test_when_unsure_it_is_presorts(audits: Sequence[Audit]) -> None:
    assert set_by(audits, Classifier(field_id=CATEGORY, bundle="m"), INTEGRATION.id) in {None, "presort"}


@pytest.mark.parametrize(
    ("channel", "by_rule", "decided", "setter"),
    [
        ("web", False, False, "person"),  # the admin whose OAuth client Presort uses, at work in the browser
        ("api", False, False, "presort"),
        ("api", False, True, "presort"),
        ("api", True, True, "presort"),  # a trigger that copies what we suggest: nobody else has judged it
        ("web", True, False, "rule"),
    ],
)
def test_who_acts_as_our_own_user(channel: str, *, by_rule: bool, decided: bool, setter: str) -> None:
    decisions = {"category": Decided(answers=("bug",))} if decided else {}
    changes = {CATEGORY: Change("bug", by_rule)}
    audit = Audit(author_id=INTEGRATION.id, channel=channel, fields=changes, decisions=decisions)
    assert set_by([audit], Classifier(field_id=CATEGORY, bundle="m"), INTEGRATION.id) == setter


def test_another_classifiers_decision_is_no_sign_of_ours() -> None:
    """One update may carry two classifiers' decisions; a trigger or an app may have set this field along with it."""
    audit = Audit(author_id=AGENT.id, fields={CATEGORY: Change("bug")}, decisions={"language": Decided()})
    assert set_by([audit], Classifier(field_id=CATEGORY, bundle="m"), INTEGRATION.id) == "person"


def test_histories_are_read_only_where_presort_wrote(desk: Desk) -> None:
    for _ in range(3):
        desk.solved()
    ticket_id = desk.file()
    desk.presort(ticket_id, "bug", fill=True)
    desk.agent(ticket_id, status="solved")
    desk.export()
    assert desk.requests(AUDITS) == 1


def test_without_text_fields_of_our_own_every_history_is_read(desk: Desk) -> None:
    desk.settings.write_text("\n".join(one for one in desk.settings.read_text().split("\n") if "ion_field" not in one))
    desk.settings.write_text(desk.settings.read_text().replace(f"model_field_id = {MODEL}", ""))
    ours, theirs = desk.file(), desk.solved("bug")
    desk.presort(ours, "bug", fill=True)
    desk.agent(ours, status="solved")
    desk.export()
    assert {ticket_id: row.by_bot for ticket_id, row in desk.rows().items()} == {ours: True, theirs: False}
    assert desk.requests(AUDITS) == 2


def test_it_waits_as_long_as_zendesk_says_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_PAGE", 2)
    ids = [desk.solved() for _ in range(25)]
    result = desk.export()
    assert result.exit_code == 0, result.output
    assert list(desk.rows()) == ids
    assert len(desk.said) == 1
    assert desk.said[0].startswith("Zendesk asks to wait ")


def test_what_passes_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.solved() for _ in range(3)]
    desk.running.post("/simulator/faults", {"down": True})
    waits(desk, monkeypatch, lambda _: None if len(desk.said) < 2 else heal(desk))
    assert desk.export().exit_code == 0
    assert list(desk.rows()) == ids
    assert desk.said == [
        "Zendesk answered 503; trying again in 5 s",
        "Zendesk answered 503; trying again in 10 s",
    ]


def heal(desk: Desk) -> None:
    desk.running.post("/simulator/faults", {})


def test_what_does_not_pass_ends_it_and_the_same_command_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [desk.solved() for _ in range(3)]
    desk.running.post("/simulator/faults", {"down": True})
    waits(desk, monkeypatch, lambda _: None)
    result = desk.export()
    assert (result.exit_code, len(desk.said)) == (1, TRIES - 1)
    assert "Zendesk answered 503. The same command goes on where this one stopped" in result.output
    heal(desk)
    assert desk.export().exit_code == 0
    assert list(desk.rows()) == ids


def test_an_interrupted_export_goes_on_without_losing_or_repeating(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, and the tickets that it had read change before it goes on."""
    monkeypatch.setattr(export, "MAX_PAGE", 2)
    ids = [desk.solved() for _ in range(25)]
    waits(desk, monkeypatch, interrupt)
    result = desk.export()
    part = desk.folder / "tickets.csv.part"
    assert result.exit_code == 1
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert not (desk.folder / "tickets.csv").exists()
    asked_before = desk.requests(EXPORT)
    desk.agent(ids[0], "delivery")
    desk.agent(ids[1], status="open")
    waits(desk, monkeypatch, desk.running.clock.advance)
    result = desk.export()
    assert result.exit_code == 0, result.output
    assert {ticket_id: row.labels for ticket_id, row in desk.rows().items()} == {
        ticket_id: ("delivery" if ticket_id == ids[0] else "billing",) for ticket_id in ids if ticket_id != ids[1]
    }
    assert desk.requests(EXPORT) - asked_before < 13  # 25 tickets, two a page, would take all of them
    assert not part.exists()


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_histories_too_are_not_read_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        ticket_id = desk.file()
        desk.presort(ticket_id, "bug", fill=True)
        desk.agent(ticket_id, status="solved")
    decide = Part.decide

    def decide_two(part: Part, ticket_id: int, *, label_by: str) -> None:
        decide(part, ticket_id, label_by=label_by)
        if part.undecided() == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Part, "decide", decide_two)
    assert desk.export().exit_code == 1
    monkeypatch.setattr(Part, "decide", decide)
    assert desk.export().exit_code == 0
    assert [row.by_bot for row in desk.rows().values()] == [True] * 4
    assert desk.requests(AUDITS) == 4


def test_the_file_is_for_its_owner_and_no_text_is_shown(desk: Desk) -> None:
    desk.solved()
    result = desk.export()
    assert stat.S_IMODE((desk.folder / "tickets.csv").stat().st_mode) == 0o600
    assert sorted(one.name for one in desk.folder.iterdir()) == ["presort.toml", "tickets.csv"]
    assert "holds your customers' words" in result.output
    assert not set(text(1).split()) & set(result.output.split())


def test_it_ends_with_a_table_and_the_next_command(desk: Desk) -> None:
    for number in range(4):
        desk.solved("bug" if number else "billing")
    ticket_id = desk.file()
    desk.presort(ticket_id, "bug", fill=True)
    desk.agent(ticket_id, status="solved")
    desk.file()
    lines = desk.export("my tickets.csv").output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:1] == ["label"])
    assert [" ".join(line.split()) for line in lines[start : start + 10]] == [
        "label tickets %",
        "bug 4 80.0",
        "billing 1 20.0",
        "",
        "written by tickets %",
        "people, forms and rules 4 80.0",
        "Presort, and nobody changed it 1 20.0",
        "",
        "left out tickets %",
        "not solved yet 1 16.7",
    ]
    assert lines[-1] == f"Next: presort-model train '{desk.folder / 'my tickets.csv'}' --name category"


def test_only_the_ten_most_frequent_labels_are_shown(desk: Desk) -> None:
    with opened(desk.folder / "part", "a test") as part:
        part.add((Row(id=n, label=f"label{min(n, 11)}", label_by="") for n in range(13)), "c")
        shown = table(part.totals()).splitlines()
    assert (len(shown), shown[1].split()[:2], shown[-1]) == (12, ["label11", "2"], "  and 2 labels more")


def test_a_period_is_when_tickets_were_filed(desk: Desk) -> None:
    desk.running.clock.advance(86_400 * 2)
    before = desk.solved()
    desk.running.clock.advance(86_400 * 2)
    within = desk.solved()
    desk.running.clock.advance(86_400 * 2)
    desk.solved()
    desk.agent(before, "bug")  # changed within the period, not filed in it
    days = [desk.running.get(f"/simulator/tickets/{one}")["ticket"]["created"][:10] for one in (within, within + 1)]
    result = desk.export("tickets.csv", "--since", days[0], "--until", days[1])
    assert list(desk.rows()) == [within]
    assert "filed outside --since and --until" in result.output


@pytest.mark.parametrize("name", ["tickets.jsonl", "tickets.csv"])
def test_a_multi_select_gives_several_labels(desk: Desk, name: str) -> None:
    options = [{"name": one.title(), "value": one} for one in ("red", "green", "blue")]
    made = desk.running.api(
        "POST",
        "/ticket_fields",
        {"ticket_field": {"type": "multiselect", "title": "Colours", "custom_field_options": options}},
    ).json()["ticket_field"]["id"]
    desk.settings.write_text(desk.settings.read_text().replace(f"field_id = {CATEGORY}", f"field_id = {made}"))
    for values in (["red"], ["blue", "red"], []):
        ticket_id = desk.file()
        desk.agent(ticket_id, custom_fields=[{"id": made, "value": values}])
        desk.agent(ticket_id, status="solved")
    result = desk.export(name)
    path = desk.folder / name
    rows = desk.rows(name, separator=" " if name == "tickets.csv" else None)
    assert {ticket_id: row.labels for ticket_id, row in rows.items()} == {1: ("red",), 2: ("blue", "red")}
    separator = " --separator ' '" if name == "tickets.csv" else ""
    assert result.output.endswith(f"Next: presort-model train {path} --name category{separator}\n")
    assert separator or read_tickets(path, Options()).task == "multi"


def test_without_a_label_there_is_no_file(desk: Desk) -> None:
    desk.file()
    result = desk.export()
    assert result.exit_code == 1
    assert "not solved yet" in result.output
    assert f"is {CATEGORY} the field_id" in result.output
    assert not (desk.folder / "tickets.csv").exists()


def test_a_file_of_another_run_is_not_mixed_in(desk: Desk) -> None:
    desk.file()
    assert desk.export().exit_code == 1
    result = desk.export("tickets.csv", "--since", "2020-01-01")
    assert result.exit_code == 1
    assert f"holds what was read so far of field {CATEGORY} of {desk.running.url}, not of" in result.output
    assert "filed from 2020-01-01 on" in result.output


def test_two_at_once_and_a_damaged_file_are_told_apart(desk: Desk) -> None:
    desk.solved()
    part = desk.folder / "tickets.csv.part"
    with opened(part, "a test"):
        assert "is another `presort tickets` at it?" in desk.export().output
    part.write_bytes(b"something else " * 100)
    assert "remove it to start anew" in desk.export().output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tickets.xlsx", "end it in .csv or .jsonl"),
        ("tickets.gz", "end it in .csv or .jsonl"),
        ("presort.csv", "exists: choose another name"),
    ],
)
def test_a_name_is_refused_before_anything_is_read(desk: Desk, name: str, said: str) -> None:
    (desk.folder / "presort.csv").write_text("precious")
    result = desk.export(name)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert desk.requests(EXPORT) == 0


def test_several_classifiers_must_be_named(desk: Desk) -> None:
    with desk.settings.open("a") as file:
        file.write('[[classifier]]\nname = "language"\nfield_id = 7\nbundle = "m"\n')
    desk.solved()
    assert "name one with --classifier category|language" in desk.export().output
    assert "has no classifier 'colour'" in desk.export("tickets.csv", "--classifier", "colour").output
    assert desk.export("tickets.csv", "--classifier", "category").exit_code == 0
    assert "field 7 does not exist: check field_id" in desk.export("b.csv", "--classifier", "language").output


def test_no_access_says_the_cause_and_the_cure_at_once(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_token(CONFIG.client_id, desk.running.token(scope="write"), 600)
    assert "to export tickets the role of an admin" in desk.export().output
    store.drop_token(CONFIG.client_id)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "wrong")
    assert "check client_id in presort.toml and PRESORT_ZENDESK_CLIENT_SECRET" in desk.export().output
    monkeypatch.setenv("PRESORT_REDIS_URL", "redis://127.0.0.1:9/0")
    assert "Redis keeps the access token: start it" in desk.export().output
    assert desk.said == []


def test_json_lines_have_a_list_only_where_the_field_has(desk: Desk) -> None:
    desk.solved()
    desk.export("tickets.jsonl")
    (line,) = (desk.folder / "tickets.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "ticket_id": 1,
        "created_at": json.loads(line)["created_at"],
        "subject": "Subject 1",
        "description": text(1),
        "label": "billing",
        "label_by_bot": False,
        "label_by": None,
        "predicted": None,
    }


def test_what_presort_had_predicted_and_who_set_the_label_stand_beside_it(desk: Desk) -> None:
    ticket_id = desk.file()
    ours_corrected(desk, ticket_id)
    desk.agent(ticket_id, status="solved")
    desk.export("tickets.jsonl")
    (line,) = (desk.folder / "tickets.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["predicted"], row["label"], row["label_by"]) == ("billing", "bug", "person")


def test_closed_tickets_alone_if_asked_for(desk: Desk) -> None:
    desk.solved()
    closed = desk.solved(status="closed")
    result = desk.export("tickets.csv", "--closed")
    assert list(desk.rows()) == [closed]
    assert "not closed yet" in result.output
