"""``presort install`` against the local Zendesk, through the real zenpy, with a real receiver."""

from __future__ import annotations

import logging
import stat

import msgspec
import pytest

from integration import settings
from integration.install import cli
from integration.install.checks import MADE_BY
from integration.simulator.account import AGENT, INTEGRATION
from integration.simulator.limits import Window
from integration.store import Store
from integration.zendesk.webhooks import FROM_TRIGGERS, TICKET_CREATED
from tests.install.conftest import CONFIG, Desk
from tests.simulator.support import eventually

OURS = {"Presort category": "text", "Presort category confidence": "text", "Presort category model": "text"}


def test_the_whole_way_from_nothing_to_the_first_ticket(desk: Desk, store: Store) -> None:
    first = desk.type("install", "--secret-file", str(desk.secret_file), answer="y\n")
    assert first.exit_code == 0, first.output
    assert '  keep    drop-down "Category" (360000000101) and its 3 options, for classifier category' in first.output
    assert '  create  text field "Presort category"' in first.output
    assert f'  create  webhook "Presort" to {desk.endpoint}, told of every new ticket' in first.output
    assert f"  change  {desk.file}: a line with the id of each of 3 fields" in first.output
    assert "not verified: " in first.output
    assert "is the receiver running" in first.output
    assert "1. give the receiver its secret, (re)start it, and run `presort install` again" in first.output
    assert desk.fields() == {"Category": "tagger"} | OURS

    with desk.receiver_process():
        second = desk.type("install")
        assert second.exit_code == 0, second.output
        assert "create" not in second.output
        assert "Go ahead?" not in second.output
        assert "verified: a test delivery from Zendesk was signed, and the receiver took it" in second.output
        assert store.depths()["tickets"] == 0
        desk.running.create()
        eventually(lambda: store.depths()["tickets"] == 1)


def test_the_ids_of_new_fields_stand_in_the_file_and_nothing_else_changes_there(desk: Desk) -> None:
    before = desk.file.read_text().splitlines()
    desk.install()
    by_title = {field.title: field.id for field in desk.account.custom_fields()}
    (classifier,) = settings.load().classifiers
    ids = (classifier.prediction_field_id, classifier.confidence_field_id, classifier.model_field_id)
    assert ids == tuple(by_title[title] for title in OURS)
    after = desk.file.read_text().splitlines()
    assert [line for line in after if line in before] == before
    assert len(after) == len(before) + 3


def test_where_the_file_cannot_be_edited_the_lines_are_shown(desk: Desk) -> None:
    """Another way to write the same table: no line to add ours under."""
    table, _, _ = desk.file.read_text().partition("[[classifier]]")
    desk.file.write_text('classifier = [{ field_id = 360000000101, bundle = "demo/bundle" }]\n' + table)
    before = desk.file.read_text()
    result = desk.install()
    field_id = next(field.id for field in desk.account.custom_fields() if field.title == "Presort category")
    assert f"[[classifier]]  # category\nprediction_field_id = {field_id}\n" in result.output
    assert desk.file.read_text() == before
    again = desk.install()
    assert f'  keep    text field "Presort category" ({field_id})' in again.output
    assert len(desk.fields()) == 4


def test_options_are_never_touched(desk: Desk) -> None:
    before = list(desk.account.field(CONFIG.category_field_id).options)
    desk.install()
    assert desk.account.field(CONFIG.category_field_id).options == before
    changing = {route for route in desk.account.requests if not route.startswith("GET")}
    assert changing == {"POST /api/v2/ticket_fields", "POST /api/v2/webhooks", "POST /api/v2/webhooks/test"}


def test_nothing_is_made_before_yes(desk: Desk) -> None:
    result = desk.type("install", answer="n\n")
    assert result.exit_code == 1
    assert (desk.fields(), desk.account.webhooks) == ({"Category": "tagger"}, {})


