"""Which files are read, what becomes of malformed rows, and in which words the others are refused."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.dataset.options import Columns, Options, parse_columns, read_aliases
from model_export.dataset.rows import DataError
from model_export.dataset.tickets import Ticket, Tickets, parse_time, read_tickets

CSV = (
    "ticket_id,created_at,subject,description,label\n"
    '1,2026-03-02T16:00:00Z,Parcel,"Where is it,\nplease?",delivery\n'
    "2,2026-03-02T17:00:00Z,Größe,Zu groß,returns\n"
)
RECORDS: list[dict[str, Any]] = [
    {
        "ticket_id": 1,
        "created_at": "2026-03-02T16:00:00Z",
        "subject": "Parcel",
        "description": "Where is it,\nplease?",
        "label": "delivery",
    },
    {
        "ticket_id": 2,
        "created_at": "2026-03-02T17:00:00Z",
        "subject": "Größe",
        "description": "Zu groß",
        "label": "returns",
    },
]
FIRST = datetime(2026, 3, 2, 16, tzinfo=UTC)
EXPECTED = [
    Ticket(
        ticket_id="1",
        created_at=FIRST.timestamp(),
        subject="Parcel",
        description="Where is it,\nplease?",
        labels=("delivery",),
        by_bot=False,
    ),
    Ticket(
        ticket_id="2",
        created_at=FIRST.timestamp() + 3600,
        subject="Größe",
        description="Zu groß",
        labels=("returns",),
        by_bot=False,
    ),
]
JSON_LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


def read(path: Path, content: str | bytes, options: Options | None = None) -> Tickets:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_tickets(path, options or Options())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A name that promises nothing."""
    return tmp_path / "tickets"


@pytest.mark.parametrize(
    "content",
    [
        CSV.encode(),
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace("\n", "\r\n").replace(",\r\nplease", ",\nplease").encode(),
        CSV.replace("it,\n", "it@\n").replace(",", ";").replace("@", ",").encode(),
        CSV.replace("it,\n", "it@\n").replace(",", "\t").replace("@", ",").encode(),
        gzip.compress(CSV.encode()),
        lzma.compress(CSV.encode()),
        JSON_LINES.encode(),
        b"\n" + JSON_LINES.replace("\n", "\n\n").encode(),
        gzip.compress(JSON_LINES.encode()),
    ],
    ids=["csv", "bom", "crlf", "semicolon", "tab", "gz", "xz", "jsonl", "blank-lines", "jsonl-gz"],
)
def test_text_forms_are_told_by_their_content(path: Path, content: bytes) -> None:
    assert read(path, content) == Tickets(EXPECTED, "single", 0, [])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_with_times_of_any_resolution(path: Path, unit: str) -> None:
    """Pandas writes nanoseconds and categories."""
    times = [FIRST, FIRST + timedelta(hours=1)]
    table = pa.Table.from_pylist(RECORDS)
    table = table.set_column(1, "created_at", pa.array(times, pa.timestamp(unit, tz="UTC")))
    table = table.set_column(4, "label", table["label"].dictionary_encode())
    pq.write_table(table, path)
    assert read_tickets(path, Options()) == Tickets(EXPECTED, "single", 0, [])


def test_a_separator_makes_several_labels(path: Path) -> None:
    several = read(path, CSV.replace("delivery", " delivery |late|| late"), Options(separator="|"))
    assert several.task == "multi"
    assert [ticket.labels for ticket in several.tickets] == [("delivery", "late"), ("returns",)]


def test_lists_are_several_labels(path: Path) -> None:
    records = [RECORDS[0] | {"label": ["late", "delivery"]}, RECORDS[1] | {"label": []}]
    pq.write_table(pa.Table.from_pylist(records), path)
    from_parquet = read_tickets(path, Options())
    assert from_parquet.task == "multi"
    assert [ticket.labels for ticket in from_parquet.tickets] == [("delivery", "late"), ()]
    assert read(path, "".join(json.dumps(record) + "\n" for record in records)) == from_parquet


