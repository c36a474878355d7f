"""Field ids into ``presort.toml``, which is the user's: lines are added, and nothing else is touched."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

Ids = Mapping[str, Mapping[str, int]]
"""By classifier: setting to field id."""

_BLOCK = re.compile(r"\s*\[\[\s*classifier\s*\]\]")
_HEADER = re.compile(r"\s*\[")
_FIELD_ID = re.compile(r"(\s*)field_id\s*=")


def with_ids(text: str, ids: Ids) -> str | None:
    """``text`` with a line ``setting = id`` under the ``field_id`` of each classifier.

    Returns:
        None when the result would not say just that: the file is written in another way than the example, so a person
        must add the lines.
    """
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a person is at it
        return None
    for block in wanted.get("classifier", []):
        block.update(ids.get(block.get("name", "category"), {}))
    written = [block.get("name", "category") for block in wanted.get("classifier", [])]
    if not set(ids) <= set(written):
        return None
    names = iter(written)
    lines: list[str] = []
    name: str | None = None
    for line in text.splitlines(keepends=True):
        lines.append(line)
        if _HEADER.match(line):
            name = next(names, None) if _BLOCK.match(line) else None
        elif name is not None and (found := _FIELD_ID.match(line)):
            lines[-1] = line.rstrip("\n") + "\n"
            lines += [f"{found[1]}{setting} = {field_id}\n" for setting, field_id in ids.get(name, {}).items()]
    result = "".join(lines)
    try:
        return result if tomllib.loads(result) == wanted else None
    except tomllib.TOMLDecodeError:
        return None


def write_ids(path: Path, ids: Ids) -> bool:
    """Add the ids to the file; False when that cannot be done safely, and the file is as it was."""
    path = path.resolve()  # a link stays a link
    temporary = path.with_name(f".{path.name}.new")
    try:
        text = with_ids(path.read_bytes().decode(), ids)  # as bytes: another system's line ends stay
        if text is None:
            return False
        temporary.write_bytes(text.encode())
        shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError:  # read-only, or mounted on its own, as in a container
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


def lines_to_paste(ids: Ids) -> str:
    """The same for a person."""
    lines = []
    for name, settings in ids.items():
        lines += [f"[[classifier]]  # {name}", *(f"{setting} = {field_id}" for setting, field_id in settings.items())]
    return "\n".join(lines)
