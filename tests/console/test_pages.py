"""What the pages show, and what a person does on them."""

from __future__ import annotations

import re
import time

import msgspec
import pytest
import requests

from integration import alerting, counting, outcomes
from integration.alerting import Silence
from integration.console import settings_page
from integration.console.usually import Times, band, tickets
from integration.controls import Controls
from integration.records import Alert
from integration.settings import Channel, Settings
from integration.store import Store
from integration.usual import Row
from tests.conftest import awaited
from tests.console.conftest import EVIL, LABELS, PASSWORD, Visitor


def words(answer: requests.Response) -> str:
    """What a person reads: no tags, one space between words."""
    return " ".join(
        re.sub(r"<[^>]+>", " ", (answer.text.partition("<main")[2] or answer.text).replace("<wbr>", "")).split()
    )


# Now


def test_now_before_anything_came(anna: Visitor) -> None:
    text = words(anna.get("/"))
    assert "none was heard of in 30 s: start one with presort-worker run" in text
    assert "no worker has loaded one" in text
    assert "not read yet" in text
    assert "No ticket was counted yet" in text


@pytest.mark.usefixtures("busy")
def test_now_says_what_comes_against_what_is_usual(anna: Visitor, store: Store) -> None:
    outcomes.caught_up(store.redis, time.time() - 200)
    awaited(store, 4711, time.time() - 600)
    text = words(anna.get("/"))
    assert "Alerts 1 firing Orders::Delivery" in text
    assert "without an outcome longest: ticket 4711, 10 min" in text
    assert "Workers 1 box:1" in text
    assert "Model of category support@7 int8 on CPU, 3 labels" in text
    assert "3 min ago" in text
    assert "Orders::Delivery 60 6.0 (2.6 to 11) alert fires" in text
    assert "Orders (all) 120 66 (50 to 84) more than usual" in text
    assert "Login 0 12 (6.7 to 19) still learning" in text
    assert text.index("All tickets 120") < text.index("Orders::Delivery 60") < text.index("Orders::Refund 60")


@pytest.mark.usefixtures("busy")
def test_the_parts_that_move_are_the_pages_own(anna: Visitor) -> None:
    page = words(anna.get("/"))
    for path in ("/now/facts", "/now/lines?classifier=category"):
        part = words(anna.get(path))
        assert part[:200] in page
        assert "<html" not in anna.get(path).text


@pytest.mark.usefixtures("busy")
def test_the_chart_counts_what_the_table_counts(anna: Visitor) -> None:
    figure = anna.get("/now/figure.json?category=delay").json()
    bars = next(one for one in figure["data"] if one["type"] == "bar")
    usual = next(one for one in figure["data"] if one.get("name") == "usual")
    assert (len(bars["y"]), sum(bars["y"])) == (180, 60)
    assert usual["y"] == [0.1] * 180
    assert figure["text"] == "Orders::Delivery: 60 tickets in 3.0 h, where 18.0 are usual."
    assert "Europe/Berlin" in figure["layout"]["xaxis"]["title"]["text"]


@pytest.mark.usefixtures("busy")
def test_what_is_usual_is_that_of_the_time_since_counting_began(anna: Visitor, store: Store) -> None:
    """Or the first hour would look quiet, whatever comes."""
    began = time.time() // 60 * 60 - 32 * 60  # two ticks wait for late tickets
    store.redis.set("presort:counting_began:category", began)
    figure = anna.get("/now/figure.json?category=delay").json()
    assert figure["text"] == "Orders::Delivery: 60 tickets in 30 min, where 3.0 are usual."
    assert "Orders::Delivery 60 3.0" in words(anna.get("/"))


def test_paused_is_said_on_every_page(anna: Visitor, store: Store) -> None:
    Controls(store.redis).throw(paused=True, by="ben", reason="deploy")
    for path in ("/", "/alerts/", "/settings/"):
        assert "Nothing is written:</strong> paused by ben" in anna.get(path).text


def test_what_is_not_there_is_not_found(anna: Visitor) -> None:
    for path in ("/alerts/none", "/?classifier=none", "/nothing", "/assets/none.js", "/assets/plotly-0.min.js"):
        answer = anna.get(path)
        assert (answer.status_code, "Not found" in answer.text) == (404, True)


def test_plotly_is_served_from_the_installed_package(anna: Visitor) -> None:
    found = re.search(r'src="(/assets/plotly-[\d.]+\.min\.js)"', anna.get("/").text)
    assert found
    answer = anna.get(found[1])
    assert "plotly.js" in answer.text[:200]
    assert "immutable" in answer.headers["Cache-Control"]
    assert anna.get(found[1], headers={"Accept-Encoding": "identity"}).text == answer.text


