"""The one place that reads ``presort.toml``, the environment and secret files.

Everything else gets a validated group passed in. Secrets come from the environment only: ``NAME``, or ``NAME_FILE``
with the path of a file that holds the value (Docker and Kubernetes secrets).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

PATH_VARIABLE = "PRESORT_CONFIG"
DEFAULT_PATH = "presort.toml"
WEBHOOK_PATH = "/webhooks/zendesk"

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
"""TOML has `inf`, which no clock and no queue can wait for."""
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Id = Annotated[int, msgspec.Meta(gt=0)]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
Mode = Literal["shadow", "suggest", "prefill"]


class SettingsError(Exception):
    """A setting that is missing or wrong; the message names it and says how to mend it."""


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misspelt setting is an error, never a silent default."""


class Zendesk(_Group, frozen=True, kw_only=True):
    """The account and how hard it may be used.

    Attributes:
        subdomain: ``acme`` of ``acme.zendesk.com``.
        client_id: the OAuth client's unique identifier; its secret is ``PRESORT_ZENDESK_CLIENT_SECRET``.
        email: instead of ``client_id``, the user of a legacy API token (``PRESORT_ZENDESK_API_TOKEN``); Zendesk has
            made none since 2026-10-27 and stops all of them on 2027-04-30.
        url: base URL of the local simulator instead of the account; never set in production.
        updates_per_minute: ticket updates Zendesk grants the account (100; 20 on trials, 300 with High Volume).
        share: the part of them that Presort may use; agents' own edits need the rest.
        timeout_s: for one request.
        writes_per_day: tickets that Presort may write to on one day (UTC); what is over waits for the next. None for
            no limit.
        time_zone: the account's, by its IANA name: alerts expect each hour of the week what it usually brings.
        paused: write nothing, as after ``presort pause``, but also when Redis has lost all it knew; needs a restart of
            the workers.
    """

    subdomain: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z")]
    client_id: str | None = None
    email: str | None = None
    url: str | None = None
    updates_per_minute: Positive = 100
    share: Share = 0.6
    timeout_s: Positive = 10
    writes_per_day: Annotated[int, msgspec.Meta(gt=0)] | None = None
    time_zone: str = "UTC"
    paused: bool = False

    def __post_init__(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValueError(f"no time zone {self.time_zone!r}: give its IANA name, such as Europe/Berlin")
        if (self.client_id is None) is (self.email is None):
            raise ValueError("one way in: either client_id (OAuth) or email (a legacy API token)")

    def ticket_url(self, ticket_id: int) -> str:
        """Where an agent opens the ticket."""
        if self.url:
            return f"{self.url}/tickets/{ticket_id}"
        return f"https://{self.subdomain}.zendesk.com/agent/tickets/{ticket_id}"


class Receiver(_Group, frozen=True, kw_only=True):
    """The webhook's door.

    Attributes:
        host, port: where it listens.
        public_url: where Zendesk reaches it, without ``/webhooks/zendesk``; needed by ``presort install``.
        max_age_s: how far a delivery's signed timestamp may be from now, either way.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    public_url: Url | None = None
    max_age_s: Positive = 600

    @property
    def endpoint(self) -> str | None:
        """The webhook's address, None without ``public_url``."""
        return None if self.public_url is None else self.public_url.rstrip("/") + WEBHOOK_PATH


class Classifier(_Group, frozen=True, kw_only=True):
    """One Zendesk field that Presort answers for.

    Attributes:
        name: in metrics, records and alerts.
        field_id: the drop-down or multi-select to fill; a bundle that may answer with several labels needs a
            multi-select.
        bundle: the model's folder, or ``registry#name`` with a registry's URL or folder: then workers follow the
            version that is active there. Relative paths start at ``presort.toml``.
        mode: ``shadow`` records only, ``suggest`` writes the three fields below, ``prefill`` also the field itself
            with every label that the model is sure enough of.
        categories: modes of single categories, by the model's label; each stands in for ``mode``.
        brands: the same of single brands, by Zendesk's id. Where a category and a brand are named, the stricter holds.
        prediction_field_id, confidence_field_id, model_field_id: text fields of ours beside it; each may be left out.
        aliases: a label of the model to the option that has its meaning now. An option that was renamed goes on being
            filled without another training; several labels may become one option.
        other_languages: what becomes of tickets in a language that the bundle was not made for, where it names its
            languages: only suggested, or not asked about (``skip``).
        target_precision: a category that is filled and is found to be right less often than this is suggested only,
            until a person restores it; what the bundle was trained for unless set.
    """

    name: Name = "category"
    field_id: Id
    bundle: str
    mode: Mode = "suggest"
    categories: dict[str, Mode] = {}
    brands: dict[Id, Mode] = {}
    prediction_field_id: Id | None = None
    confidence_field_id: Id | None = None
    model_field_id: Id | None = None
    aliases: dict[str, str] = {}
    other_languages: Literal["suggest", "skip"] = "suggest"
    target_precision: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] | None = None

    def option(self, label: str) -> str:
        """The option's tag that a label of the model stands for."""
        return self.aliases.get(label, label)