def test_a_trigger_instead_of_an_event_subscription(desk: Desk, store: Store) -> None:
    result = desk.install("--trigger", "--secret-file", str(desk.secret_file))
    assert f'  create  webhook "Presort" to {desk.endpoint}, for a trigger' in result.output
    assert '  create  trigger "Presort", which sends every new ticket\'s id' in result.output
    (webhook,) = desk.account.webhooks.values()
    assert webhook.subscriptions == [FROM_TRIGGERS]
    with desk.receiver(desk.secret()):
        assert "verified: " in desk.install().output
        desk.running.create()
        eventually(lambda: store.depths()["tickets"] == 1)
    assert (len(desk.account.webhooks), len(desk.account.triggers)) == (1, 1)


def test_a_webhooks_kind_is_for_life(desk: Desk) -> None:
    desk.install()
    result = desk.install("--trigger")
    assert result.exit_code == 1
    assert "nothing was changed" in result.output
    assert "run `presort uninstall` first, or install without --trigger" in result.output
    assert len(desk.account.triggers) == 0


def test_what_was_switched_off_is_mended(desk: Desk) -> None:
    desk.install("--trigger")
    (webhook,), (trigger,) = desk.account.webhooks.values(), desk.account.triggers.values()
    webhook.status, webhook.name, trigger.active, trigger.body = "inactive", "Ours", False, "{}"
    result = desk.install()
    assert f'  change  webhook "Ours" to {desk.endpoint}, for a trigger: status becomes active' in result.output
    assert f'  change  trigger "Presort" ({trigger.id}): it is inactive' in result.output
    assert (webhook.status, webhook.name, trigger.active) == ("active", "Ours", True)
    assert '"ticket_id": "{{ticket.id}}"' in trigger.body
    assert "change" not in desk.install().output


def test_a_persons_trigger_is_not_mended_but_given_company(desk: Desk) -> None:
    """What else it does would be gone."""
    desk.install("--trigger")
    (trigger,) = desk.account.triggers.values()
    trigger.description, trigger.active, trigger.body = "Ours, says the admin", False, "{}"
    result = desk.install()
    assert '  created  trigger "Presort", which sends every new ticket\'s id' in result.output
    assert (trigger.active, trigger.body, len(desk.account.triggers)) == (False, "{}", 2)
    assert "create" not in desk.install().output