@pytest.mark.parametrize(
    ("written", "by_bot"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_who_wrote_the_label(path: Path, written: str, by_bot: bool) -> None:  # noqa: FBT001 - a case, not a switch
    lines = CSV.replace("label\n", "label,label_by_bot\n").replace("delivery\n", f"delivery,{written}\n")
    found = read(path, lines.replace("returns\n", "returns,maybe\n"))
    assert [ticket.by_bot for ticket in found.tickets] == [by_bot]
    assert found.problems == ["row 2: label_by_bot is 'maybe', not true or false"]


def test_columns_can_have_other_names_or_be_missing(path: Path) -> None:
    options = Options(
        columns=parse_columns(["ticket_id=", "created_at=", "subject=", "description=text", "label=category"]),
        split="random",
    )
    content = "text,category,other\nWhere is it?,delivery,x\nWhere is it?,delivery,y\nToo big,returns,z\n"
    tickets = read(path, content, options).tickets
    assert [(ticket.description, ticket.labels) for ticket in tickets] == [
        ("Where is it?", ("delivery",)),
        ("Where is it?", ("delivery",)),
        ("Too big", ("returns",)),
    ]
    ids = [ticket.ticket_id for ticket in tickets]
    assert ids[0] == ids[1] != ids[2], "an id says what the row says, so that the order of rows makes no difference"


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("text=body", "no column is called for as 'text': use ticket_id, created_at, subject"),
        ("label=", "description and label cannot be left out"),
    ],
)
def test_columns_that_cannot_be(pair: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_columns([pair])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"3,2026-03-02T16:00:00Z,S,T", "has 4 columns, the header 5"),
        (b"3,2026-03-02T16:00:00Z,S,one, two,x", "has 6 columns, the header 5"),
        (b"3,last Tuesday,S,T,x", "created_at 'last Tuesday' is not a time"),
        (b"3,,S,T,x", "created_at '' is not a time"),
        (b"3,0001-01-01,S,T,x", "created_at '0001-01-01' is not a time"),
        (b",2026-03-02T16:00:00Z,S,T,x", "ticket_id is empty"),
        (b"3,2026-03-02T16:00:00Z,S,Gr\xf6\xdfe,x", "is not UTF-8"),
        (b'3,2026-03-02T16:00:00Z,S,"never closed ' + b"x" * (1 << 20) + b"\n,x", "field larger than field limit"),
    ],
)
def test_a_malformed_csv_row_is_told_and_the_next_one_read(path: Path, line: bytes, reason: str) -> None:
    head, first, second = CSV.encode().partition(b'please?",delivery\n')
    found = read(path, head + first + line + b"\n" + second)
    assert found.tickets[0] == EXPECTED[0]
    assert found.tickets[-1:] == EXPECTED[-1:]
    assert found.problems[0].startswith(f"row 2: {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"ticket_id": 3,', "is no JSON object"),
        ('["ticket_id", 3]', "is no JSON object"),
        (json.dumps(RECORDS[0] | {"description": {"html": "<p>"}}), "description is no text but a dict"),
        (json.dumps(RECORDS[0] | {"label": [["a"]]}), "label is no text but a list"),
        (json.dumps({"ticket_id": 3}), "created_at '' is not a time"),
    ],
)
def test_a_malformed_json_line_is_told_and_the_next_one_read(path: Path, line: str, reason: str) -> None:
    first, second = JSON_LINES.splitlines()
    found = read(path, f"{first}\n{line}\n{second}")
    assert found.tickets == EXPECTED
    assert found.malformed == 1
    assert found.problems[0].startswith(f"row 2: {reason}")


def test_only_the_first_malformed_rows_are_shown(path: Path) -> None:
    found = read(path, CSV + "3\n" * 100)
    assert found.malformed == 100
    assert len(found.problems) == 5


