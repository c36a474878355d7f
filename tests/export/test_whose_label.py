"""Presort's labels are told from people's, by histories that are read only where they must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from integration.settings import Classifier
from integration.simulator.account import AGENT, INTEGRATION
from integration.store import Store
from integration.zendesk.client import Audit, Change, Decided
from integration.zendesk.history import set_by
from tests.export.conftest import AUDITS, CATEGORY, CONFIG, EXPORT, MODEL, Desk
from tests.model_export.dataset_support import text


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
