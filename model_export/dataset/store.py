"""A data set on disk: ``rows.parquet`` and ``dataset.json``, so that later commands need not build it again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from model_export.bundle.text import TEXT_VERSION
from model_export.dataset.arrays import assemble, rows_of
from model_export.dataset.rows import DataError, Dataset, Row, Task
from model_export.dataset.splitting import PARTS

ROWS = "rows.parquet"
DESCRIPTION = "dataset.json"

_SCHEMA = pa.schema(
    {
        "part": pa.string(),
        "ticket_id": pa.string(),
        "created_at": pa.float64(),
        "text": pa.string(),
        "labels": pa.list_(pa.string()),
        "weight": pa.float32(),
    }
)


class _Description(msgspec.Struct):
    task: Task
    labels: tuple[str, ...]
    names: dict[str, str]
    text_version: int
    fingerprint: str


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set, over an older one if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"part": part, **msgspec.structs.asdict(row)}
        for part in PARTS
        for row in rows_of(getattr(dataset, part), dataset.labels)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), folder / ROWS, compression="zstd")
    description = _Description(dataset.task, dataset.labels, dataset.names, TEXT_VERSION, dataset.fingerprint)
    raw = msgspec.json.format(msgspec.json.encode(description), indent=2)
    (folder / DESCRIPTION).write_bytes(raw + b"\n")


def load(folder: Path) -> Dataset:
    """Read what ``save`` wrote.

    Raises:
        DataError: there is no data set, its texts were prepared by another version, or its files do not belong
            together.
    """
    try:
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=_Description)
        rows = pq.read_table(folder / ROWS, schema=_SCHEMA).to_pylist()
        parts: dict[str, list[Row]] = {part: [] for part in PARTS}
        for row in rows:
            parts[row.pop("part")].append(msgspec.convert(row, Row))
    except (OSError, KeyError, msgspec.DecodeError, pa.ArrowException) as error:
        raise DataError(f"{folder} is no data set ({error}): make one with `presort-model dataset`") from error
    if description.text_version != TEXT_VERSION:
        raise DataError(
            f"{folder} was prepared by text version {description.text_version}, this release prepares {TEXT_VERSION}: "
            "make it again with `presort-model dataset`"
        )
    dataset = assemble(parts, description.labels, description.names, description.task)
    if dataset.fingerprint != description.fingerprint:
        raise DataError(f"{folder}: {ROWS} and {DESCRIPTION} do not belong together: make the data set again")
    return dataset