def test_two_admins_at_once_make_everything_once(desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.lock("install", 10):
        assert "another `presort install` is at it" in desk.install().output
    assert desk.account.webhooks == {}

    monkeypatch.setattr("click.confirm", lambda *_, **__: desk.install().exit_code == 0)  # while the first one reads
    result = desk.type("install")
    assert (result.exit_code, "no longer as shown, so nothing was done" in result.output) == (1, True)
    assert (len(desk.account.webhooks), desk.fields()) == (1, {"Category": "tagger"} | OURS)


def test_what_was_made_by_hand_is_taken_over(desk: Desk) -> None:
    body = {
        "webhook": {
            "name": "By hand",
            "endpoint": desk.endpoint,
            "http_method": "POST",
            "request_format": "json",
            "status": "active",
            "subscriptions": [TICKET_CREATED],
        }
    }
    assert desk.running.api("POST", "/webhooks", body).status_code == 201
    result = desk.install()
    assert f'  keep    webhook "By hand" to {desk.endpoint}' in result.output
    assert len(desk.account.webhooks) == 1


def test_of_two_webhooks_to_us_our_own_is_ours(desk: Desk) -> None:
    desk.install()
    body = {"name": "By hand", "endpoint": desk.endpoint, "subscriptions": [TICKET_CREATED]}
    assert desk.running.api("POST", "/webhooks", {"webhook": body}).status_code == 201
    desk.account.webhooks = dict(reversed(desk.account.webhooks.items()))
    assert f'  keep    webhook "Presort" to {desk.endpoint}' in desk.install().output


def test_another_installations_webhook_is_left_alone_and_shown(desk: Desk) -> None:
    desk.install()
    old = desk.endpoint
    desk.edit(f"http://127.0.0.1:{desk.port}", "http://127.0.0.1:9/behind-a-proxy/")
    result = desk.install()
    assert f'  keep    webhook "Presort" to {old}, of another installation or an old public_url' in result.output
    endpoints = {webhook.endpoint for webhook in desk.account.webhooks.values()}
    assert endpoints == {old, "http://127.0.0.1:9/behind-a-proxy/webhooks/zendesk"}
    desk.type("uninstall", "--yes")
    assert {webhook.endpoint for webhook in desk.account.webhooks.values()} == {old}


def test_what_was_interrupted_goes_on(desk: Desk) -> None:
    """Eight requests look, two make fields, and then the account's minute is used up."""
    desk.account.requests_left = Window(10)
    stopped = desk.install()
    assert stopped.exit_code == 1
    assert "Zendesk answered 429, too many requests. What was done stays" in stopped.output
    assert (len(desk.fields()), desk.account.webhooks) == (3, {})
    desk.account.requests_left = Window(1_000)
    result = desk.install()
    assert '  keep    text field "Presort category" (' in result.output
    assert '  create  text field "Presort category model"' in result.output
    assert desk.fields() == {"Category": "tagger"} | OURS
    assert settings.load().classifiers[0].prediction_field_id


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("field_id = 360000000101", "field_id = 5", "field 5 of classifier category does not exist"),
        ("field_id = 360000000101", "field_id = 360000000091", "is of type subject: it must be a drop-down"),
        ('bundle = "demo/bundle"', 'bundle = "b"\nmodel_field_id = 5', "take the line out of presort.toml"),
        ('bundle = "demo/bundle"', 'bundle = "b"\nmodel_field_id = 360000000091', "it must be a text field"),
        ("public_url", "# public_url", "has no public_url"),
    ],
)
def test_a_wrong_setting_stops_it_before_anything_is_made(desk: Desk, old: str, new: str, reason: str) -> None:
    desk.edit(old, new)
    result = desk.install()
    assert result.exit_code == 1
    assert reason in result.output
    assert (len(desk.fields()), desk.account.webhooks) == (1, {})


def test_an_inactive_field_is_named(desk: Desk) -> None:
    desk.account.field(CONFIG.category_field_id).active = False
    assert "is inactive: activate it in Admin Center" in desk.install().output


def test_tests_that_zendesk_signs_with_its_public_secret_still_verify(desk: Desk) -> None:
    """Whether it does so for a saved webhook is not documented."""
    desk.install()
    desk.account.config = msgspec.structs.replace(desk.account.config, tests_signed_publicly=True)
    with desk.receiver(desk.secret()):
        result = desk.install()
        assert "verified: Zendesk reaches the receiver, which takes what the webhook's secret signed" in result.output
    with desk.receiver("another secret"):
        result = desk.install()
        assert (result.exit_code, "matches no configured secret" in result.output) == (1, True)


def test_something_else_that_answers_is_no_receiver(desk: Desk) -> None:
    desk.install()
    desk.edit(f"http://127.0.0.1:{desk.port}", desk.running.url)
    assert "not verified: a test delivery from Zendesk failed: HTTP 404, and not from a" in desk.install().output


def test_the_secret_goes_to_a_file_for_its_owner_or_to_a_screen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    result = desk.install()
    assert desk.secret() not in result.output
    assert "--secret-file FILE writes it to a file" in result.output
    result = desk.install("--secret-file", str(desk.secret_file))
    assert desk.secret_file.read_text() == f"{desk.secret()}\n"
    assert stat.S_IMODE(desk.secret_file.stat().st_mode) == 0o600
    desk.secret_file.chmod(0o640)  # for the user that the receiver runs as
    assert "The signing secret is in" in desk.install("--secret-file", str(desk.secret_file)).output
    assert stat.S_IMODE(desk.secret_file.stat().st_mode) == 0o640
    assert desk.secret() not in result.output + caplog.text
    monkeypatch.setattr(cli, "on_a_screen", lambda: True)
    assert f"export PRESORT_WEBHOOK_SECRETS='{desk.secret()}'" in desk.install().output
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", f"old,{desk.secret()}")
    assert "PRESORT_WEBHOOK_SECRETS holds the webhook's signing secret" in desk.install().output


