"""What is wrong in the configuration is said by name, with the cure."""

from __future__ import annotations

import re
import tomllib
import traceback
from pathlib import Path

import msgspec
import pytest

from integration import settings
from integration.settings import SettingsError, load, secret

CLASSIFIER = '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n'
EXAMPLE = Path("presort.example.toml")
SECRETS = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", "PRESORT_WEBHOOK_SECRETS": "a, b"}


def test_the_example_is_valid_and_documents_every_setting() -> None:
    """A setting without a line in the example is a setting nobody finds."""
    loaded = load(EXAMPLE, SECRETS)
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    text = EXAMPLE.read_text(encoding="utf-8")
    groups: dict[str, type[msgspec.Struct]] = {
        "zendesk": settings.Zendesk,
        "receiver": settings.Receiver,
        "worker": settings.Worker,
        "spikes": settings.Spikes,
        "ledger": settings.Ledger,
        "console": settings.Console,
        "classifier": settings.Classifier,
        "channel": settings.Channel,
    }
    assert set(groups) == {*document, "channel"}, "a channel is nobody's default, so the example only shows one"
    for group in groups.values():
        for field in msgspec.structs.fields(group):
            assert re.search(rf"^(# )?{field.name} = ", text, re.MULTILINE), f"{group.__name__}.{field.name}"
            assert f"{field.name}" in (group.__doc__ or "") or field.name in {"host", "port", "name", "timeout_s"}
    assert loaded.webhook_secrets == ("a", "b")
    assert loaded.redis_url == "redis://127.0.0.1:6379/0"


def test_the_example_shows_the_defaults() -> None:
    loaded = load(EXAMPLE, SECRETS)
    assert loaded.worker == settings.Worker()
    assert loaded.spikes == settings.Spikes()
    assert loaded.receiver == settings.Receiver()
    assert loaded.ledger == settings.Ledger()
    assert loaded.console == settings.Console()


def test_bundles_are_found_beside_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    assert load(path, SECRETS).classifiers[0].bundle == str(tmp_path / "m")


