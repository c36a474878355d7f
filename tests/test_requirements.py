"""The locked versions belong together: dev.txt and train.txt are installed into one environment."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"[a-z0-9-]+")


def pins(name: str) -> dict[str, set[str]]:
    """Package to its versions; there can be one for each range of Pythons."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def extra(name: str) -> set[str]:
    """What an extra names, and what the extras that it names do."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named: set[str] = set()
    for line in project["optional-dependencies"][name]:
        found = re.match(r"presort\[(.+)\]", line)
        named |= set().union(*(extra(one) for one in found[1].split(","))) if found else set(NAME.findall(line)[:1])
    return named


def test_one_environment_has_one_version_of_everything() -> None:
    dev = pins("dev")
    assert len(dev) > 100
    for name in ("light", "train"):
        assert {
            package: versions for package, versions in pins(name).items() if dev.get(package, versions) != versions
        } == {}


def test_what_training_needs_is_in_the_two_files_that_docs_name() -> None:
    """``make .venv/train`` is the light runtime and train.txt, nothing else."""
    assert extra("train") - pins("light").keys() - pins("train").keys() == set()


def test_the_hub_client_is_the_one_that_transformers_takes() -> None:
    """dev.txt is installed over train.txt whenever it changes, and would replace it."""
    assert all(version.startswith("0.") for version in pins("dev")["huggingface-hub"])
