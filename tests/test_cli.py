"""``presort``, as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from integration import messages
from integration.cli import main
from integration.messages import NewTicket
from integration.store import Store


@pytest.fixture
def settings_file(tmp_path: Path, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert store.redis.dbsize() == 0
    path = tmp_path / "presort.toml"
    path.write_text('[zendesk]\nsubdomain = "a"\nclient_id = "b"\n[[classifier]]\nfield_id = 1\nbundle = "m"\n')
    monkeypatch.setenv("PRESORT_CONFIG", str(path))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", "w")
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", "c")
    return path


@pytest.mark.usefixtures("settings_file")
def test_parked_messages_are_shown_without_text_and_sent_again(store: Store) -> None:
    ticket = NewTicket(ticket_id=5, received_at=1.0, subject="My card 4111")
    store.park(messages.CLASSIFY, ticket.to_json(), "RuntimeError while classifying")
    store.park("?", "no form", "an unreadable message")
    shown = CliRunner().invoke(main, ["parked"])
    assert shown.exit_code == 0
    assert "RuntimeError while classifying" in shown.output
    assert "My card" not in shown.output
    again = CliRunner().invoke(main, ["parked", "--retry"])
    assert "2 parked, 1 sent again" in again.output
    assert [one.reason for one in store.parked()] == ["an unreadable message"]
    assert store.depths()["tickets"] == 1


def test_without_settings_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESORT_CONFIG", str(tmp_path / "absent.toml"))
    result = CliRunner().invoke(main, ["parked"])
    assert result.exit_code == 1
    assert "copy presort.example.toml" in result.output
