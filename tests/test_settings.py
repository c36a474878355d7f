"""What is wrong in the configuration is said by name, with the cure."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from integration import settings
from integration.settings import SettingsError, load, secret

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
        "classifier": settings.Classifier,
    }
    assert set(groups) == set(document)
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


def test_bundles_are_found_beside_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    assert load(path, SECRETS).classifiers[0].bundle == str(tmp_path / "m")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[zendesk", "cannot be read"),
        ("", "zendesk"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n', "classifier"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nsubdoman = "c"\n', "subdoman"),
        ('[zendesk]\nsubdomain = "https://a"\nclient_id = "b"\n', r"\$.zendesk.subdomain"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\nshare = 1.5\n', r"\$.zendesk.share"),
        ('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = "x"\nbundle = "m"\n', "field_id"),
        (
            '[zendesk]\nsubdomain = "a"\nclient_id = "b"\n' + '[[classifier]]\nfield_id = 1\nbundle = "m"\n' * 2,
            "same name",
        ),
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
    with pytest.raises(SettingsError, match="PRESORT_WEBHOOK_SECRETS is not set"):
        load(EXAMPLE, {"PRESORT_ZENDESK_CLIENT_SECRET": "c"})


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    path = _write(tmp_path, "hidden\n")
    assert secret("NAME", {"NAME_FILE": str(path)}) == "hidden"
    with pytest.raises(SettingsError, match="NAME_FILE points at"):
        secret("NAME", {"NAME_FILE": str(tmp_path / "absent")})
    with pytest.raises(SettingsError, match="empty"):
        secret("NAME", {"NAME_FILE": str(_write(tmp_path, " \n"))})


def _write(folder: Path, text: str) -> Path:
    path = folder / "presort.toml"
    path.write_text(text, encoding="utf-8")
    return path