# Alerts


def test_no_alert_is_said_too(anna: Visitor) -> None:
    text = words(anna.get("/alerts/"))
    assert "Nothing fires" in text
    assert "Closed None yet." in text


def test_alerts_are_listed_with_their_figures(anna: Visitor, busy: Alert, store: Store) -> None:
    old = msgspec.structs.replace(
        busy, id="old", category="refund", name="Orders::Refund", state="resolved", resolved_at=busy.started_at + 900
    )
    alerting.save(store.redis, old, over=0)
    assert alerting.close(store.redis, old)
    text = words(anna.get("/alerts/"))
    assert "Orders::Delivery firing 60 tickets in 30 min, where 3.0 are usual; since 20" in text
    assert "1 to 1 of 1 that are remembered" in text
    assert re.search(r"Orders::Refund over 60 3\.0 \S+ \S+ CES?T 15 min not said", text)
    figure = anna.get("/alerts/figure.json").json()
    assert [one["name"] for one in figure["data"]] == ["firing", "over"]
    assert figure["text"] == "1 firing and 1 over, of 2 categories."
    assert "subjects are not kept" in words(anna.get("/alerts/old"))


def test_an_alert_is_shown_whole(anna: Visitor, busy: Alert) -> None:
    text = words(anna.get(f"/alerts/{busy.id}"))
    for fact in ("20 times", "15 to 26 with 90 % certainty", "66.0%", "once in 300 weeks", "30 min", "nobody yet"):
        assert fact in text
    figure = anna.get(f"/alerts/{busy.id}/figure.json").json()
    bars = next(one for one in figure["data"] if one["type"] == "bar")
    assert 50 <= sum(bars["y"]) <= 60  # the newest bar is left out until it is whole
    assert [one["text"] for one in figure["layout"]["annotations"]] == ["began", "alert"]


def test_an_old_alerts_picture_is_made_of_hours(anna: Visitor, busy: Alert, store: Store) -> None:
    then = time.time() - 20 * 86400
    old = msgspec.structs.replace(busy, id="old", category="refund", started_at=then, opened_at=then, resolved_at=then)
    alerting.save(store.redis, old, over=0)
    figure = anna.get("/alerts/old/figure.json").json()
    assert figure["layout"]["yaxis"]["title"]["text"] == "tickets in 1 hour"


def test_a_strangers_subject_stays_text(anna: Visitor, busy: Alert) -> None:
    page = anna.get(f"/alerts/{busy.id}").text
    assert EVIL not in page
    assert "&lt;script&gt;document.title" in page


def test_a_silence_holds_and_is_on_record_until_it_is_ended(anna: Visitor, busy: Alert, store: Store) -> None:
    page = f"/alerts/{busy.id}"
    answer = anna.post(f"{page}/silence", page=page, hours="4", reason="known outage")
    assert "Nobody is told of Orders::Delivery until" in words(answer)
    (silence,) = alerting.silences(store.redis)
    assert silence.covers(busy, time.time())
    assert (silence.by, silence.reason, round(silence.until - silence.since)) == ("Anna", "known outage", 4 * 3600)
    assert "silenced by Anna until" in words(answer)
    assert Controls(store.redis).changes()[0].what == "silenced category/delay for 4 hours: known outage"
    assert "The silence has ended" in words(anna.post(f"/alerts/silences/{silence.id}/end", page="/alerts/"))
    assert alerting.silences(store.redis) == []
    assert "had ended already" in words(anna.post(f"/alerts/silences/{silence.id}/end", page="/alerts/"))


@pytest.mark.parametrize("hours", ["", "3", "9999999", "x"])
def test_a_silence_is_of_an_offered_length(anna: Visitor, busy: Alert, store: Store, hours: str) -> None:
    page = f"/alerts/{busy.id}"
    assert anna.post(f"{page}/silence", page=page, hours=hours).status_code == 400
    assert alerting.silences(store.redis) == []


def test_the_first_who_looks_after_an_alert_does(anna: Visitor, busy: Alert, store: Store, console: str) -> None:
    page = f"/alerts/{busy.id}"
    assert "Anna looks after Orders::Delivery" in words(anna.post(f"{page}/acknowledge", page=page))
    ben = Visitor(console)
    ben.sign_in(name="Ben")
    assert "Anna looks after Orders::Delivery" in words(ben.post(f"{page}/acknowledge", page=page))
    (alert,) = alerting.active(store.redis)
    assert (alert.acknowledged_by, alert.event, alert.news) == ("Anna", "acknowledged", 2)


