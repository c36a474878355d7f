"""Which alerts there would have been: history from files and from Zendesk, replayed, and shown on a page."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.random import default_rng

from integration.records import Alert
from integration.settings import Spikes
from integration.simulator.account import AGENT
from integration.store import Store
from model_export.bundle.manifest import Label
from tests.simulator.support import Running
from tests.worker.conftest import ACCOUNT, BUNDLE, SURE
from worker import calendar, lifecycle, signs, spikes
from worker.backtest import csv_file, export, picture
from worker.backtest.figures import Figures
from worker.backtest.history import History, HistoryError, gathered
from worker.backtest.replay import Episode, replay
from worker.backtest.table import table
from worker.cli import main
from worker.parts import Parts

FIELD, ANSWER, CONFIDENCE = ACCOUNT.category_field_id, ACCOUNT.predicted_field_id, ACCOUNT.confidence_field_id
BERLIN = "Europe/Berlin"
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
DAY, WEEK = 86400, 7 * 86400
SPIKE = MONDAY + 3 * WEEK + DAY + 10 * 3600
"""A Tuesday of the fourth week."""


def labels(*names: str) -> list[Label]:
    return [Label(value=name, name=name, threshold=0.8) for name in names]


def filed(rate: float, days: int, category: str, seed: int) -> list[tuple[float, tuple[str, ...]]]:
    """Tickets of a category, so many an hour, from the Monday on."""
    rng = default_rng(seed)
    return [(MONDAY + at, (category,)) for at in rng.uniform(0, days * DAY, rng.poisson(rate * 24 * days))]


def burst(at: float, tickets: int, hours: float, category: str) -> list[tuple[float, tuple[str, ...]]]:
    """So many tickets more, evenly."""
    return [(at + 3600 * hours * one / tickets, (category,)) for one in range(tickets)]


@pytest.fixture(scope="module")
def month() -> History:
    """Four weeks of two categories, one of which spikes tenfold for three hours."""
    tickets = [*filed(4, 28, "delivery", 1), *filed(1, 28, "refund", 2), *burst(SPIKE, 30, 3, "refund")]
    return gathered(labels("delivery", "refund"), tickets, "a test")


def told(episodes: Sequence[Episode]) -> list[tuple[str, str, float, int]]:
    return [(one.fired.category, one.fired.kind, one.fired.opened_at, one.fired.observed) for one in episodes]


# Files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,category\n2026-03-02,refund\n", r"line 1: no column created_at, there is when, category: name the"),
        ("", r"line 1: no column created_at, there is nothing"),
        (
            "created_at,category\n2026-03-02,a\nyesterday,b\n",
            r"line 3: created_at is 'yesterday', .* write it as 2026-",
        ),
        ('created_at,category,text\n2026-03-02,a,"two\nlines"\n1,b,x\n', r"line 4: created_at is '1'"),
        (
            "created_at,category\n1970-01-02T09:30:00Z,a\n2026-03-02T09:31:00Z,a\n",
            r"oldest ticket is of 1970-01-02, 56 years before the newest, and 10 are replayed at most: is a date",
        ),
        ("created_at,category\n2026-03-02\n", r"line 2: 1 columns where the header has 2: write every row with all"),
        (
            "created_at,category\n" + 10 * "2026-03-02,a\n",
            r"filed on the full hour: created_at needs the time of day, w",
        ),
        ("created_at,category\n2026-03-02,\n", r"no ticket with a category in the time asked for, and 1 without one"),
        ("created_at,category\n2026-03-02,\udcff\n", r"not UTF-8: save it as CSV UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_names_line_cause_and_cure(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(HistoryError, match=says):
        csv_file.read(path, BERLIN)


def test_a_file_that_is_not_there_or_cut_off_says_so(tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"created_at,category\n" + b"2026-03-02,a\n" * 999)[:-9])
    for path in (cut, tmp_path / "absent.csv"):
        with pytest.raises(HistoryError, match=r"cannot be read: .* does it exist, whole"):
            csv_file.read(path, BERLIN)


def test_times_are_read_in_every_usual_form_and_in_the_zone_where_they_name_none(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv.gz"
    rows = ["2026-03-02 01:30:00", "2026-03-02T00:30:00Z", "2026-03-02 02:30:00 +0200", str(MONDAY + 1800)]
    with gzip.open(path, "wt", encoding="utf-8-sig") as file:
        file.write("Label,Created_at\n" + "".join(f"refund,{row}\n" for row in rows))
    found = csv_file.read(path, BERLIN)
    assert found.start == MONDAY
    assert found.counts[:, 30].tolist() == [4, 4]


@pytest.mark.parametrize("comma", [";", "\t"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, comma: str) -> None:
    path = tmp_path / "tickets.csv"
    rows = [("Ticket ID", "Created at", "Category"), ("1", "2026-03-02 00:30", "Refunds, partly")]
    path.write_text("\r\n".join(comma.join(row) for row in rows), encoding="utf-8-sig")
    found = csv_file.read(path, "UTC")
    assert (found.rows, found.start, found.tickets) == (["Refunds, partly", "*"], MONDAY, 1)


def test_a_ticket_with_several_categories_counts_in_each_and_once_in_all(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text("created_at,category\n2026-03-02T00:00Z,A::x A::y\n2026-03-02T00:00Z,b\n2026-03-02T00:00Z,\n")
    found = csv_file.read(path, BERLIN, separator=" ")
    assert found.rows == ["A::x", "A::y", "b", "A::*", "*"]
    assert found.counts[:, 0].tolist() == [1, 1, 1, 2, 2]
    assert (found.tickets, found.unsorted) == (2, 1)


def test_more_tickets_in_a_minute_than_can_be_counted_are_refused() -> None:
    """They would count as if there were none."""
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC).timestamp()
    with pytest.raises(HistoryError, match=r"65,536 tickets in the minute of 2026-03-01 09:30 UTC .*: leave them out"):
        gathered(labels("refund"), [(at, ("refund",))] * 65_536, "a test")
    assert gathered(labels("refund"), [(at, ("refund",))] * 65_535, "a test").counts.max() == 65_535


def test_only_the_days_asked_for_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text("created_at,category\n2026-03-01,a\n2026-03-02,a\n2026-03-03,a\n")
    found = csv_file.read(path, "UTC", since=MONDAY, until=MONDAY + DAY)
    assert (found.start, found.tickets) == (MONDAY, 1)


# Zendesk


def test_the_export_counts_as_the_live_watch_does(parts: Parts, zendesk: Running) -> None:
    """Each ticket once, by its time of creation: not spam, not Presort's own, not an import; sorted by people or us."""
    simulation = zendesk.simulation
    since = zendesk.clock() - 1  # Zendesk knows seconds
    kept = [zendesk.create(*SURE[:2]) for _ in range(3)]
    simulation.update(kept[0], fields({FIELD: "refund_request"}), actor_id=AGENT.id, channel="web")
    simulation.update(kept[1], fields({ANSWER: "delivery_delay", CONFIDENCE: "0.99"}), actor_id=AGENT.id, channel="web")
    zendesk.post(f"/simulator/tickets/{zendesk.create(*SURE[:2])}/delete")
    zendesk.clock.advance(ACCOUNT.export_lag_s + 1)
    parts.clock = zendesk.clock
    shares: list[float] = []
    classifier = parts.config.classifiers[0]
    found = export.read(
        parts,
        classifier,
        since,
        zendesk.clock(),
        progress=lambda share, _: shares.append(share),
        say=pytest.fail,
        sleep=zendesk.clock.advance,
    )
    assert {one: value for one, (_, value) in found.items()} == {
        kept[0]: ("refund_request",),
        kept[1]: ("delivery_delay",),
        kept[2]: (),
    }
    history = export.counted(parts, classifier, found)
    assert history.counts.sum(axis=1)[[history.rows.index("refund_request"), -1]].tolist() == [1, 2]
    assert history.unsorted == 1
    assert shares