def test_a_file_with_another_secret_is_not_overwritten(desk: Desk) -> None:
    desk.secret_file.write_text("of another webhook")
    result = desk.install("--secret-file", str(desk.secret_file))
    assert (result.exit_code, "holds something else" in result.output) == (1, True)
    assert desk.secret_file.read_text() == "of another webhook"


def test_a_legacy_token_works_and_is_warned_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.edit('client_id = "presort" ', f'email = "{INTEGRATION.email}" ')
    assert "PRESORT_ZENDESK_API_TOKEN is not set" in desk.install().output
    monkeypatch.setenv("PRESORT_ZENDESK_API_TOKEN", CONFIG.api_token)
    assert desk.install().exit_code == 0
    assert "Zendesk stops all of them on 2027-04-30 and has made none since 2026-10-27" in caplog.text
    assert CONFIG.api_token not in caplog.text
    desk.edit(INTEGRATION.email, AGENT.email)
    assert "Avery Agent is no admin" in desk.install().output
    monkeypatch.setenv("PRESORT_ZENDESK_API_TOKEN", "wrong")
    assert "Zendesk refused our credentials (401)" in desk.install().output


def test_uninstall_removes_the_webhook_and_keeps_the_data(desk: Desk) -> None:
    desk.install("--trigger")
    result = desk.type("uninstall", answer="y\n")
    assert result.exit_code == 0, result.output
    assert '  remove  trigger "Presort"' in result.output
    assert '  keep    text field "Presort category"' in result.output
    assert (desk.account.webhooks, desk.account.triggers) == ({}, {})
    assert desk.fields() == {"Category": "tagger"} | OURS
    assert "Nothing to remove." in desk.type("uninstall", "--yes").output


def test_uninstall_takes_the_fields_only_when_told(desk: Desk) -> None:
    desk.install()
    result = desk.type("uninstall", "--yes", "--fields")
    assert desk.fields() == {"Category": "tagger"}
    assert "Take these lines out of presort.toml, and restart the workers:\nprediction_field_id = " in result.output


def test_uninstall_keeps_a_webhook_that_somebodys_trigger_needs(desk: Desk) -> None:
    desk.install("--trigger")
    (webhook,) = desk.account.webhooks.values()
    wanted = {
        "title": "By hand",
        "conditions": {"all": [{"field": "update_type", "operator": "is", "value": "Create"}]},
        "actions": [{"field": "notification_webhook", "value": [webhook.id, "{}"]}],
    }
    assert desk.running.api("POST", "/triggers", {"trigger": wanted}).status_code == 201
    result = desk.type("uninstall", "--yes")
    assert f'  keep    webhook "Presort" to {desk.endpoint}, for that trigger' in result.output
    assert [one.title for one in desk.account.triggers.values()] == ["By hand"]


def test_uninstall_leaves_what_a_person_made(desk: Desk) -> None:
    """Known by the description, whatever the name became."""
    desk.install("--trigger")
    (webhook,), (trigger,) = desk.account.webhooks.values(), desk.account.triggers.values()
    fields = [field for field in desk.account.custom_fields() if field.kind == "text"]
    for one in (webhook, trigger):
        one.description = "Ours, says the admin"
    for field in fields:
        assert MADE_BY in field.agent_description
        field.agent_description = ""
    result = desk.type("uninstall", "--yes", "--fields")
    assert "Nothing to remove." in result.output
    assert (len(desk.account.webhooks), len(desk.account.triggers), len(desk.fields())) == (1, 1, 4)
