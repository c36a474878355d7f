"""An account with tickets, and a person who types ``presort tickets``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integration.cli import main
from integration.export import cli
from integration.simulator.account import AGENT, INTEGRATION
from integration.simulator.config import SimulatorConfig
from integration.store import Store
from integration.zendesk.patience import Patience
from model_export.dataset.options import Options
from model_export.dataset.tickets import read_tickets
from tests.model_export.dataset_support import text
from tests.simulator.support import Running, serving

CONFIG = SimulatorConfig(requests_per_minute=100_000, updates_per_minute=100_000, exports_per_minute=10)
CATEGORY, PREDICTED, MODEL = CONFIG.category_field_id, CONFIG.predicted_field_id, CONFIG.model_field_id
AUDITS = "GET /api/v2/tickets/<int:ticket_id>/audits"
EXPORT = "GET /api/v2/incremental/tickets/cursor"

SETTINGS = f"""
[zendesk]
subdomain = "acme"
client_id = "{CONFIG.client_id}"
url = "URL"
[[classifier]]
field_id = {CATEGORY}
prediction_field_id = {PREDICTED}
model_field_id = {MODEL}
bundle = "demo/bundle"
"""


class Desk:
    """An account with tickets, and a person who types ``presort tickets``."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.said: list[str] = []
        self.settings = folder / "presort.toml"
        self.settings.write_text(SETTINGS.replace("URL", running.url))

    def file(self, **more: object) -> int:
        """A customer writes a ticket, an hour after the one before."""
        self.running.clock.advance(3600)
        number = len(self.running.simulation.account.tickets) + 1
        return self.running.create(f"Subject {number}", text(number), **more)

    def agent(self, ticket_id: int, value: object = None, **attributes: object) -> None:
        """An agent sets the category, or whatever is given."""
        if not attributes:
            attributes = {"custom_fields": [{"id": CATEGORY, "value": value}]}
        self.running.simulation.update(ticket_id, attributes, actor_id=AGENT.id, channel="web")

    def presort(self, ticket_id: int, value: str, *, fill: bool) -> None:
        """Presort writes its text fields, and the category itself if it is sure, the way the worker does."""
        fields = {PREDICTED: value, MODEL: "category@1"} | ({CATEGORY: value} if fill else {})
        attributes = {
            "custom_fields": [{"id": field, "value": one} for field, one in fields.items()],
            "metadata": {"presort": {"category": {"decision": "d1", "model": "category@1"}}},
        }
        self.running.simulation.update(ticket_id, attributes, actor_id=INTEGRATION.id)

    def solved(self, value: str = "billing", status: str = "solved", **more: object) -> int:
        """A ticket that an agent sorted and solved."""
        ticket_id = self.file(**more)
        self.agent(ticket_id, value)
        self.agent(ticket_id, status=status)
        return ticket_id

    def export(self, name: str = "tickets.csv", *options: str) -> Result:
        """Type the command, more than a minute after everything that happened."""
        self.running.clock.advance(61)
        return CliRunner().invoke(main, ["tickets", str(self.folder / name), *options])

    def rows(self, name: str = "tickets.csv", **options: Any) -> dict[int, Any]:
        """The file as the data set reads it, by ticket id."""
        read = read_tickets(self.folder / name, Options(**options))
        assert read.malformed == 0
        assert len({one.ticket_id for one in read.tickets}) == len(read.tickets)
        return {int(one.ticket_id): one for one in read.tickets}

    def requests(self, route: str) -> int:
        """How often a route was asked for."""
        return int(self.running.get("/simulator/summary")["requests"].get(route, 0))


@pytest.fixture(scope="package")
def account() -> Iterator[Running]:
    with serving(CONFIG) as running:
        yield running


@pytest.fixture
def desk(account: Running, store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    assert store.redis.dbsize() == 0
    account.clock.offset_s = 0
    account.simulation.reset()
    desk = Desk(account, tmp_path)
    monkeypatch.setenv("PRESORT_CONFIG", str(desk.settings))
    monkeypatch.setenv("PRESORT_REDIS_URL", redis_url)
    monkeypatch.setenv("PRESORT_WEBHOOK_SECRETS", "w")
    monkeypatch.setenv("PRESORT_ZENDESK_CLIENT_SECRET", CONFIG.client_secret)
    waits(desk, monkeypatch, account.clock.advance)
    return desk


def waits(desk: Desk, monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """What happens while the command waits; usually the time passes, and nothing else."""
    monkeypatch.setattr(cli, "PATIENCE", Patience(say=desk.said.append, sleep=sleep))