@settings(deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_content_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever is in a file after a good header: its rows are counted, or a DataError says what is wrong."""
    path = tmp_path_factory.getbasetemp() / "any"
    for head in (CSV.encode(), JSON_LINES.encode()):
        assert read(path, head + content).tickets[:2] == EXPECTED
    try:
        read(path, content)
    except DataError as error:
        assert str(path) in str(error).encode("utf-8").decode()  # noqa: PT017 - what matters is that it can be printed


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (workbook(), "is a zip archive or an Excel workbook"),
        (CSV.encode("utf-16"), "is UTF-16 text"),
        (json.dumps(RECORDS).encode(), "is one JSON array"),
        (b"<!DOCTYPE html><p>Sign in", "is HTML or XML"),
        (bytes(range(256)), "is no CSV, JSON Lines or Parquet file"),
    ],
    ids=["empty", "blank", "xlsx", "utf-16", "array", "html", "binary"],
)
def test_another_kind_of_file_is_named(path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"{message}: write UTF-8 CSV with a header line, JSON Lines .* or Parquet"):
        read(path, content)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_a_file_that_is_cut_off(path: Path, compress: Any) -> None:
    with pytest.raises(DataError, match="is cut off or damaged"):
        read(path, compress(CSV.encode() * 1000)[:-10])


def test_a_parquet_file_that_is_cut_off(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(RECORDS), path)
    with pytest.raises(DataError, match="is cut off or damaged"):
        read(path, path.read_bytes()[:-10])


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read: No such file"):
        read_tickets(tmp_path / "nowhere", Options())
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_tickets(tmp_path, Options())


@pytest.mark.parametrize("role", Columns.__struct_fields__)
def test_a_missing_column_is_named_with_those_found(path: Path, role: str) -> None:
    options = Options(columns=msgspec.structs.replace(Columns(), **{role: "nothing"}))
    with pytest.raises(DataError, match=rf"no column 'nothing' \(found: 'ticket_id', .*--column {role}=NAME"):
        read(path, CSV, options)
    with pytest.raises(DataError, match=rf"no column 'nothing' \(found: 'ticket_id', .*--column {role}=NAME"):
        read(path, JSON_LINES, options)


def test_a_json_column_may_be_missing_in_some_rows(path: Path) -> None:
    unlabelled = json.dumps({name: value for name, value in RECORDS[0].items() if name != "label"})
    assert [ticket.labels for ticket in read(path, unlabelled + "\n" + JSON_LINES).tickets][:2] == [(), ("delivery",)]


def test_no_time_that_is_understood(path: Path) -> None:
    content = CSV.replace("2026-03-02T16:00:00Z", "2 March").replace("2026-03-02T17:00:00Z", "3 March")
    with pytest.raises(
        DataError, match=r"'2 March' is not a time\)\. Understood are ISO 8601 .*, or use --split random"
    ):
        read(path, content)


def test_a_file_without_rows(path: Path) -> None:
    with pytest.raises(DataError, match="no row to learn from: there is only a header"):
        read(path, CSV.partition("\n")[0])


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T16:00:00Z",
        "2026-03-02T08:00:00-08:00",
        "2026-03-02 08:00:00 -0800",
        " 2026-03-02 16:00 ",
        "1772467200",
        "1772467200.0",
        "1772467200000",
        1772467200,
        1772467200000.0,
        FIRST,
        FIRST.replace(tzinfo=None),
        FIRST.astimezone(timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_times_that_are_understood(written: object) -> None:
    assert parse_time(written) == FIRST.timestamp()


@given(when=st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30), timezones=st.timezones()))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_time_survives_being_written(when: datetime) -> None:
    assert parse_time(when.isoformat()) == pytest.approx(when.timestamp())


@pytest.mark.parametrize(
    "written", ["", "yesterday", "03/02/2026", "45352.67", "nan", "9999-12-31", "1772467200000000"]
)
def test_times_that_are_not_understood(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(written)


def test_aliases(path: Path) -> None:
    path.write_text('"Orders::Late" = "orders__delivery"\nlost = "orders__delivery"\n')
    assert read_aliases(path) == {"Orders::Late": "orders__delivery", "lost": "orders__delivery"}


@pytest.mark.parametrize("content", ["lost", "lost = 3", "[lost]\nx = 'y'", "lost = 'x'\nlost = 'y'"])
def test_what_is_no_alias_map(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(DataError, match=r'is no alias map .* write one line "old label" = "new label" each'):
        read_aliases(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"columns": Columns(created_at=None)}, "a split by time needs the tickets' times: .* or --split random"),
        ({"bot_weight": 1.5}, "is 1.5: give 0 to 1"),
        ({"near_duplicates": 0}, "would leave nothing: give 1 or more"),
    ],
)
def test_options_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Options(**values)
