"""What must hold for any input whatever: hypothesis and the fuzzer ask the same functions.

Each takes bytes, as a stranger sends them, and raises ``AssertionError`` or what its module let through: a result or
the module's own named error is all that may come back, without a word of the input where it would reach a log.
"""

from __future__ import annotations

import gzip
import lzma
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from integration import settings
from integration.agent_api import tokens
from integration.messages import NewTicket
from integration.receiver.payloads import TEXT_CHARS, Ignored, PayloadError, parse
from integration.settings import Settings, SettingsError
from integration.simulator import replay
from integration.zendesk import signature
from model_export.bundle.channels import RegistryError, decode_channels, locate
from model_export.bundle.fetch import fetch
from model_export.bundle.manifest import MANIFEST, BundleError, read_manifest
from model_export.bundle.text import MAX_CHARS, prepare_text
from model_export.dataset.options import Options
from model_export.dataset.rows import DataError
from model_export.dataset.tickets import read_tickets
from worker.backtest import csv_file
from worker.backtest.history import HistoryError

SECRET = "a-secret-of-at-least-32-characters"
NOW = datetime(2026, 3, 2, 9, 14, 31, tzinfo=UTC)
QUOTED = 24
"""Characters of the input in a row that no refusal may repeat: more than a field's name, less than a sentence."""


def webhook_body(data: bytes) -> None:
    """A ticket that the queue can carry, or a refusal that quotes nothing."""
    try:
        delivery, ticket = parse(data, received_at=NOW.timestamp())
    except Ignored:  # names the event's type, to whoever sent it only
        return
    except PayloadError as error:
        _quotes_nothing(str(error), data)
        return
    assert 0 < len(delivery) <= 200
    assert 0 < ticket.ticket_id < 2**63
    assert max(len(ticket.subject or ""), len(ticket.description or "")) <= TEXT_CHARS
    travelled = msgspec.json.decode(msgspec.json.encode(ticket.to_json()))
    assert NewTicket.from_json(travelled) == ticket


def signed_body(data: bytes) -> None:
    """Nothing is believed but what was signed; and of that, only what carries a time near now.

    The first two lines are the headers, as a server hands them on: Latin-1.
    """
    given, timestamp, body = ([*data.split(b"\n", 2), b"", b""])[:3]
    headers = given.decode("latin-1"), timestamp.decode("latin-1")
    assert not _verifies(headers[0], headers[1], body)
    near = _verifies(signature.sign(SECRET, headers[1], body), headers[1], body)
    assert not near or abs((_time(headers[1]) - NOW).total_seconds()) <= 600


def agent_token(data: bytes) -> None:
    """No token is believed that was not signed, and no refusal repeats a byte of one."""
    try:
        tokens.verify([SECRET], data.decode("latin-1"))
    except tokens.TokenError as error:
        _quotes_nothing(str(error), data)
    else:
        raise AssertionError("a token that nobody signed was believed")


def ticket_text(data: bytes) -> None:
    """One clean line of bounded length, from whatever stands in subject and description."""
    subject, _, description = data.decode("utf-8", "surrogateescape").partition("\0")
    prepared = prepare_text(subject, description)
    assert prepared == " ".join(prepared.split())
    assert prepared.isprintable()
    assert len(prepared) <= 2 * 18 * MAX_CHARS + 3  # NFKC makes up to 18 characters of one
    prepared.encode()


def manifest(data: bytes) -> None:
    """A manifest whose every number can be worked with, or ``BundleError``; also on its way from a registry."""
    with _folder() as folder:
        version = folder / "registry" / "m" / "1"
        version.mkdir(parents=True)
        (version / MANIFEST).write_bytes(data)
        (version.parent / "channels.json").write_text('{"active": "1"}', encoding="utf-8")
        (folder / "outside").write_text("a secret", encoding="utf-8")
        try:
            found = read_manifest(version)
        except BundleError:
            pass
        else:
            assert found.labels
            assert found.max_length > 0
            assert found.temperature > 0
        try:
            fetch(str(folder / "registry"), "m", "active", folder / "cache")
        except BundleError:
            pass
        except RegistryError as error:
            assert error.permanent, error  # noqa: PT017 - waiting mends no manifest
        _only_in_the_cache(folder)


def channels(data: bytes) -> None:
    """Versions that are fit to be folder names, or ``RegistryError``."""
    try:
        found = decode_channels(data, locate("file:///nowhere", "m"))
    except RegistryError as error:
        assert error.permanent  # noqa: PT017 - waiting mends no file
    else:
        assert all("/" not in one and one[0] != "." for one in (found.staged, found.active, found.previous) if one)


def presort_toml(data: bytes) -> None:
    """Settings whose numbers are numbers and whose names are one line each, or ``SettingsError``."""
    with _folder() as folder:
        path = folder / "presort.toml"
        path.write_bytes(data)
        environ = {"PRESORT_ZENDESK_CLIENT_SECRET": "c", "PRESORT_ZENDESK_API_TOKEN": "t"}
        try:
            found = settings.load(path, environ)
        except SettingsError as error:
            assert str(path) in str(error), error  # noqa: PT017 - whose cure is in which file
        else:
            assert all(map(math.isfinite, _floats(msgspec.to_builtins(found))))
            assert all(one.isprintable() for one in _names(found))


