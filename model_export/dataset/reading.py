"""A file of tickets as numbered records, whether CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from model_export.dataset.rows import DataError

Record = dict[str, Any]

FIELD_BYTES = 1 << 20
"""Longest CSV field. Zendesk's longest text has 65,535 characters; what is longer is a quote that was never closed."""

JSON_HEAD = 1000
"""Lines whose keys are a JSON Lines file's columns: writers leave out what is empty in one row, not in all."""

FORMS = "write UTF-8 CSV with a header line, JSON Lines (one object a line) or Parquet; CSV and JSON may be .gz or .xz"


class Table(NamedTuple):
    """An open file.

    Attributes:
        columns: the names in its header, schema or first objects.
        records: (number, record) pairs; the first row after the header has the number 1. A row that cannot be read has
            the reason in its record's place.
    """

    columns: Sequence[str]
    records: Iterator[tuple[int, Record | str]]


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a file of tickets; its form and compression are told by its first bytes, not by its name.

    Raises:
        DataError: it cannot be read, is cut off, or is nothing of the kind. Also while the records are read.
    """
    try:
        with _decompressed(path) as file:
            head = file.peek(1 << 16)
            start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not start:
                raise DataError(f"{path} is empty: {FORMS}")
            if head.startswith(b"PAR1"):
                yield _parquet(path)
            elif b"\0" in start.partition(b"\n")[0] or start.startswith((b"[", b"<")):
                raise DataError(f"{path} is {_guess(head, start)}: {FORMS}")
            elif start.startswith(b"{"):
                yield _json_lines(_text(file))
            else:
                yield _csv(_text(file))
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException, csv.Error) as error:
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        raise DataError(f"{path} is cut off or damaged ({error}): copy it again") from error


def _decompressed(path: Path) -> io.BufferedReader:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return io.BufferedReader(gzip.open(path))
    if magic == b"\xfd7zXZ\0":
        return io.BufferedReader(lzma.open(path))
    return path.open("rb")


def _guess(head: bytes, start: bytes) -> str:
    if head.startswith(b"PK\3\4"):
        return "a zip archive or an Excel workbook"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text"
    if start.startswith(b"["):
        return "one JSON array"
    return "HTML or XML" if start.startswith(b"<") else "no CSV, JSON Lines or Parquet file"


def _text(file: BinaryIO) -> io.TextIOWrapper:
    # A byte that is no UTF-8 becomes a lone surrogate, which no real text has, so that its row can be told.
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv(file: io.TextIOWrapper) -> Table:
    csv.field_size_limit(FIELD_BYTES)
    header = file.readline()
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(itertools.chain([header], file), delimiter=delimiter)
    columns = next(reader)
    return Table(columns, _csv_records(reader, columns))


def _csv_records(reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[tuple[int, Record | str]]:
    number = 1
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, str(error)
        else:
            if not values:  # a blank line
                continue
            if len(values) == len(columns):
                yield number, dict(zip(columns, values, strict=True))
            else:
                yield number, f"has {len(values)} columns, the header {len(columns)}"
        number += 1


def _json_lines(file: io.TextIOWrapper) -> Table:
    records = ((number, _json(line)) for number, line in enumerate(file, start=1) if line.strip())
    head = list(itertools.islice(records, JSON_HEAD))
    columns = dict.fromkeys(name for _, record in head if isinstance(record, dict) for name in record)
    return Table(list(columns), itertools.chain(head, records))


def _json(line: str) -> Record | str:
    try:
        return msgspec.json.decode(line.encode("utf-8", "surrogateescape"), type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"is no JSON object ({error})"


def _parquet(path: Path) -> Table:
    file = pq.ParquetFile(path)
    return Table(file.schema_arrow.names, enumerate(_parquet_records(file), start=1))


def _parquet_records(file: pq.ParquetFile) -> Iterator[Record | str]:
    for batch in file.iter_batches():
        yield from pa.table({name: _to_microseconds(batch[name]) for name in batch.schema.names}).to_pylist()


def _to_microseconds(column: pa.Array) -> pa.Array:
    """Pandas writes nanoseconds, which Python's datetime has not."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    return column