class Worker(_Group, frozen=True, kw_only=True):
    """Inference.

    Attributes:
        provider: ``auto`` takes CUDA when it and an fp16 graph are there.
        batch: tickets taken from the queue at once.
        flush_s: how long the first ticket of a batch waits for company.
        cache: folder for models from a registry; several workers may share it. Relative paths start at
            ``presort.toml``.
        shadow_staged: ask a registry's staged model too and count where it differs; it decides nothing, and costs
            as much time and memory as the active one.
    """

    provider: Literal["auto", "cpu", "cuda"] = "auto"
    batch: Annotated[int, msgspec.Meta(ge=1, le=100)] = 64
    flush_s: Positive = 0.1
    cache: str = "var/bundles"
    shadow_staged: bool = False


class Spikes(_Group, frozen=True, kw_only=True):
    """When a category's rate is news.

    Attributes:
        weeks: at most one false alert per category in this many weeks.
        min_tickets: fewer never make an alert.
        min_ratio: an alert needs a ratio to the expected rate that is above this with 95 % certainty.
        holidays: days, in the account's time zone, on which a Sunday's rates are expected.
        tick_s: seconds a count covers. The detector thinks in ticks of a minute; the demo shortens them to let an
            hour pass in a minute.
        learning_weeks: history that is needed before a category may fire.
        late_ticks: how long a count waits for late tickets before it is judged.
        ignored_tags: a ticket that carries one of them counts for no alert. Nothing else tells an imported ticket from
            a new one, so give imports a tag, as Zendesk recommends.
    """

    weeks: Literal[4, 12, 52] = 4
    min_tickets: Annotated[int, msgspec.Meta(ge=3)] = 5
    min_ratio: Annotated[float, msgspec.Meta(ge=1, le=1e9)] = 1.5
    holidays: tuple[date, ...] = ()
    tick_s: Positive = 60
    learning_weeks: Annotated[float, msgspec.Meta(gt=0, le=8)] = 1
    late_ticks: Annotated[int, msgspec.Meta(ge=0)] = 2
    ignored_tags: tuple[str, ...] = ()


