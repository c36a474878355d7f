"""What may be written of a decision, by what stands on the ticket and what its field offers: no Zendesk, no Redis."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from integration.messages import Decision
from integration.settings import Classifier
from integration.zendesk.client import ChoiceField, Ticket
from worker.planning import missing_options, plan, verdict

FIELD, PREDICTION = 1, 2
CLASSIFIERS = {"category": Classifier(field_id=FIELD, prediction_field_id=PREDICTION, bundle="x", mode="prefill")}
OFFERED = frozenset({"a", "b"})
SEVERAL, ONE = ChoiceField(multi=True, options=OFFERED), ChoiceField(multi=False, options=OFFERED)
NOTHING: dict[int, Any] = {FIELD: [], PREDICTION: None}


def decision(values: tuple[str, ...] | None = ("b", "a"), **more: Any) -> Decision:
    base = Decision(
        id="d",
        ticket_id=7,
        classifier="category",
        action="suggest" if values == () else "fill",
        reason="below_threshold" if values == () else "confident",
        category=values[0] if values else "b",
        values=values,
        confidence=0.9,
        threshold=0.8,
        model="m@1",
        created_at=0,
        received_at=0,
        decided_at=0,
    )
    return msgspec.structs.replace(base, **more)


def ticket(fields: dict[int, Any]) -> Ticket:
    return Ticket(
        id=7,
        status="new",
        updated_stamp="2026-03-02T10:00:00Z",
        created_at=0,
        updated_at=0,
        subject=None,
        description=None,
        channel="web",
        submitter_id=1,
        fields=fields,
    )


def written(one: Decision, choices: ChoiceField, fields: dict[int, Any]) -> dict[int, Any] | tuple[str, str]:
    """The values to send, or why none are sent."""
    updates, results = plan([one], {7: ticket(fields)}, CLASSIFIERS, {"category": choices})
    return updates[0][0].fields if updates else results[0][1:]


def of(one: Decision, stands: object) -> tuple[str, str]:
    """What became of it when the field reads so after the write."""
    prediction = ", ".join(one.answers)
    return verdict(one, ticket({FIELD: stands, PREDICTION: prediction}), CLASSIFIERS)[1:]


@pytest.mark.parametrize("empty", [[], None, ""])
def test_every_sure_label_is_written(empty: object) -> None:
    assert written(decision(), SEVERAL, {FIELD: empty}) == {FIELD: ["b", "a"], PREDICTION: "b, a"}


def test_without_a_sure_label_the_likeliest_is_suggested() -> None:
    assert written(decision(()), SEVERAL, NOTHING) == {PREDICTION: "b"}


@pytest.mark.parametrize(("choices", "value"), [(SEVERAL, ["b"]), (ONE, "b")])
def test_one_label_is_written_as_the_field_wants_it(choices: ChoiceField, value: object) -> None:
    assert written(decision(None), choices, NOTHING) == {FIELD: value, PREDICTION: "b"}


def test_only_what_the_field_offers_is_written() -> None:
    assert written(decision(("z", "a")), SEVERAL, NOTHING) == {FIELD: ["a"], PREDICTION: "a"}
    assert written(decision(("y", "z")), SEVERAL, NOTHING) == ("left_alone", "option_missing")


def test_what_the_field_does_not_offer_is_counted_by_label() -> None:
    decisions = [decision(("z", "a")), decision(("z", "y")), decision(("x",), action="leave")]
    assert missing_options(decisions, CLASSIFIERS, {"category": SEVERAL}) == {"category": {"z": 2, "y": 1}}
    assert missing_options([decision()], CLASSIFIERS, {"category": SEVERAL}) == {}


@pytest.mark.parametrize(
    ("values", "choices", "field"), [(("old",), SEVERAL, ["a"]), (("old", "a"), SEVERAL, ["a"]), (None, ONE, "a")]
)
def test_an_alias_survives_the_renaming_of_an_option(
    values: tuple[str, ...] | None, choices: ChoiceField, field: object
) -> None:
    """Also for what was decided before the rename, and once only where two labels became one option."""
    one = decision(values, category="old")
    renamed = {"category": msgspec.structs.replace(CLASSIFIERS["category"], aliases={"old": "a"})}
    (update, _), *others = plan([one], {7: ticket(NOTHING)}, renamed, {"category": choices}).updates
    assert (update.fields, others) == ({FIELD: field, PREDICTION: "a"}, [])
    assert verdict(one, ticket(update.fields), renamed)[1:] == ("filled", "confident")
    assert missing_options([one], renamed, {"category": choices}) == {}


@pytest.mark.parametrize("stands", [["a"], ["a", "b", "c"], ["c"], "a"])
def test_a_field_that_holds_anything_else_is_a_persons(stands: object) -> None:
    assert written(decision(), SEVERAL, {FIELD: stands, PREDICTION: "b, a"}) == ("left_alone", "person_set_it")


def test_its_own_value_of_an_earlier_write_is_no_persons() -> None:
    """Zendesk kept the category and dropped our text field; that was mended, and the decision sent again."""
    sent = decision(None, before={str(FIELD): None, str(PREDICTION): "old"})
    updates, _ = plan([sent], {7: ticket({FIELD: "b", PREDICTION: None})}, CLASSIFIERS, {"category": ONE})
    ((update, (carried,)),) = updates
    assert update.fields == {FIELD: "b", PREDICTION: "b"}
    assert carried.before == sent.before
    assert written(sent, ONE, {FIELD: "a", PREDICTION: None}) == ("left_alone", "person_set_it")
    assert written(decision(None), ONE, {FIELD: "b", PREDICTION: None}) == ("left_alone", "person_set_it")


@pytest.mark.parametrize(
    ("before", "became"), [({}, ("left_alone", "person_set_it")), ({str(FIELD): None}, ("filled", "confident"))]
)
def test_without_text_fields_of_ours_a_value_is_a_persons_unless_we_sent_it(
    before: dict[str, object], became: tuple[str, str]
) -> None:
    bare = {"category": msgspec.structs.replace(CLASSIFIERS["category"], prediction_field_id=None)}
    updates, ((_, *result),) = plan([decision(None, before=before)], {7: ticket({FIELD: "b"})}, bare, {"category": ONE})
    assert (updates, tuple(result)) == ([], became)


def test_what_stands_there_already_is_not_written_again() -> None:
    """In any order: Zendesk keeps a multi-select's tags in an order of its own."""
    assert written(decision(), SEVERAL, {FIELD: ["a", "b"], PREDICTION: "b, a"}) == ("filled", "confident")
    assert written(decision(()), SEVERAL, {FIELD: [], PREDICTION: "b"}) == ("suggested", "below_threshold")
    assert written(decision(("y",)), SEVERAL, {FIELD: None, PREDICTION: "y"}) == ("left_alone", "option_missing")