@pytest.mark.parametrize(("said", "useful"), [("yes", True), ("no", False)])
def test_what_people_say_of_an_alert_is_kept(
    anna: Visitor, busy: Alert, store: Store, said: str, *, useful: bool
) -> None:
    page = f"/alerts/{busy.id}"
    assert "Noted as" in words(anna.post(f"{page}/rate", page=page, useful=said))
    assert [one.useful for one in alerting.active(store.redis)] == [useful]
    assert 'aria-pressed="true"' in anna.get(page).text


def test_a_planned_silence_is_shown(anna: Visitor, store: Store) -> None:
    now = time.time()
    alerting.silence(store.redis, Silence(id="s1", since=now + 60, until=now + 999, by="ben", reason=EVIL))
    page = anna.get("/alerts/")
    assert "Everything , 20" in words(page)
    assert EVIL not in page.text


# Settings


def test_every_setting_is_shown_with_what_it_means(console_config: Settings) -> None:
    channel = Channel(name="pager", kind="pagerduty")
    config = msgspec.structs.replace(console_config, channels=(channel,))
    shown = list(settings_page.groups(config))
    assert [one.title for one in shown] == [
        *("zendesk", "receiver", "console", "classifier category", "worker", "spikes", "channel pager", "ledger")
    ]
    assert [(group.title, one.name) for group in shown for one in group.settings if len(one.meaning) < 8] == []
    zendesk = {one.name: one for one in shown[0].settings}
    assert (zendesk["time_zone"].value, zendesk["time_zone"].given) == ('"Europe/Berlin"', True)
    assert (zendesk["share"].value, zendesk["share"].given) == ("0.6", False)
    assert zendesk["share"].meaning == "The part of them that Presort may use; agents' own edits need the rest."


def test_no_secret_is_shown(anna: Visitor, console_config: Settings) -> None:
    page = anna.get("/settings/")
    assert "PRESORT_CONSOLE_PASSWORD set PRESORT_CONSOLE_KEY not set" in words(page)
    for value in (PASSWORD, console_config.zendesk_client_secret, *console_config.webhook_secrets):
        assert f">{value}<" not in page.text
        assert f'"{value}"' not in page.text


def test_the_switch_pauses_and_resumes(anna: Visitor, store: Store) -> None:
    controls = Controls(store.redis)
    text = words(anna.post("/settings/pause", page="/settings/", reason="wrong since noon"))
    assert "Paused by Anna (console) since" in text
    switch = controls.switch()
    assert switch is not None
    assert (switch.paused, switch.by, switch.reason) == (True, "Anna (console)", "wrong since noon")
    assert "Paused already, by Anna (console)." in words(anna.post("/settings/pause", page="/settings/"))
    assert "Writes go on" in words(anna.post("/settings/resume", page="/settings/"))
    assert [one.what for one in controls.changes(2)] == ["resumed all writes", "paused all writes: wrong since noon"]
    assert "Anna (console) paused all writes: wrong since noon" in words(anna.get("/settings/"))


# What is usual


def test_what_is_usual_is_what_the_detector_expects(console_config: Settings) -> None:
    import numpy as np

    from worker import calendar, spikes
    from worker.backtest import picture

    rate = tuple(1.0 + hour % 24 for hour in range(168))
    row = Row(row="a", name="A", rate=rate, error=(0.02,) * 168, dispersion=(0.1, 0.2), weeks=3)
    starts = [1_790_000_000.0 + 600 * step for step in range(200)]
    found = Times(starts, 600, console_config)
    places = calendar.positions(np.array(starts) + 300, "Europe/Berlin")
    learned = spikes.Baseline(np.array([rate]), np.full((1, 168), 0.02), np.array([[0.1, 0.2]]), np.array([3.0]))
    expected, _ = spikes.expect(learned, places, 600 / 3600)
    assert found.expected(row) == pytest.approx(expected[0].tolist())
    low, high = picture.band(expected[0], 0.12)
    assert [one.low for one in found.usual(row)] == pytest.approx(low.tolist())
    assert [one.high for one in found.usual(row)] == pytest.approx(high.tolist())
    assert found.together(row) == pytest.approx(band(expected.sum(), 0.12))


def test_a_parents_tickets_are_its_labels(store: Store) -> None:
    counting.add(store.redis, "ticks", "category", {(100, "refund"): 2, (101, "delay"): 3, (101, "login"): 5})

    def counted(row: str) -> list[int]:
        return tickets(store.redis, "category", row, LABELS, unit="ticks", first=100, last=103)

    assert (counted("Orders::*"), counted("*"), counted("login")) == ([2, 3, 0], [2, 8, 0], [0, 5, 0])
    assert counted("None::*") == [0, 0, 0]