class Channel(_Group, frozen=True, kw_only=True):
    """One place where alerts are told.

    Attributes:
        name: in logs and commands. Its secret is ``PRESORT_CHANNEL_<NAME>``: an Apprise URL, PagerDuty's integration
            key, the signing secret of a webhook, Alertmanager's bearer token; ``zendesk`` has none of its own.
        kind: what answers there.
        least: the least severe alerts that it hears.
        classifiers: those it hears of; empty for all.
        url: of the webhook, of Alertmanager, of PagerDuty's Events API where it is not the usual one.
        group_id: the Zendesk group that alert tickets are assigned to.
    """

    name: Name
    kind: Literal["apprise", "pagerduty", "alertmanager", "webhook", "zendesk"]
    least: Literal["warning", "critical"] = "warning"
    classifiers: tuple[Name, ...] = ()
    url: Url | None = None
    group_id: Id | None = None

    def __post_init__(self) -> None:
        if self.url is None and self.kind in {"alertmanager", "webhook"}:
            raise ValueError(f"channel {self.name!r} needs url: where it listens, as in https://alerts.acme.com")
        if self.url is not None and self.kind in {"apprise", "zendesk"}:
            raise ValueError(
                f"channel {self.name!r} takes no url: "
                + ("Apprise's holds secrets, " + self.variable if self.kind == "apprise" else "it is the account's own")
            )
        if (self.group_id is not None) is not (self.kind == "zendesk"):
            raise ValueError(
                f"channel {self.name!r} needs group_id: the Zendesk group that looks after alerts, "
                "the number in its address in Admin Center > People > Groups"
                if self.kind == "zendesk"
                else f"channel {self.name!r} takes no group_id: that is for kind zendesk"
            )

    @property
    def variable(self) -> str:
        """Where its secret is looked for."""
        return f"PRESORT_CHANNEL_{self.name.upper()}"

    @property
    def needs_secret(self) -> bool:
        """Whether it cannot do without; Alertmanager may be open to its own network."""
        return self.kind in {"apprise", "pagerduty", "webhook"}


class Ledger(_Group, frozen=True, kw_only=True):
    """Reading back in Zendesk: which tickets have no decision, and what became of the others.

    Attributes:
        every_s: seconds between two looks at the export.
        horizon_h: tickets filed within so many hours are sorted when they have no decision, also at the first start;
            less than a decision is remembered.
        histories_per_minute: solved tickets to look back at, at up to one request each. When more are solved, they are
            drawn by lot.
    """

    every_s: Annotated[float, msgspec.Meta(ge=10, le=1e9)] = 300
    horizon_h: Annotated[float, msgspec.Meta(ge=1, le=47)] = 24
    histories_per_minute: Annotated[int, msgspec.Meta(ge=4, le=400)] = 60


class Console(_Group, frozen=True, kw_only=True):
    """What people's browsers ask: the admins' pages and the agent's sidebar app.

    Attributes:
        host, port: where it listens.
        public_url: where browsers and Zendesk reach it; needed by ``presort app``.
        proxies: reverse proxies in front of it, whose ``X-Forwarded-For`` and ``-Proto`` tell whence a request comes.
        user_header: the header in which a reverse proxy that has signed a person in names them, such as
            ``X-Forwarded-User``; then there is no password, and nobody may reach the console but through that proxy.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8081
    public_url: Url | None = None
    proxies: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    user_header: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]*\Z")] | None = None


class _File(_Group, frozen=True, kw_only=True):
    """``presort.toml`` as it is written."""

    zendesk: Zendesk
    classifier: Annotated[tuple[Classifier, ...], msgspec.Meta(min_length=1)]
    receiver: Receiver = Receiver()
    worker: Worker = Worker()
    spikes: Spikes = Spikes()
    channel: tuple[Channel, ...] = ()
    ledger: Ledger = Ledger()
    console: Console = Console()


class Settings(_Group, frozen=True, kw_only=True):
    """Everything a process needs to know, validated once at its start.

    Attributes:
        zendesk_client_secret: ``PRESORT_ZENDESK_CLIENT_SECRET``, or with ``zendesk.email``
            ``PRESORT_ZENDESK_API_TOKEN``.
        webhook_secrets: ``PRESORT_WEBHOOK_SECRETS``, separated by commas; several while one is being replaced. Only
            the receiver needs one, and does not start without.
        agent_secrets: ``PRESORT_AGENT_SECRETS``, separated by commas: what the agent's sidebar app signs with; without
            one the console has no sidebar.
        console_password: ``PRESORT_CONSOLE_PASSWORD``: what admins sign in to the console with; without one, and
            without ``console.user_header``, nobody does.
        console_key: ``PRESORT_CONSOLE_KEY``: what sessions are signed with, the same for several consoles; without one
            it is made, and kept in Redis.
        redis_url: ``PRESORT_REDIS_URL``.
        channels: none means alerts are only shown. Each Apprise URL of ``PRESORT_ALERT_URLS``, separated by spaces, is
            one too: ``alerts``, ``alerts_2``, ...
        channel_secrets: by the channel's name, of those that were set.
        log: ``PRESORT_LOG``: lines for people (``text``) or JSON lines (``json``).
        traced: whether ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``_TRACES_ENDPOINT``) names where OpenTelemetry traces go.
    """

    zendesk: Zendesk
    classifiers: tuple[Classifier, ...]
    receiver: Receiver
    worker: Worker
    spikes: Spikes
    ledger: Ledger = Ledger()
    console: Console = Console()
    zendesk_client_secret: str
    webhook_secrets: tuple[str, ...]
    redis_url: str
    agent_secrets: tuple[str, ...] = ()
    console_password: str | None = None
    console_key: str | None = None
    channels: tuple[Channel, ...] = ()
    channel_secrets: dict[str, str] = {}
    log: Literal["text", "json"] = "text"
    traced: bool = False

    @property
    def channels_without_secret(self) -> tuple[Channel, ...]:
        """Channels that need one which is not set in this process's environment; only workers tell, and need it."""
        return tuple(one for one in self.channels if one.needs_secret and one.name not in self.channel_secrets)