@pytest.mark.parametrize(
    ("stands", "became"),
    [
        (["a", "b"], ("filled", "confident")),
        (["a"], ("filled", "option_missing")),
        ([], ("suggested", "option_missing")),
        (None, ("suggested", "option_missing")),
        (["a", "c"], ("suggested", "person_set_it")),
        (["c"], ("suggested", "person_set_it")),
    ],
)
def test_what_zendesk_kept_decides_the_outcome(stands: object, became: tuple[str, str]) -> None:
    assert of(decision(), stands) == became


def test_what_was_kept_in_part_is_said_with_counts(caplog: pytest.LogCaptureFixture) -> None:
    of(decision(), ["a"])
    assert "the field does not offer 1 of 2 tags" in caplog.text
    assert [vars(one)["ticket"] for one in caplog.records] == [7]


@pytest.mark.parametrize(("stands", "became"), [("b", "filled"), (None, "suggested"), ("a", "suggested")])
def test_a_drop_downs_value_is_judged_the_same_way(stands: object, became: str) -> None:
    assert of(decision(None), stands)[0] == became


def test_a_message_of_an_older_release_is_one_label() -> None:
    """``values`` did not exist; it travelled through the queue while the new release rolled out."""
    payload = decision(None).to_json()
    del payload["values"]
    assert written(Decision.from_json(payload), ONE, NOTHING) == {FIELD: "b", PREDICTION: "b"}
