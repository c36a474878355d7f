"""The app that `presort app` packs is one that Zendesk takes."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from integration.agent_api import routes
from integration.agent_api.packing import PackError, faults, files, pack
from integration.cli import main

URL = "https://presort-console.acme.com"


@pytest.fixture
def app() -> dict[str, bytes]:
    return files(URL)


def edited(app: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The app with another manifest; None removes an entry."""
    manifest = json.loads(app["manifest.json"]) | changes
    document = json.dumps({name: value for name, value in manifest.items() if value is not None})
    return app | {"manifest.json": document.encode()}


def test_the_command_packs_what_zendesk_takes(tmp_path: Path) -> None:
    out = tmp_path / "app.zip"
    done = CliRunner().invoke(main, ["app", "--out", str(out), "--url", URL + "/"])
    assert done.exit_code == 0, done.output
    assert "shared secret" in done.output
    with zipfile.ZipFile(out) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert faults(found) == []
    assert {name.partition("/")[0] for name in found} == {"manifest.json", "assets", "translations"}
    manifest = json.loads(found["manifest.json"])
    assert (manifest["frameworkVersion"], manifest["defaultLocale"]) == ("2.0", "en")
    assert manifest["location"]["support"]["ticket_sidebar"]["url"] in found
    assert manifest["domainWhitelist"] == ["presort-console.acme.com"]
    parameters = {one["name"]: one for one in manifest["parameters"]}
    assert parameters["shared_secret"]["secure"] is True
    assert parameters["api_url"]["default"] == URL


def test_the_same_app_packs_to_the_same_bytes(app: dict[str, bytes], tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(app, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("url", ["http://presort.acme.com", "presort.acme.com", "https://", "https://a/?b=c"])
def test_an_address_that_zendesk_would_not_go_to(url: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["app", "--out", str(tmp_path / "app.zip"), "--url", url])
    assert done.exit_code == 1
    assert "must be https://HOST" in done.output
    assert not (tmp_path / "app.zip").exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"frameworkVersion": None}, "lacks frameworkVersion"),
        ({"frameworkVersion": "1.0"}, "not 2.0"),
        ({"defaultLocale": "tlh"}, "translations/tlh.json is missing"),
        ({"author": {"name": "P"}}, "author lacks email"),
        (
            {"location": {"support": {"ticket_sidebar": "assets/gone.html"}}},
            "assets/gone.html, which is not in",
        ),
        ({"location": {"support": {"ticket_sidebar": "manifest.json"}}}, "which is not in"),
        ({"parameters": [{"name": "name", "type": "text"}]}, "must not be called name"),
        ({"domainWhitelist": []}, "needs a domainWhitelist"),
        ({"parameters": [{"name": "a", "type": "text"}]}, "no label for parameter a"),
        ({"parameters": [{"name": "api_url", "type": "text"}] * 2}, "'api_url' is there twice"),
        ({"parameters": [{"name": "api_url", "type": "string"}]}, "no known type"),
    ],
)
def test_what_zendesk_would_refuse_is_said(app: dict[str, bytes], changes: dict[str, Any], fault: str) -> None:
    assert [one for one in faults(edited(app, **changes)) if fault in one]


def test_pictures_and_languages_are_looked_at(app: dict[str, bytes], tmp_path: Path) -> None:
    wrong = app | {"assets/logo.png": app["assets/logo-small.png"], "translations/de.json": b'{"app": {}}'}
    with pytest.raises(PackError, match=r"de\.json has not the texts.*logo\.png is missing or not a PNG of 320 x 320"):
        pack(wrong, tmp_path / "app.zip")
    assert faults(app | {"manifest.json": b"{"}) != []
    assert faults(app | {"translations/deutsch.json": app["translations/de.json"]}) == [
        "translations/deutsch.json is named after no locale"
    ]


def test_every_text_is_there_in_every_language(app: dict[str, bytes]) -> None:
    script = app["assets/texts.js"].decode()
    texts = json.loads(script[script.index("= {") + 2 :].rstrip().removesuffix(";"))
    languages = {Path(name).stem for name in app if name.startswith("translations/")}
    assert set(texts) == languages
    for language, found in texts.items():
        assert found.keys() == texts["en"].keys(), language
        for key, text in found.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", texts["en"][key])), (language, key)


def test_the_app_shows_no_text_but_these(app: dict[str, bytes]) -> None:
    script, texts = app["assets/app.js"].decode(), app["assets/texts.js"].decode()
    assert [key for key in re.findall(r'\bt\("(\w+)"', script) if f'"{key}":' not in texts] == []
    assert re.findall(r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\b", script) == []


def test_every_code_of_the_api_has_a_text(app: dict[str, bytes]) -> None:
    folder = Path(routes.__file__).parent
    sources = "".join((folder / name).read_text(encoding="utf-8") for name in ("routes.py", "desk.py"))
    codes = set(re.findall(r'Refused\(\d+, "(\w+)"', sources)) | set(re.findall(r'error="(\w+)"', sources))
    assert {"no_worker", "no_access", "too_many"} <= codes
    # What only a broken app could meet has none, and is said to have failed.
    assert {one for one in codes if f'"error_{one}":' not in app["assets/texts.js"].decode()} == {
        "bad_request",
        "unknown_option",
    }