# A docstring's lines under "Attributes:": one or several names, and their text with its further lines.
_MEANING = re.compile(r"^ {8}(\w+(?:, \w+)*): (.+(?:\n {12}.+)*)", re.MULTILINE)


def meanings(group: type[msgspec.Struct]) -> dict[str, str]:
    """What each setting of a group means, by its name, as the group's docstring says it: for pages and for the docs."""
    found = _MEANING.findall(group.__doc__ or "")
    return {name: " ".join(text.split()) for names, text in found for name in names.split(", ")}


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file (``PRESORT_CONFIG``, else ``presort.toml`` here) and the secrets.

    Raises:
        SettingsError: the file or a required secret is missing, or a value is not what it must be.
    """
    path = path or Path(environ.get(PATH_VARIABLE, DEFAULT_PATH))
    file = _read(path)
    names = [classifier.name for classifier in file.classifier]
    if len(set(names)) < len(names):
        raise SettingsError(f"{path}: two [[classifier]] have the same name; names must differ")
    fields = Counter(
        field
        for one in file.classifier
        for field in (one.field_id, one.prediction_field_id, one.confidence_field_id, one.model_field_id)
        if field is not None
    )
    if twice := [str(field) for field, count in fields.items() if count > 1]:
        raise SettingsError(f"{path}: field {', '.join(twice)} is named more than once; each holds one thing")
    channels, channel_secrets = _channels(path, file, environ)
    return Settings(
        zendesk=file.zendesk,
        classifiers=tuple(msgspec.structs.replace(one, bundle=_beside(path, one.bundle)) for one in file.classifier),
        receiver=file.receiver,
        worker=msgspec.structs.replace(file.worker, cache=_beside(path, file.worker.cache)),
        spikes=file.spikes,
        ledger=file.ledger,
        console=file.console,
        zendesk_client_secret=secret(
            "PRESORT_ZENDESK_API_TOKEN" if file.zendesk.email else "PRESORT_ZENDESK_CLIENT_SECRET", environ
        ),
        webhook_secrets=tuple(secret("PRESORT_WEBHOOK_SECRETS", environ, default="").replace(",", " ").split()),
        redis_url=_redis_url(secret("PRESORT_REDIS_URL", environ, default="redis://127.0.0.1:6379/0")),
        agent_secrets=_agent_secrets(environ),
        console_password=_of_length("PRESORT_CONSOLE_PASSWORD", 12, environ),
        console_key=_of_length("PRESORT_CONSOLE_KEY", 32, environ),
        channels=channels,
        channel_secrets=channel_secrets,
        log=_log(environ),
        traced=any(environ.get(f"OTEL_EXPORTER_OTLP_{one}ENDPOINT") for one in ("", "TRACES_")),
    )


def secret(name: str, environ: Mapping[str, str] = os.environ, default: str | None = None) -> str:
    """A secret from the variable ``name`` or from the file that ``name_FILE`` points at.

    Raises:
        SettingsError: neither is set and there is no default, or the file cannot be read or is empty.
    """
    if path := environ.get(f"{name}_FILE"):
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE points at {path}, which cannot be read: {error}") from error
        if not value:
            raise SettingsError(f"{name}_FILE points at {path}, which is empty")
        return value
    found = environ.get(name) or default
    if found is None:
        raise SettingsError(
            f"{name} is not set: put it (or {name}_FILE, the path of a file with it) in the environment"
        )
    return found


def _channels(path: Path, file: _File, environ: Mapping[str, str]) -> tuple[tuple[Channel, ...], dict[str, str]]:
    """Those of the file and those of the short form, and their secrets by name."""
    urls = secret("PRESORT_ALERT_URLS", environ, default="").split()
    short = {f"alerts_{number}" if number > 1 else "alerts": url for number, url in enumerate(urls, start=1)}
    channels = (*(Channel(name=name, kind="apprise") for name in short), *file.channel)
    if twice := [name for name, count in Counter(one.name for one in channels).items() if count > 1]:
        whose = " (one of them is PRESORT_ALERT_URLS)" if twice[0] in short else ""
        raise SettingsError(f"{path}: two channels have the name {twice[0]!r}{whose}; names must differ")
    known = {one.name for one in file.classifier}
    for channel in channels:
        if unknown := sorted(set(channel.classifiers) - known):
            raise SettingsError(
                f"{path}: channel {channel.name!r} wants to hear of classifier {unknown[0]!r}, which there is not: "
                f"classifiers are {', '.join(sorted(known))}"
            )
    found = {one.name: secret(one.variable, environ, default="") for one in file.channel}
    for channel in file.channel:
        if channel.kind == "apprise" and len(found[channel.name].split()) > 1:
            raise SettingsError(
                f"{channel.variable} holds more than one URL: give each a [[channel]] of its own, so that one that "
                "fails is no other's business"
            )
    return channels, short | {name: value for name, value in found.items() if value}


def _agent_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the sidebar app.

    A short one can be guessed from a single token (RFC 7518, section 3.2). Only what JSON and URLs write as it is, so
    that the console finds one in a request that should not hold it.
    """
    found = tuple(secret("PRESORT_AGENT_SECRETS", environ, default="").replace(",", " ").split())
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{32,}", one) for one in found):
        raise SettingsError(
            "PRESORT_AGENT_SECRETS holds one that is not of 32 or more letters, digits, - and _: make another with "
            "`openssl rand -hex 32`, and put it into the app's settings in Zendesk too"
        )
    return found


