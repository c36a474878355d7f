"""``presort doctor``: what is well, what is broken, and how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from click.testing import Result

from integration import messages, notices, settings, taxonomy
from integration.controls import Controls
from integration.doctor import account, machine
from integration.install.checks import wrong_webhook
from integration.records import Model
from integration.settings import Channel
from integration.simulator.account import AGENT, INTEGRATION
from integration.simulator.records import Invocation, Option
from integration.store import Store
from integration.zendesk.setup import Account, Webhook
from integration.zendesk.setup import Invocation as Seen
from integration.zendesk.webhooks import TICKET_CREATED
from tests.conftest import awaited
from tests.install.conftest import CONFIG, Desk
from tests.simulator.support import eventually

LABELS = {"delivery": "Orders::Delivery", "refund": "Orders::Refund", "other": "Other"}


@pytest.fixture
def well(desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Installed, with a receiver and a worker."""
    store.redis.config_set("maxmemory-policy", "noeviction")
    assert desk.install().exit_code == 0
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", desk.secret())
    store.beat("host:1")
    serve(store, LABELS)
    with desk.receiver(desk.secret()):
        yield desk


def serve(store: Store, labels: dict[str, str]) -> None:
    """What a worker publishes when it has loaded a model."""
    model = Model(name="m", version="1", graph="int8", provider="CPU", labels=labels, loaded_at=time.time())
    store.publish_model("category", model)


def lines(result: Result, about: str) -> list[str]:
    """What was found about something, each with its level."""
    rows = [line.split(None, 1) for line in result.output.splitlines() if line]
    return [f"{level} {text.removeprefix(about).strip()}" for level, text in rows if text.startswith(f"{about} ")]


def test_all_is_well(well: Desk) -> None:
    well.running.create()
    (webhook,) = well.account.webhooks.values()
    eventually(lambda: webhook.invocations)
    result = well.type("doctor")
    assert result.exit_code == 0, result.output
    assert "\n0 broken, 0 warning, " in result.output
    assert lines(result, "credentials") == ["ok Presort, admin, scope read write"]
    assert lines(result, "clock")[0].endswith("Zendesk's")
    assert lines(result, "workers") == ["ok 1: host:1"]
    assert lines(result, "model category") == ["ok m@1, int8 on CPU, passed its self-test"]
    assert lines(result, "fields category") == ['ok "Category" has 3 options; 3 of 3 fields of Presort\'s own']
    assert lines(result, "labels category") == ["ok all 3 are options of 'Category'"]
    assert lines(result, "webhook") == [f'ok "Presort" to {well.endpoint} is active']
    assert lines(result, "secret") == ["ok PRESORT_WEBHOOK_SECRETS holds the webhook's"]
    assert lines(result, "deliveries") == ["ok the last 1 all arrived"]
    assert lines(result, "receiver") == [f"ok a signed test to {well.endpoint} was taken"]


def test_it_changes_nothing(well: Desk) -> None:
    well.account.requests.clear()
    well.type("doctor")
    assert well.account.requests
    assert {route for route in well.account.requests if not route.startswith("GET")} == set()


def test_before_anything_is_set_up_it_says_where_to_begin(desk: Desk) -> None:
    desk.file.unlink()
    result = desk.type("doctor")
    assert result.exit_code == 1
    assert "copy presort.example.toml" in lines(result, "settings")[0]


def test_before_install_it_says_what_is_missing(desk: Desk) -> None:
    result = desk.type("doctor")
    assert result.exit_code == 1
    assert lines(result, "webhook") == [f"broken none points to {desk.endpoint}: run `presort install`"]
    assert "0 of 3 fields of Presort's own: `presort install` makes the others" in lines(result, "fields category")[0]
    assert lines(result, "workers")[0].startswith("broken none runs: start one with `presort-worker run`")
    assert lines(result, "model category")[0].startswith("broken no worker has loaded one: see the log of")


def test_without_redis_nothing_else_is_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_REDIS_URL", "redis://127.0.0.1:9/0")
    result = desk.type("doctor")
    assert lines(result, "redis")[0].startswith("broken ConnectionError: is it running at PRESORT_REDIS_URL?")
    assert result.exit_code == 1


def test_wrong_credentials_do_not_hide_the_rest(well: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "wrong")
    store.drop_token(CONFIG.client_id)
    result = well.type("doctor")
    assert "broken Zendesk gave no token for OAuth client 'presort' (HTTP 401)" in lines(result, "zendesk")[0]
    assert lines(result, "workers") == ["ok 1: host:1"]


