"""Tickets that tell the admins of an alert: found by what they are about, so that no crash makes a second one."""

from __future__ import annotations

from typing import Any, NamedTuple

import requests
from zenpy import Zenpy

from integration import settings
from integration.store import Store
from integration.zendesk.transport import connect, get, translated

ABOUT = "presort_alert"
"""The tag of these tickets, and the name of what we note in their audits' ``metadata.custom``."""


class AlertTicket(NamedTuple):
    """A ticket that may still be changed; ``status`` as Zendesk writes it."""

    id: int
    status: str


class AlertTickets:
    """One client a process. Every method raises ``TemporaryError``, ``PermanentError`` or one of their kinds.

    zenpy knows neither lists by external id nor idempotency keys, so these requests are written out.
    """

    def __init__(self, config: settings.Zendesk, client_secret: str, store: Store) -> None:
        """Connects with the first call."""
        self._config = config
        self._zenpy: Zenpy = connect(config, client_secret, store)

    def find(self, external_id: str) -> AlertTicket | None:
        """The newest ticket with that external id which is neither closed nor deleted."""
        with translated():
            rows = get(self._zenpy, self._config, "tickets.json", {"external_id": external_id}).json()["tickets"]
            # Exactly so: a proxy or an old account that ignores the parameter answers with the whole account.
            ours = [one for one in rows if one["external_id"] == external_id and one["status"] != "closed"]
            newest = max(ours, key=lambda one: int(one["id"]), default=None)
            return None if newest is None else AlertTicket(int(newest["id"]), str(newest["status"]))

    def told(self, ticket_id: int) -> set[str]:
        """What has been told on a ticket, by the ids that its first hundred updates carried."""
        with translated():
            rows = get(self._zenpy, self._config, f"tickets/{ticket_id}/audits.json").json()["audits"]
            notes = [one["metadata"].get("custom", {}).get(ABOUT) for one in rows]
            return {str(one["news"]) for one in notes if isinstance(one, dict) and "news" in one}

    def create(self, ticket: dict[str, Any], key: str) -> int:
        """Create a ticket; its id.

        Args:
            ticket: as ``POST /api/v2/tickets`` takes it.
            key: within two hours, the same one answers with the ticket that it made before.
        """
        with translated():
            answer = self._send("POST", "tickets.json", ticket, {"Idempotency-Key": key})
            return int(answer.json()["ticket"]["id"])

    def update(self, ticket_id: int, ticket: dict[str, Any]) -> None:
        """Change a ticket, as ``PUT /api/v2/tickets/{id}`` takes it; raises ``NotFound`` when it was deleted."""
        with translated():
            self._send("PUT", f"tickets/{ticket_id}.json", ticket, {})

    def _send(self, method: str, path: str, ticket: dict[str, Any], headers: dict[str, str]) -> requests.Response:
        session: requests.Session = self._zenpy.users.session
        url = f"https://{self._config.subdomain}.zendesk.com/api/v2/{path}"
        answer = session.request(method, url, json={"ticket": ticket}, headers=headers, timeout=self._config.timeout_s)
        answer.raise_for_status()
        return answer