def _of_length(name: str, least: int, environ: Mapping[str, str]) -> str | None:
    """A secret that may be left out, but not be short enough to be guessed."""
    found = secret(name, environ, default="") or None
    if found is not None and len(found) < least:
        raise SettingsError(f"{name} is shorter than {least} characters: make another with `openssl rand -hex 32`")
    return found


def _log(environ: Mapping[str, str]) -> Literal["text", "json"]:
    match environ.get("PRESORT_LOG", "text"):
        case "text" | "json" as form:
            return form
        case other:
            raise SettingsError(f"PRESORT_LOG is {other!r}: set it to text or json, or leave it out for text")


def _redis_url(url: str) -> str:
    """The same, if it can be read; what is wrong with it is not quoted, for it may be a part of the password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"redis", "rediss", "unix"} and parts.port != 0
    except ValueError:  # no port, or not of this world
        good = False
    if not good:
        raise SettingsError(
            "PRESORT_REDIS_URL is no URL of a Redis, as in redis://:PASSWORD@host:6379/0; in the password / # ? @ : % "
            "are written %2F %23 %3F %40 %3A %25"
        )
    return url


def _beside(path: Path, place: str) -> str:
    """A path as seen from the settings file; a URL stays as it is."""
    return place if "://" in place else str(path.parent / place)


def _read(path: Path) -> _File:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path} does not exist: copy presort.example.toml to {DEFAULT_PATH} and fill it in, "
            f"or point {PATH_VARIABLE} at yours"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply: presort.example.toml shows every setting") from None
    try:
        return msgspec.convert(document, _File, str_keys=True)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error} (presort.example.toml shows every setting)") from error
