"""A data set on disk is the same data set, or says why it is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_export.dataset.build import build
from model_export.dataset.options import Options
from model_export.dataset.rows import DataError, Dataset
from model_export.dataset.store import DESCRIPTION, ROWS, load, save
from tests.model_export.dataset_support import ticket, tickets, write_csv


def make(folder: Path, separator: str | None = None) -> Dataset:
    rows = [
        ticket(n, label=("a|b" if n % 3 else "ü") if separator else "ab"[n % 2], label_by_bot=n % 5 == 0)
        for n in range(100)
    ]
    return build(write_csv(folder / "tickets.csv", rows), Options(separator=separator, names={"a": "Äpfel"}))[0]


@pytest.mark.parametrize("separator", [None, "|"])
def test_what_is_saved_is_loaded(tmp_path: Path, separator: str | None) -> None:
    dataset = make(tmp_path, separator)
    save(dataset, tmp_path / "deep" / "dataset")
    loaded = load(tmp_path / "deep" / "dataset")
    for field in ("task", "labels", "names", "fingerprint"):
        assert getattr(loaded, field) == getattr(dataset, field)
    for part in ("train", "calibration", "test"):
        for ours, theirs in zip(getattr(dataset, part), getattr(loaded, part), strict=True):
            assert type(ours) is type(theirs)
            assert np.array_equal(ours, theirs)
            assert not isinstance(ours, np.ndarray) or ours.dtype == theirs.dtype


def test_an_older_data_set_is_replaced(tmp_path: Path) -> None:
    save(make(tmp_path), tmp_path)
    save(make(tmp_path, "|"), tmp_path)
    assert load(tmp_path).task == "multi"


def test_another_text_version_is_refused(tmp_path: Path) -> None:
    save(make(tmp_path), tmp_path)
    path = tmp_path / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"text_version": 0}))
    with pytest.raises(DataError, match=r"prepared by text version 0, this release prepares .* make it again"):
        load(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    save(make(tmp_path), tmp_path / "one")
    save(build(write_csv(tmp_path / "tickets.csv", tickets(120)))[0], tmp_path / "two")
    (tmp_path / "one" / ROWS).replace(tmp_path / "two" / ROWS)
    with pytest.raises(DataError, match="do not belong together"):
        load(tmp_path / "two")


@pytest.mark.parametrize("name", [ROWS, DESCRIPTION])
def test_a_broken_or_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    save(make(tmp_path), tmp_path)
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(DataError, match=r"is no data set .* make one with `presort-model dataset`"):
        load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="is no data set"):
        load(tmp_path)