def backtest_csv(data: bytes) -> None:
    """Counts of a bounded size, or ``HistoryError``."""
    with _file(data) as path:
        try:
            found = csv_file.read(path, "Europe/Berlin", separator=";")
        except HistoryError:
            return
        assert found.tickets > 0
        assert int(found.counts[-1].sum()) > 0


def dataset_file(data: bytes) -> None:
    """Tickets that say something of themselves, or ``DataError``: CSV, JSON Lines and Parquet."""
    with _file(data) as path:
        try:
            found = read_tickets(path, Options())
        except DataError:
            return
        assert found.tickets
        assert all(one.ticket_id and math.isfinite(one.created_at) for one in found.tickets)


def replayed_csv(data: bytes) -> None:
    """Old tickets for the local Zendesk, or an error that its command turns into a sentence."""
    with _file(data) as path:
        problems = replay.Problems()
        try:
            found = replay.read_tickets(path, dict.fromkeys(replay.COLUMNS), lambda _: True, problems)
        except replay.ReplayError:
            return
        assert all(math.isfinite(one.at) and one.text for one in found)


class Target(NamedTuple):
    """A property and inputs from which to go on.

    Attributes:
        holds: the property.
        seeds: inputs that get far.
    """

    holds: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


_EVENT = (Path(__file__).parents[1] / "fixtures" / "ticket_created.json").read_bytes()
_BUNDLE = Path(__file__).parents[2] / "demo" / "bundle"
_EXAMPLE = (Path(__file__).parents[2] / "presort.example.toml").read_bytes()
_ROWS = b"ticket_id,created_at,subject,description,label\n1,2026-03-02T09:30:00Z,Hi,My lamp,a\n2,1772443871,,Help,b;c\n"
_JSON = b'{"ticket_id": 1, "created_at": "2026-03-02T09:30:00Z", "description": "My lamp", "label": ["a", "b"]}\n'
_MAIL = b"Re: Lamp\0<p>Hi,</p>\nOn Mon, Ada <a@example.com> wrote:\n> 4111 1111 1111 1111\n-- \n+49 30 1234567"
_TOML = b'[zendesk]\nsubdomain = "a"\nclient_id = "b"\ntimeout_s = 5.0\n[[classifier]]\nfield_id = 1\nbundle = "m"\n'
_CHANNEL = b'[[channel]]\nname = "hook"\nkind = "webhook"\nurl = "https://a.example"\n'

TARGETS = {
    "webhook": Target(webhook_body, (_EVENT, b'{"ticket_id": "35436"}')),
    "signature": Target(signed_body, (b"abc=\n2026-03-02T09:14:31Z\n{}", b"\n2026-03-02T09:14:31+14:00\n")),
    "token": Target(agent_token, (b"Bearer e30.e30.x", b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.eA")),
    "text": Target(ticket_text, (_MAIL,)),
    "manifest": Target(manifest, ((_BUNDLE / MANIFEST).read_bytes(),)),
    "channels": Target(channels, (b'{"active": "1", "staged": "2", "previous": null, "generation": 3}',)),
    "settings": Target(presort_toml, (_EXAMPLE, _TOML + _CHANNEL)),
    "backtest": Target(backtest_csv, (_ROWS, gzip.compress(_ROWS), lzma.compress(_ROWS))),
    "dataset": Target(dataset_file, (_ROWS, _JSON, gzip.compress(_ROWS), lzma.compress(_JSON))),
    "replay": Target(replayed_csv, (_ROWS, gzip.compress(_ROWS), lzma.compress(_ROWS))),
}


def _quotes_nothing(said: str, data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    quoted = {said[at : at + QUOTED] for at in range(len(said) - QUOTED + 1)}
    assert not [one for one in quoted if one in text and len(set(one)) > 4], said


def _verifies(given: str, timestamp: str, body: bytes) -> bool:
    try:
        signature.verify([SECRET], given, timestamp, body, now=NOW, window_s=600)
    except signature.SignatureError:
        return False
    return True


def _time(timestamp: str) -> datetime:
    found = datetime.fromisoformat(timestamp)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    """Under the ending that its first bytes ask for, since some readers go by that."""
    endings = {b"\x1f\x8b": ".gz", b"\xfd7": ".xz"}
    with _folder() as folder:
        path = folder / f"tickets.csv{endings.get(data[:2], '')}"
        path.write_bytes(data)
        yield path


def _only_in_the_cache(folder: Path) -> None:
    written = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert written <= {"registry", "cache", "outside"}
    assert (folder / "outside").read_text(encoding="utf-8") == "a secret"


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _floats(one)


def _names(found: Settings) -> Iterator[str]:
    """What becomes a key, a label of a metric, a header or a part of an address."""
    yield found.zendesk.subdomain
    yield found.console.user_header or ""
    for url in (found.receiver.public_url, found.console.public_url):
        yield url or ""
    for one in found.classifiers:
        yield one.name
    for channel in found.channels:
        yield from (channel.name, channel.url or "")
