"""Lines are added to the user's file, under the classifier they belong to, or none are."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from integration.install.ids import with_ids, write_ids

IDS = {"category": {"prediction_field_id": 7, "model_field_id": 8}}

TWO = """[zendesk]
field_id = 9                    # of another table

[[classifier]]
name = "urgency"
field_id = 1

[[ classifier ]]
  bundle = "b"
  field_id = 2                  # ours
# [[classifier]]
[worker]
batch = 1
"""


def test_lines_follow_the_field_id_of_their_classifier_with_its_indent() -> None:
    """A classifier without a name is called category."""
    added = "  prediction_field_id = 7\n  model_field_id = 8\n"
    assert with_ids(TWO, IDS) == TWO.replace("# ours\n", f"# ours\n{added}")


def test_a_last_line_without_an_end_gets_one() -> None:
    text = "[[classifier]]\nfield_id = 2"
    assert with_ids(text, IDS) == f"{text}\nprediction_field_id = 7\nmodel_field_id = 8\n"


@pytest.mark.parametrize(
    "text",
    [
        "classifier = [{ field_id = 2 }]\n",
        '[[classifier]]\n"field_id" = 2\n',
        "[[classifier]]\nbundle = '''\nfield_id = 3\n'''\nfield_id = 2\n",
        "[[classifier]]\nfield_id = 2\nmodel_field_id = 5\n",
    ],
)
def test_a_file_that_would_not_say_just_that_is_left_to_a_person(text: str) -> None:
    assert tomllib.loads(text)["classifier"]
    assert with_ids(text, IDS) is None


@pytest.mark.parametrize(
    "text", ["[[classifier]\nfield_id = 2\n", "", '[[classifier]]\nname = "other"\nfield_id = 2\n']
)
def test_a_file_that_somebody_changes_meanwhile_is_left_to_them(text: str) -> None:
    assert with_ids(text, IDS) is None


def test_the_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "presort.toml"
    real.write_bytes(TWO.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    link.symlink_to(real)
    assert write_ids(link, IDS)
    assert link.is_symlink()
    assert b"field_id = 2                  # ours\r\n  prediction_field_id = 7\n" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["presort.toml", "real.toml"]


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert not write_ids(tmp_path / "absent.toml", IDS)
    assert list(tmp_path.iterdir()) == []