def test_modes_of_categories_and_brands(tmp_path: Path) -> None:
    modes = '[classifier.categories]\n"a::b" = "prefill"\n[classifier.brands]\n360000000201 = "shadow"\n'
    (classifier,) = load(_write(tmp_path, CLASSIFIER + modes), SECRETS).classifiers
    assert classifier.categories == {"a::b": "prefill"}
    assert classifier.brands == {360000000201: "shadow"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[zendesk", "cannot be read"),
        ("", "zendesk"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n', "classifier"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nsubdoman = "c"\n', "subdoman"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nemail = "c"\n', "one way in"),
        ('[zendesk]\nsubdomain = "https://a"\nclient_id = "b"\n', r"\$.zendesk.subdomain"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nshare = 1.5\n', r"\$.zendesk.share"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = "x"\nbundle = "m"\n', "field_id"),
        (CLASSIFIER + '[classifier.categories]\nrefund = "prefil"\n', r"'prefil' - at `\$.classifier.*\.categories"),
        (CLASSIFIER + '[classifier.brands]\nacme = "shadow"\n', r"`key` in `\$.classifier.*\.brands`"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nwrites_per_day = 0\n', r"\$.zendesk.writes_per_day"),
        (
            '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n' + '[[classifier]]\nfield_id = 1\nbundle = "m"\n' * 2,
            "same name",
        ),
        (CLASSIFIER + "model_field_id = 7\nprediction_field_id = 7\n", "field 7 is named more than once"),
        (CLASSIFIER + CLASSIFIER[CLASSIFIER.index("[[") :] + 'name = "b"\n', "field 1 is named more than once"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(SettingsError, match=reason) as caught:
        load(path, SECRETS)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"copy presort\.example\.toml"):
        load(tmp_path / "absent.toml", SECRETS)


def test_a_missing_secret_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="PRESORT_ZENDESK_CLIENT_SECRET is not set"):
        load(EXAMPLE, {"PRESORT_WEBHOOK_SECRETS": "a"})


def test_only_the_receiver_needs_the_signing_secret() -> None:
    """A worker has no use for it, and `presort install` is where it comes from."""
    assert load(EXAMPLE, {"PRESORT_ZENDESK_CLIENT_SECRET": "c"}).webhook_secrets == ()


def test_a_legacy_token_stands_in_for_the_oauth_client(tmp_path: Path) -> None:
    path = _write(tmp_path, '[zendesk]\nsubdomain = "a"\nemail = "b@c"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    assert load(path, {"PRESORT_ZENDESK_API_TOKEN": "t"}).zendesk_client_secret == "t"
    with pytest.raises(SettingsError, match="PRESORT_ZENDESK_API_TOKEN is not set"):
        load(path, SECRETS)


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    path = _write(tmp_path, "hidden\n")
    assert secret("NAME", {"NAME_FILE": str(path)}) == "hidden"
    with pytest.raises(SettingsError, match="NAME_FILE points at"):
        secret("NAME", {"NAME_FILE": str(tmp_path / "absent")})
    with pytest.raises(SettingsError, match="empty"):
        secret("NAME", {"NAME_FILE": str(_write(tmp_path, " \n"))})


@pytest.mark.parametrize("url", ["redis.acme.com", "redis://:s3cr/et@host/0", "redis://host:63x/0", "http://host"])
def test_a_redis_url_of_no_form_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match="PRESORT_REDIS_URL is no URL of a Redis") as refused:
        load(EXAMPLE, SECRETS | {"PRESORT_REDIS_URL": url})
    assert "s3cr" not in "".join(traceback.format_exception(refused.value))
    assert url not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://h/1", "rediss://:p%2Fw@h:1/0?ssl_cert_reqs=none", "unix:///run/redis.sock?db=2"]
)
def test_redis_urls(url: str) -> None:
    assert load(EXAMPLE, SECRETS | {"PRESORT_REDIS_URL": url}).redis_url == url


CHANNEL = '[[channel]]\nname = "ops"\nkind = '


def test_channels_and_their_secrets(tmp_path: Path) -> None:
    file = CLASSIFIER + CHANNEL + '"webhook"\nurl = "https://ops.acme.com/x/"\n[[channel]]\nname = "am"\n'
    path = _write(tmp_path, file + 'kind = "alertmanager"\nurl = "http://am:9093"\n')
    secret_file = tmp_path / "secret"
    secret_file.write_text("hush\n", encoding="utf-8")
    loaded = load(path, SECRETS | {"PRESORT_CHANNEL_OPS_FILE": str(secret_file)})
    assert [(one.name, one.kind, one.url) for one in loaded.channels] == [
        ("ops", "webhook", "https://ops.acme.com/x/"),
        ("am", "alertmanager", "http://am:9093"),
    ]
    assert loaded.channel_secrets == {"ops": "hush"}
    assert loaded.channels_without_secret == ()


def test_a_process_that_tells_nobody_needs_no_channels_secret(tmp_path: Path) -> None:
    """The receiver reads the same file; workers refuse to start, and `presort doctor` says so."""
    loaded = load(_write(tmp_path, CLASSIFIER + CHANNEL + '"apprise"\n'), SECRETS)
    assert [one.variable for one in loaded.channels_without_secret] == ["PRESORT_CHANNEL_OPS"]


def test_alert_urls_are_a_channel_each() -> None:
    """So that one which fails is no other's business."""
    loaded = load(EXAMPLE, SECRETS | {"PRESORT_ALERT_URLS": "slack://a/b/c mailto://d"})
    assert [(one.name, one.kind) for one in loaded.channels] == [("alerts", "apprise"), ("alerts_2", "apprise")]
    assert loaded.channel_secrets == {"alerts": "slack://a/b/c", "alerts_2": "mailto://d"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"webhook"\n', "channel 'ops' needs url"),
        ('"alertmanager"\n', "channel 'ops' needs url"),
        ('"zendesk"\n', "channel 'ops' needs group_id: the Zendesk group"),
        ('"pagerduty"\ngroup_id = 7\n', "takes no group_id"),
        ('"apprise"\nurl = "https://hooks.slack.com/x"\n', "Apprise's holds secrets, PRESORT_CHANNEL_OPS"),
        ('"zendesk"\ngroup_id = 7\nurl = "https://acme.zendesk.com"\n', "takes no url: it is the account's own"),
        ('"webhook"\nurl = "ops.acme.com"\n', r"\$.channel.*url"),
        ('"slack"\n', r"'slack' - at `\$.channel"),
        ('"pagerduty"\nsecret = "x"\n', "unknown field `secret`"),
        ('"pagerduty"\nclassifiers = ["topic"]\n', "classifier 'topic', which there is not: classifiers are category"),
        ('"pagerduty"\n' + CHANNEL + '"pagerduty"\n', "two channels have the name 'ops'"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load(_write(tmp_path, CLASSIFIER + CHANNEL + text), SECRETS)


def test_a_name_that_the_short_form_has_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, CLASSIFIER + CHANNEL.replace("ops", "alerts") + '"pagerduty"\n')
    with pytest.raises(SettingsError, match="PRESORT_ALERT_URLS"):
        load(path, SECRETS | {"PRESORT_ALERT_URLS": "json://a"})


def test_two_urls_in_one_channel_are_refused_and_not_quoted(tmp_path: Path) -> None:
    path = _write(tmp_path, CLASSIFIER + CHANNEL + '"apprise"\n')
    with pytest.raises(SettingsError, match=r"PRESORT_CHANNEL_OPS holds more than one URL") as refused:
        load(path, SECRETS | {"PRESORT_CHANNEL_OPS": "slack://s3cr/e/t mailto://x"})
    assert "s3cr" not in str(refused.value)


def _write(folder: Path, text: str) -> Path:
    path = folder / "presort.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_weak_agent_secret_is_refused_without_telling_it(tmp_path: Path) -> None:
    path = _write(tmp_path, CLASSIFIER)
    assert load(path, SECRETS).agent_secrets == ()
    assert load(path, SECRETS | {"PRESORT_AGENT_SECRETS": f"{'a' * 32}, {'b' * 40}"}).agent_secrets == (
        "a" * 32,
        "b" * 40,
    )
    for bad in ("hunter2", "hunter2 is not enough even if it is long".replace(" ", "/")):
        with pytest.raises(SettingsError, match="openssl rand -hex 32") as caught:
            load(path, SECRETS | {"PRESORT_AGENT_SECRETS": bad})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('subdomain = "a\\n"', "subdomain"),
        ("timeout_s = inf", "timeout_s"),
        ("updates_per_minute = inf", "updates_per_minute"),
        (f"time_zone = {'[' * 5000}", "nested too deeply"),
    ],
)
def test_what_would_break_later_is_refused_now(tmp_path: Path, line: str, said: str) -> None:
    name, _, value = line.partition(" = ")
    rest = {"subdomain": '"a"', "client_id": '"b"'} | {name: value}
    zendesk = "\n".join(f"{one} = {given}" for one, given in rest.items())
    path = _write(tmp_path, f'[[classifier]]\nfield_id = 1\nbundle = "m"\n[zendesk]\n{zendesk}\n')
    with pytest.raises(SettingsError, match=said):
        load(path, SECRETS)