def test_the_command_replays_what_zendesk_has(
    zendesk: Running, store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.redis.dbsize() == 0
    for days in (11, 10, 9, 1):
        zendesk.clock.offset_s = -days * DAY
        ticket = zendesk.create(*SURE[:2])
        zendesk.simulation.update(ticket, fields({FIELD: SURE[2]}), actor_id=AGENT.id, channel="web")
    zendesk.clock.offset_s = 0
    (tmp_path / "presort.toml").write_text(
        f'[zendesk]\nsubdomain = "acme"\nclient_id = "{ACCOUNT.client_id}"\nurl = "{zendesk.url}"\n'
        f'time_zone = "{BERLIN}"\n[[classifier]]\nfield_id = {FIELD}\nbundle = "{BUNDLE.resolve()}"\n'
    )
    monkeypatch.setenv("PRESORT_CONFIG", str(tmp_path / "presort.toml"))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", ACCOUNT.client_secret)
    since = f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%d}"
    done = CliRunner().invoke(main, ["backtest", "--from", since, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out" / "alerts.json").read_text())
    assert (figures["tickets"], figures["zone"]) == (4, BERLIN)
    kept = csv_file.read(tmp_path / "out" / "history.csv", "UTC")
    assert (kept.rows, kept.tickets) == ([SURE[2], "*"], 4)


def fields(values: dict[int, object]) -> dict[str, Any]:
    return {"custom_fields": [{"id": field, "value": value} for field, value in values.items()]}


def test_what_was_read_from_zendesk_is_kept_as_a_file_that_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    export.keep({7: (MONDAY + 90.0, ("a", "b")), 3: (MONDAY + 30.0, ("b",)), 5: (MONDAY + 60.0, ())}, path)
    found = csv_file.read(path, BERLIN, separator=", ")
    assert found.rows == ["a", "b", "*"]
    assert found.counts[:, :2].tolist() == [[0, 1], [1, 1], [1, 1]]
    assert found.unsorted == 1


# The replay


def test_a_spike_is_found_once_where_it_was_and_nothing_else_is(month: History) -> None:
    found = [one for one in replay(month, BERLIN, Spikes()).episodes if one.fired.category == "refund"]
    assert len(found) == 1
    fired, last = found[0].fired, found[0].last
    assert SPIKE - 1800 <= fired.started_at <= SPIKE + 1800
    assert SPIKE < fired.opened_at <= SPIKE + 3 * 3600
    assert last.state == "resolved"
    assert last.resolved_at is not None
    assert SPIKE + 3 * 3600 <= last.resolved_at <= SPIKE + DAY


def test_nothing_is_known_of_the_future(month: History) -> None:
    """What follows an alert cannot change it, whether every later minute is cut off or ten times as busy."""
    cut = int(SPIKE - MONDAY) // 60 + 240
    busy = month.counts.copy()
    busy[:, cut:] *= 10
    whole, short, other = (
        replay(month._replace(counts=counts), BERLIN, Spikes()).episodes
        for counts in (month.counts, month.counts[:, : cut // 60 * 60], busy)
    )
    until = MONDAY + cut * 60
    before = [one for one in told(whole) if one[2] < until - 300]
    assert ("refund", "spike") in [one[:2] for one in before]
    assert [one for one in told(short) if one[2] < until - 300] == before
    assert [one for one in told(other) if one[2] < until - 300] == before


def test_it_agrees_with_a_watch_that_looks_every_minute(month: History) -> None:
    """The live way for the day of the spike: `signs.read` and `lifecycle.step` each minute, on the same baseline."""
    day = slice((SPIKE - 10 * 3600 - MONDAY) // 60, (SPIKE + 14 * 3600 - MONDAY) // 60)
    hourly = month.counts.reshape(3, -1, 60).sum(axis=2, dtype=np.int64)
    hours = MONDAY // 3600 + np.arange(hourly.shape[1])
    past = slice(0, day.start // 60)
    slots = calendar.slots(hours, BERLIN)
    learned = spikes.learn(hourly[:, past], slots[past], np.cumsum(hourly[:, past], axis=1) > 0)
    middles = np.array([MONDAY + 60 * (minute + 0.5) for minute in range(day.stop)])
    expected, error = spikes.expect(learned, calendar.positions(middles, BERLIN), 1 / 60)
    alert: Alert | None = None
    states: list[Alert] = []
    for minute in range(day.start + 1, day.stop):
        seen = slice(minute - 1500, minute)
        look = signs.Look(
            rows=month.rows,
            names=month.names,
            counts=month.counts[:, seen].astype(np.int64),
            expected=expected[:, seen],
            error=error,
            dispersion=learned.dispersion,
            held={},
            threshold=spikes.threshold(4),
            confusion=None,
            end=MONDAY + 60 * minute,
            tick_s=60,
        )
        now = look.end + 120
        found, _ = signs.read(look, [] if alert is None else [alert], now)
        sign = next(one for one in found if one.category == "refund")
        alert = lifecycle.step(alert, sign, now, Spikes(), classifier="")
        if alert is not None:
            states.append(alert)
    fired, ended = states[0], next(one for one in states if one.state == "resolved")
    ours = next(one for one in replay(month, BERLIN, Spikes()).episodes if one.fired.category == "refund")
    assert 0 <= ours.fired.opened_at - fired.opened_at <= 300
    assert ended.resolved_at is not None
    assert ours.last.resolved_at is not None
    assert abs(ours.last.resolved_at - ended.resolved_at) <= 900


def test_a_category_that_swarms_every_day_uses_its_budget_up() -> None:
    tickets = filed(2, 35, "outage", 3)
    for day in range(14, 35):
        tickets += burst(MONDAY + day * DAY + 3600 * (day * 7 % 24), 40, 1, "outage")
    history = gathered(labels("outage", "other"), [*tickets, *filed(2, 35, "other", 4)], "a test")
    spent, unspent = (
        len([one for one in replay(history, BERLIN, Spikes(), budget=budget).episodes if one.row == 0])
        for budget in (True, False)
    )
    assert unspent >= 6
    assert spent <= unspent / 2


def test_a_category_that_is_new_learns_first() -> None:
    """From zero everything is a spike; a week later it is what it is."""
    young = [(at + 21 * DAY, tags) for at, tags in filed(3, 21, "new", 5)]
    history = gathered(labels("new", "old"), [*filed(3, 42, "old", 6), *young], "a test")
    assert [one for one in replay(history, BERLIN, Spikes()).episodes if one.row == 0] == []


def test_holidays_are_expected_to_be_sundays() -> None:
    """Nothing comes on a Wednesday: an alert of silence on that day, unless it is known to be a holiday."""
    off = date(2026, 3, 25)
    open_days = [
        (at, tags)
        for at, tags in filed(20, 28, "refund", 9)
        if (day := datetime.fromtimestamp(at, UTC)).weekday() != 6 and day.date() != off
    ]
    history = gathered(labels("refund"), open_days, "a test")
    silent = [
        [
            one
            for one in replay(history, "UTC", Spikes(holidays=holidays)).episodes
            if one.fired.kind == "silence" and datetime.fromtimestamp(one.fired.opened_at, UTC).date() == off
        ]
        for holidays in ((), (off,))
    ]
    assert len(silent[0]) == 1
    assert silent[1] == []


# What people see


def test_the_band_holds_nine_of_ten_quiet_bars() -> None:
    rng = default_rng(8)
    for mean, spread in ((0.3, 0.05), (5, 0.05), (200, 0.02), (200, 0.2)):
        low, high = picture.band(np.full(1, float(mean)), spread)
        counts = rng.poisson(mean * rng.gamma(1 / spread, spread, 20_000))
        assert 0.85 <= np.mean((np.floor(low) <= counts) & (counts <= high)) <= 0.99


@pytest.fixture(scope="module")
def written(month: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command's folder, of the month as a file, with a category that wants escaping."""
    folder = tmp_path_factory.mktemp("backtest")
    names = {"delivery": "delivery", "refund": "<b>refund</b> & more"}
    lines = ["created_at,category"]
    for row, minute in zip(*np.nonzero(month.counts[:2]), strict=True):
        stamp = datetime.fromtimestamp(MONDAY + 60 * int(minute), UTC).isoformat()
        lines += [f"{stamp},{names[month.rows[row]]}"] * int(month.counts[row, minute])
    (folder / "tickets.csv").write_text("\n".join(lines))
    options = ["--csv", str(folder / "tickets.csv"), "--zone", BERLIN, "--out", str(folder / "out")]
    done = CliRunner().invoke(main, ["backtest", *options])
    assert done.exit_code == 0, done.output
    (folder / "said.txt").write_text(done.output)
    return folder


def test_the_command_prints_a_table_and_writes_the_figures(written: Path) -> None:
    figures = json.loads((written / "out" / "alerts.json").read_text())
    assert [one["weeks"] for one in figures["sensitivities"]] == [4, 12, 52]
    for one in figures["sensitivities"]:
        assert [row["name"] for row in one["categories"]] == ["<b>refund</b> & more", "delivery", "All tickets"]
        assert sum(row["alerts"] for row in one["categories"]) == len(one["alerts"])
        assert one["months"] == pytest.approx(3 * 3 * WEEK / (365.25 / 12 * DAY), rel=0.02)
        assert one["per_category_month"] == pytest.approx(len(one["alerts"]) / one["months"])
        refund, delivery, _ = one["categories"]
        assert refund["smallest_tickets"] < delivery["smallest_tickets"] < 200
    spike = next(one for one in figures["sensitivities"][0]["alerts"] if one["category"].startswith("<b>"))
    assert spike["observed"] / spike["expected"] == pytest.approx(spike["ratio"])
    assert spike["ratio_low"] < spike["ratio"] < spike["ratio_high"]
    said = (written / "said.txt").read_text()
    assert re.search(r"4 weeks +smallest +12 weeks +smallest +52 weeks +smallest", said)
    assert re.search(r"<b>refund</b> & more +1\.\d\d +0\.7 +1 \(1\)", said)


def test_a_name_in_a_file_does_not_steer_the_terminal(written: Path) -> None:
    raw = (written / "out" / "alerts.json").read_text().replace("delivery", "\\u001b[2Jdelivery")
    said = table(msgspec.json.decode(raw, type=Figures))
    assert "?[2Jdelivery" in said
    assert "\x1b" not in said


def test_the_page_needs_nothing_from_elsewhere_and_shows_every_alert(written: Path) -> None:
    page = (written / "out" / "alerts.html").read_text()
    figures = json.loads((written / "out" / "alerts.json").read_text())
    assert re.findall(r"(?:https?:|//|@import|url\(|<script|<link|<img|<iframe)", page) == []
    alerts = [one for each in figures["sensitivities"] for one in each["alerts"]]
    assert page.count("<article>") == page.count("<svg") == len(alerts) > 0
    assert page.count('class="mark fired"') == len(alerts)
    assert page.count('class="mark ended"') == sum(one["ended_at"] is not None for one in alerts)
    assert "<b>refund" not in page
    assert "&lt;b&gt;refund&lt;/b&gt; &amp; more: spike, Tue 24 Mar 2026 " in page
    assert " CET" in page  # local time, with its zone
    assert "prefers-color-scheme: dark" in page
    assert page.count('type="radio"') == 3


def test_too_little_history_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text("created_at,category\n2026-03-02,a\n2026-03-06,a\n")
    done = CliRunner().invoke(main, ["backtest", "--csv", str(path), "--zone", BERLIN, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "the tickets span 4.0 days, and the first 7 only teach: take more time" in done.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--from DATE reads Zendesk, --csv FILE a file"),
        (["--from", "2026-03-01", "--zone", "Berlin"], "give its IANA name, such as Europe/Berlin"),
        (
            ["--csv", "x.csv", "--zone", BERLIN, "--from", "2026-03-02", "--to", "2026-03-01"],
            "--from must be before --to",
        ),
        (["--csv", "x.csv"], "or replay a file without it: --csv FILE --zone ZONE"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRESORT_CONFIG", str(tmp_path / "absent.toml"))
    done = CliRunner().invoke(main, ["backtest", *options])
    assert done.exit_code != 0
    assert says in " ".join(done.output.split())
