"""``presort alerts test``, from the command to what arrives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from integration.settings import Channel
from integration.simulator.account import ADMINS
from tests.simulator.support import Running
from tests.worker.conftest import Sink
from tests.worker.notify.support import SECRET, listening
from worker.cli import main
from worker.notify.errors import SendError
from worker.notify.trial import NoChannelError, trial
from worker.parts import Parts

SETTINGS = """
[zendesk]
subdomain = "acme"
client_id = "presort"
time_zone = "Europe/Berlin"
[[classifier]]
field_id = 1
bundle = "m"
[[channel]]
name = "hook"
kind = "webhook"
least = "critical"
url = "{url}"
"""


@pytest.fixture
def environ(tmp_path: Path, redis_url: str, sink: Sink) -> dict[str, str]:
    path = tmp_path / "presort.toml"
    path.write_text(SETTINGS.format(url=sink.http_url), encoding="utf-8")
    return {
        "PRESORT_CONFIG": str(path),
        "PRESORT_REDIS_URL": redis_url,
        "PRESORT_ZENDESK_CLIENT_SECRET": "c",
        "PRESORT_CHANNEL_HOOK": SECRET,
    }


def test_the_admins_command_reaches_the_channel_and_shows_what_it_answered(environ: dict[str, str], sink: Sink) -> None:
    command = [sys.executable, "-c", "from integration.cli import main; main()", "alerts", "test", "hook"]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [one["event"] for one in sink.heard] == ["alert.fired", "alert.resolved"]
    assert sink.heard[0]["text"] in done.stdout.replace("          ", "")
    assert (
        "sent:     Spike: Test of Presort (nothing happened), 47 tickets in 30 min where 4.2 are usual" in done.stdout
    )
    assert done.stdout.count("answered: HTTP 200") == 2
    assert SECRET not in done.stdout + done.stderr


def test_a_refusal_is_shown_with_its_cure_and_status_1(environ: dict[str, str], sink: Sink) -> None:
    sink.status = 401
    done = CliRunner().invoke(main, ["alert-test", "hook"], env=environ)
    assert done.exit_code == 1
    assert "channel hook: it answered 401: it does not know our secret" in done.output
    assert "mend that, and try again" in done.output
    sink.status = 503
    assert "it may pass" in CliRunner().invoke(main, ["alert-test", "hook"], env=environ).output


def test_a_channel_that_is_not_there_is_answered_with_those_that_are(environ: dict[str, str]) -> None:
    done = CliRunner().invoke(main, ["alert-test", "hok"], env=environ)
    assert (done.exit_code, "there is no channel 'hok'; there is hook" in done.output) == (1, True)


def test_a_worker_does_not_start_without_a_channels_secret(environ: dict[str, str]) -> None:
    done = CliRunner().invoke(main, ["run"], env=environ | {"PRESORT_CHANNEL_HOOK": ""})
    assert done.exit_code == 1
    assert "not set: PRESORT_CHANNEL_HOOK of channel 'hook'" in done.output


def test_in_zendesk_it_is_a_ticket_that_is_solved_at_once(parts: Parts, zendesk: Running) -> None:
    listening(parts, Channel(name="desk", kind="zendesk", group_id=ADMINS.id))
    answers = [line for line in trial(parts, "desk") if line.startswith("answered")]
    assert answers == ["answered: ticket 1 created", "answered: ticket 1 updated, solved"]
    assert zendesk.simulation.account.tickets[1].status == "solved"


def test_at_alertmanager_it_is_left_to_end_by_itself(parts: Parts, sink: Sink) -> None:
    """Alertmanager waits before it notifies; what is over by then it never tells."""
    listening(parts, Channel(name="am", kind="alertmanager", url=sink.http_url))
    *_, last = trial(parts, "am")
    assert "it ends by itself" in last
    assert len(sink.heard) == 1


def test_without_channels_it_says_how_to_get_one(parts: Parts) -> None:
    with pytest.raises(NoChannelError, match=r"add a \[\[channel\]\] to presort.toml"):
        list(trial(parts, "alerts"))


def test_what_was_sent_is_shown_before_it_fails(parts: Parts, sink: Sink) -> None:
    sink.status = 400
    listening(parts, Channel(name="hook", kind="webhook", url=sink.http_url))
    shown: list[str] = []
    with pytest.raises(SendError):
        shown.extend(trial(parts, "hook"))
    assert shown[0].startswith("sent:     Spike: Test of Presort")
