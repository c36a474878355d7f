"""The sidebar app as a zip that Zendesk takes, with the checks that ``zcli apps:validate`` would make of it.

Source of the rules: developer.zendesk.com, "Manifest reference", and the library that Zendesk validates with,
zendesk_apps_support. They are checked here because a mistake shows only at the upload, in an account.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent.parent / "agent_app"
MANIFEST = "manifest.json"
LOGOS = {"assets/logo.png": (320, 320), "assets/logo-small.png": (128, 128)}
PARAMETER_TYPES = {"text", "password", "checkbox", "url", "number", "multiline", "hidden", "oauth", "dropdown"}
LOCALE = re.compile(r"[a-z]{2}(-\w{2,3})?")
DAY_ONE = (1980, 1, 1, 0, 0, 0)
"""A zip's earliest time: the same app packs to the same bytes."""


class PackError(Exception):
    """An app that Zendesk would refuse; the message says why."""


def files(url: str, folder: Path = FOLDER) -> dict[str, bytes]:
    """The app's files by their path in it, made for the console at ``url``.

    Raises:
        PackError: Zendesk's proxy would not go there.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise PackError(
            f"{url} is no address that Zendesk's proxy goes to: it must be https://HOST, as a browser sees it"
        )
    chosen = [
        MANIFEST,
        *(f"{part}/{path.name}" for part in ("assets", "translations") for path in (folder / part).iterdir()),
    ]
    found = {name: (folder / name).read_bytes() for name in sorted(chosen)}
    manifest = json.loads(found[MANIFEST])
    # The secret is put into requests to these hosts only.
    manifest["domainWhitelist"] = [parts.hostname]
    manifest["author"]["url"] = url
    for parameter in manifest["parameters"]:
        if parameter["name"] == "api_url":
            parameter["default"] = url.rstrip("/")
    found[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return found


def pack(found: dict[str, bytes], out: Path) -> None:
    """Write the zip.

    Raises:
        PackError: Zendesk would refuse it.
    """
    if wrong := faults(found):
        raise PackError("; ".join(wrong))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(found.items()):
            archive.writestr(zipfile.ZipInfo(name, DAY_ONE), content, zipfile.ZIP_DEFLATED)


def faults(found: dict[str, bytes]) -> list[str]:
    """What Zendesk would refuse about an app's files; nothing when it would take them."""
    try:
        manifest = json.loads(found[MANIFEST])
        texts = {name: json.loads(content) for name, content in found.items() if name.startswith("translations/")}
    except (KeyError, ValueError) as error:
        return [f"{MANIFEST} or a translation is missing or no JSON: {error}"]
    return [*_manifest_faults(manifest, found), *_text_faults(manifest, texts), *_logo_faults(found)]


def _manifest_faults(manifest: dict[str, Any], found: dict[str, bytes]) -> list[str]:
    needed = ("author", "defaultLocale", "frameworkVersion", "location")
    wrong = [f"{MANIFEST} lacks {name}" for name in needed if not manifest.get(name)]
    wrong += [f"the author lacks {name}" for name in ("name", "email") if not manifest.get("author", {}).get(name)]
    if manifest.get("frameworkVersion") != "2.0":
        wrong.append("frameworkVersion is not 2.0")
    for product, places in manifest.get("location", {}).items():
        for place, how in places.items():
            page = how if isinstance(how, str) else how.get("url", "")
            if page not in found or not page.startswith("assets/"):
                wrong.append(f"location {product}.{place} shows {page or 'nothing'}, which is not in the app's assets")
    parameters = manifest.get("parameters", [])
    names = [one.get("name") for one in parameters]
    wrong += [f"parameter {name!r} is there twice" for name in sorted({one for one in names if names.count(one) > 1})]
    wrong += [
        f"parameter {one['name']} has no known type" for one in parameters if one.get("type") not in PARAMETER_TYPES
    ]
    if "name" in names:
        wrong.append("a parameter must not be called name")
    if any(one.get("secure") for one in parameters) and not manifest.get("domainWhitelist"):
        wrong.append("a secure parameter needs a domainWhitelist")
    return wrong


def _text_faults(manifest: dict[str, Any], texts: dict[str, Any]) -> list[str]:
    default = f"translations/{manifest.get('defaultLocale')}.json"
    if default not in texts:
        return [f"{default} is missing, the default locale's"]
    keys = {name: _keys(content) for name, content in texts.items()}
    wrong = [f"{name} is named after no locale" for name in texts if not LOCALE.fullmatch(Path(name).stem)]
    wrong += [f"{name} has not the texts of {default}" for name in sorted(keys) if keys[name] != keys[default]]
    if "app.name" not in keys[default]:
        wrong.append(f"{default} lacks app.name")
    names = [one["name"] for one in manifest.get("parameters", [])]
    unnamed = [one for one in names if f"app.parameters.{one}.label" not in keys[default]]
    return wrong + [f"{default} has no label for parameter {one}" for one in unnamed]


def _logo_faults(found: dict[str, bytes]) -> list[str]:
    return [
        f"{name} is missing or not a PNG of {width} x {height}"
        for name, (width, height) in LOGOS.items()
        if _png_size(found.get(name, b"")) != (width, height)
    ]


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from the header (PNG specification, section 11.2.2); None when it is no PNG."""
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _keys(content: Any, prefix: str = "") -> set[str]:  # noqa: ANN401 - whatever the JSON holds
    if not isinstance(content, dict):
        return {prefix.rstrip(".")}
    return {key for name, value in content.items() for key in _keys(value, f"{prefix}{name}.")}