def test_a_token_without_write_and_a_legacy_token(well: Desk, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save_token(CONFIG.client_id, well.running.token(scope="read"), 60)
    assert lines(well.type("doctor"), "credentials")[0].startswith("broken the token lacks the scope write")
    well.edit('client_id = "presort" ', f'email = "{AGENT.email}" ')
    monkeypatch.setenv("PRESORT_ZENDESK_API_TOKEN", CONFIG.api_token)
    no_admin, legacy = lines(well.type("doctor"), "credentials")
    assert no_admin.startswith("warning Avery Agent is no admin")
    assert legacy.startswith("warning a legacy API token opens the account: Zendesk stops all of them on 2027-04-30")


def test_without_an_admins_rights_the_webhook_is_hidden_and_the_rest_is_looked_at(well: Desk) -> None:
    well.account.users[INTEGRATION.id] = replace(INTEGRATION, role="agent")
    result = well.type("doctor")
    assert result.exit_code == 0, result.output
    assert lines(result, "zendesk") == []
    assert lines(result, "webhook")[0].startswith(
        "warning Zendesk shows webhooks, their secrets and deliveries to admins"
    )
    assert lines(result, "labels category") == ["ok all 3 are options of 'Category'"]
    assert lines(result, "receiver") == [f"ok a signed test to {well.endpoint} was taken"]


def test_a_label_whose_option_is_gone_and_an_option_that_is_new(well: Desk, store: Store) -> None:
    serve(store, {"delivery": "Orders::Delivery", "refund": "Orders::Refund", "spam": "Spam"})
    taxonomy.count_gone(store.redis, "category", {"spam": 1_200})
    gone, new = lines(well.type("doctor"), "labels category")
    assert gone.startswith(
        'warning 1 of 3 have no option in "Category" and are never written: Spam (spam), 1,200 decisions not written.'
    )
    assert new == (
        "warning 1 of 3 options are unknown to the model, which never answers so: Other (other). Train on newer tickets"
    )


def test_an_alias_heals_a_renamed_option(well: Desk) -> None:
    option = next(one for one in well.account.field(CONFIG.category_field_id).options if one.value == "refund")
    option.value = "money_back"
    assert len(lines(well.type("doctor"), "labels category")) == 2
    well.edit('bundle = "demo/bundle"', 'bundle = "demo/bundle"\naliases = { refund = "money_back", lost = "other" }')
    assert lines(well.type("doctor"), "labels category") == [
        "ok all 3 are options of 'Category'",
        "warning aliases of labels that the model does not have: lost. Take them out of presort.toml",
    ]


def test_a_field_of_quite_another_taxonomy_is_broken(well: Desk) -> None:
    well.account.field(CONFIG.category_field_id).options = [Option(1, "Gold", "gold")]
    result = well.type("doctor")
    assert lines(result, "labels category")[0].startswith("broken 3 of 3 have no option")
    assert result.exit_code == 1


def test_a_receiver_with_another_secret(well: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", "another")
    assert lines(well.type("doctor"), "secret")[0].startswith("broken PRESORT_WEBHOOK_SECRETS does not hold")
    monkeypatch.delenv("PRESORT_WEBHOOK_SECRETS")
    assert lines(well.type("doctor"), "secret")[0].startswith("warning PRESORT_WEBHOOK_SECRETS is not set here")
    (webhook,) = well.account.webhooks.values()
    webhook.secret = "reset"
    assert "HTTP 401, the signature matches no configured secret" in lines(well.type("doctor"), "receiver")[0]


def test_deliveries_that_failed_are_counted_with_the_latest(well: Desk) -> None:
    (webhook,) = well.account.webhooks.values()
    webhook.invocations = {str(n): Invocation(str(n), 200 if n < 8 else 503, n) for n in range(10)}
    (found,) = lines(well.type("doctor"), "deliveries")
    assert found.startswith("broken 2 of the last 10 failed, the latest at 1970-01-01 ")
    assert "with HTTP 503: the receiver's log" in found
    webhook.invocations["10"] = Invocation("10", 200, 10)
    assert lines(well.type("doctor"), "deliveries")[0].startswith("warning 2 of the last 11")


def test_a_webhook_that_is_off_or_twice(well: Desk) -> None:
    (webhook,) = well.account.webhooks.values()
    webhook.status = "inactive"
    assert "status must be active: run `presort install`" in lines(well.type("doctor"), "webhook")[0]
    webhook.status = "active"
    body = {"name": "Again", "endpoint": well.endpoint, "subscriptions": [TICKET_CREATED]}
    well.running.api("POST", "/webhooks", {"webhook": body})
    assert lines(well.type("doctor"), "webhook")[0].startswith(f"warning 2 webhooks point to {well.endpoint}")


def test_a_trigger_that_is_missing(desk: Desk) -> None:
    desk.install("--trigger")
    desk.account.triggers.clear()
    assert "there is none: run `presort install`" in lines(desk.type("doctor"), "webhook")[0]


def test_without_a_public_url_the_webhook_cannot_be_looked_for(well: Desk) -> None:
    well.edit("public_url", "# public_url")
    assert lines(well.type("doctor"), "webhook")[0].startswith("warning public_url is not set")


@pytest.mark.parametrize(
    ("skew_s", "level", "text"),
    [
        (2.0, "ok", "2 s ahead of Zendesk's"),
        (-31.0, "warning", "31 s behind Zendesk's; 600 s are allowed: keep time with NTP"),
        (601.0, "broken", "601 s ahead of Zendesk's, so every delivery is refused: keep time with NTP"),
        (None, "warning", "Zendesk's answer tells no time: is there a proxy between that removes it?"),
    ],
)
def test_a_clock_that_is_off(skew_s: float | None, level: str, text: str) -> None:
    assert account.clock(skew_s, 600) == (level, "clock", text)


def test_a_webhook_of_other_events_is_to_learn_ours() -> None:
    """The simulator knows one event; Zendesk has many, and a webhook may ask for several."""
    webhook = Webhook(id="1", name="n", endpoint="e", subscriptions=("zen:event-type:user.created",))
    assert wrong_webhook(webhook) == {"subscriptions": ["zen:event-type:user.created", TICKET_CREATED]}


def test_no_answer_at_all_is_said_so() -> None:
    found = account.deliveries([Seen(status="failed", code=0, at=None)], "UTC")
    assert found.text.startswith("1 of the last 1 failed, the latest with no answer")


def test_scopes_that_zendesk_does_not_tell_are_no_trouble() -> None:
    untold = Account(user="A", role="admin", scopes=None, skew_s=None)
    assert account.credentials(untold, legacy=False) == [("ok", "credentials", "A, admin")]


def test_a_queue_that_stands_still(store: Store) -> None:
    now = time.time()
    awaited(store, 7, now - 3_700)
    store.park(messages.CLASSIFY, {}, "reason")
    late, parked = machine.queue(store, now)
    assert late.level == "warning"
    assert "ticket 7 waits for 1:01:40: do workers run" in late.text
    assert parked.text == "1 waiting for a person: see `presort parked list`"
    (fine, _) = machine.queue(store, now - 3_690)
    assert fine.text.endswith("the oldest ticket waits for 0:00:10")


def test_writes_that_are_held(well: Desk, store: Store) -> None:
    store.hold_updates(40)
    assert lines(well.type("doctor"), "writes")[0].startswith("warning Zendesk asked to wait, or does not answer")
    Controls(store.redis).throw(paused=True, by="Kim")
    assert lines(well.type("doctor"), "writes") == [
        "warning paused by Kim; decisions are kept, and `presort status` says more"
    ]


def test_a_refused_model_and_a_redis_that_forgets(well: Desk, store: Store) -> None:
    store.count_refusal("category", "2")
    store.redis.config_set("maxmemory-policy", "allkeys-lru")
    result = well.type("doctor")
    store.redis.config_set("maxmemory-policy", "noeviction")
    assert "workers refused 2: their log says why" in lines(result, "model category")[0]
    assert "forgets messages when it is full: set maxmemory-policy noeviction" in lines(result, "redis")[0]


def test_a_redis_that_may_outgrow_its_machine(store: Store) -> None:
    """Unbounded, the kernel ends it; bounded, it refuses."""
    bound = str(store.redis.config_get("maxmemory")["maxmemory"])
    assert machine.redis(store).level == "ok"
    store.redis.config_set("maxmemory", 0)
    found = machine.redis(store)
    store.redis.config_set("maxmemory", bound)
    assert found.level == "warning"
    assert "no bound: set maxmemory" in found.text


@pytest.mark.usefixtures("desk")
def test_channels_with_what_they_lack_and_since_when_they_fail(store: Store) -> None:
    pager = Channel(name="pager", kind="pagerduty", least="critical")
    team = Channel(name="team", kind="webhook", url="http://127.0.0.1:9", classifiers=("category",))
    mail = Channel(name="mail", kind="apprise")
    config = msgspec.structs.replace(
        settings.load(), channels=(pager, team, mail), channel_secrets={"team": "s", "mail": "json://x"}
    )
    trouble = notices.Trouble(since=1_764_000_000, tries=3, again_at=0, reason="it answered 503")
    notices.note_trouble(store.redis, "mail", trouble)
    assert machine.channels(store, config) == [
        (
            "warning",
            "channel pager",
            "PRESORT_CHANNEL_PAGER is not set here; workers do not start without it: put it in their environment",
        ),
        (
            "ok",
            "channel team",
            "webhook, hears warning alerts and worse of category; `presort alerts test team` tries it",
        ),
        (
            "warning",
            "channel mail",
            "takes nothing since 2025-11-24 16:00:00 UTC, tried 3 times: it answered 503",
        ),
    ]
