"""Zendesk's API as ``presort install`` and ``presort doctor`` use it: the account's fields, webhooks and triggers.

Nothing here changes or deletes an option of a field: a PUT on a field deletes every option it omits, and their values
from all tickets.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import requests
from zenpy.lib.api_objects import TicketField as ZenpyField
from zenpy.lib.api_objects import Trigger as ZenpyTrigger
from zenpy.lib.api_objects import Webhook as ZenpyWebhook

from integration import settings
from integration.store import Store
from integration.times import unix_time
from integration.zendesk.setup import Account, Answer, Field, Invocation, Setup, Trigger, Webhook
from integration.zendesk.transport import connect, get, member, translated
from integration.zendesk.webhooks import TRIGGER_BODY

PAGE = 100


class Admin:
    """One client a process. Every method raises ``TemporaryError``, ``PermanentError`` or one of their kinds."""

    def __init__(self, config: settings.Zendesk, client_secret: str, store: Store) -> None:
        """Connects with the first call."""
        self._config = config
        self._zenpy = connect(config, client_secret, store)

    def account(self, now: float) -> Account:
        """Who we are, what we may do and what time it is there; ``now`` is this machine's, in Unix seconds."""
        with translated():
            answer = get(self._zenpy, self._config, "users/me.json")
            user = answer.json()["user"]
            date = answer.headers.get("Date")
            return Account(
                user=str(user["name"]),
                role=str(user["role"]),
                scopes=self._scopes() if self._config.email is None else None,
                skew_s=None if date is None else now - parsedate_to_datetime(date).timestamp(),
            )

    def setup(self) -> Setup:
        """What the account has now."""
        return Setup(fields=self.fields(), webhooks=self.webhooks(), triggers=self.triggers())

    def fields(self) -> dict[int, Field]:
        """All ticket fields by id, the system's own too."""
        with translated():
            return {int(one.id): _field(one) for one in self._zenpy.ticket_fields(cursor_pagination=PAGE)}

    def create_text_field(self, title: str, note: str) -> int:
        """Make a text field that only agents see; returns its id."""
        wanted = ZenpyField(type="text", title=title, agent_description=note)
        with translated():
            return int(self._zenpy.ticket_fields.create(wanted).id)

    def delete_field(self, field_id: int) -> None:
        """Delete a field and its values on all tickets."""
        with translated():
            self._zenpy.ticket_fields.delete(ZenpyField(id=field_id))

    def webhooks(self) -> list[Webhook]:
        """All webhooks.

        Raises:
            Forbidden: our user is no admin.
        """
        with translated():
            return [_webhook(one) for one in self._zenpy.webhooks.list(page_size=PAGE)]

    def create_webhook(self, name: str, endpoint: str, subscription: str, note: str) -> str:
        """Make a webhook with a signing secret of its own; returns its id."""
        wanted = ZenpyWebhook(
            name=name,
            endpoint=endpoint,
            subscriptions=[subscription],
            status="active",
            http_method="POST",
            request_format="json",
            description=note,
        )
        with translated():
            return str(self._zenpy.webhooks.create(wanted).id)

    def change_webhook(self, webhook_id: str, changes: dict[str, Any]) -> None:
        """Set some attributes and leave the others, its credentials among them, as they are."""
        with translated():
            self._zenpy.webhooks.patch(ZenpyWebhook(id=webhook_id, **changes))

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook; Zendesk refuses while a trigger sends to it."""
        with translated():
            self._zenpy.webhooks.delete(ZenpyWebhook(id=webhook_id))

    def signing_secret(self, webhook_id: str) -> str:
        """What the webhook's deliveries are signed with."""
        with translated():
            return str(self._zenpy.webhooks.show_secret(webhook_id).secret)

    def test_webhook(self, webhook_id: str, payload: str) -> Answer:
        """Let Zendesk send a payload to the webhook's endpoint, and say what that answered."""
        with translated():
            answer = self._zenpy.webhooks.test(webhook_id, {"payload": payload})
            return Answer(status=int(member(answer, "status") or 0), body=str(member(answer, "payload") or ""))

    def invocations(self, webhook_id: str) -> list[Invocation]:
        """The last hundred deliveries of a webhook, in Zendesk's order."""
        with translated():
            return [_invocation(one) for one in islice(self._zenpy.webhooks.invocations(webhook_id), PAGE)]

    def triggers(self) -> list[Trigger]:
        """The triggers that send to a webhook."""
        with translated():
            return [one for raw in self._zenpy.triggers(cursor_pagination=PAGE) if (one := _trigger(raw))]

    def create_trigger(self, title: str, webhook_id: str, note: str) -> int:
        """Send every new ticket's id to a webhook; returns the trigger's id."""
        wanted = ZenpyTrigger(title=title, description=note, conditions=_CONDITIONS, actions=_actions(webhook_id))
        with translated():
            return int(self._zenpy.triggers.create(wanted).id)

    def repair_trigger(self, trigger_id: int, webhook_id: str) -> None:
        """Make it active, for new tickets, with our body."""
        wanted = ZenpyTrigger(id=trigger_id, active=True, conditions=_CONDITIONS, actions=_actions(webhook_id))
        with translated():
            self._zenpy.triggers.update(wanted)

    def delete_trigger(self, trigger_id: int) -> None:
        """Delete a trigger."""
        with translated():
            self._zenpy.triggers.delete(ZenpyTrigger(id=trigger_id))

    def _scopes(self) -> frozenset[str] | None:
        try:
            answer = get(self._zenpy, self._config, "oauth/tokens/current.json")
            return frozenset(answer.json()["token"]["scopes"])
        except requests.HTTPError as error:  # not promised for tokens of the client_credentials grant
            if error.response.status_code in (403, 404):
                return None
            raise


_CONDITIONS = {"all": [{"field": "update_type", "operator": "is", "value": "Create"}], "any": []}


def _actions(webhook_id: str) -> list[dict[str, Any]]:
    return [{"field": "notification_webhook", "value": [webhook_id, TRIGGER_BODY]}]


def _field(raw: Any) -> Field:  # noqa: ANN401 - zenpy's objects have no types
    options = member(raw, "custom_field_options") or []
    return Field(
        id=int(raw.id),
        type=str(raw.type),
        title=str(raw.title),
        active=bool(raw.active),
        note=str(member(raw, "agent_description") or ""),
        options={str(member(one, "value")): str(member(one, "name")) for one in options},
    )


def _webhook(raw: Any) -> Webhook:  # noqa: ANN401 - zenpy's objects have no types
    return Webhook(
        id=str(raw.id),
        name=str(raw.name),
        endpoint=str(raw.endpoint),
        subscriptions=tuple(raw.subscriptions or ()),
        status=str(raw.status),
        note=str(raw.description or ""),
        http_method=str(raw.http_method),
        request_format=str(raw.request_format),
    )


def _trigger(raw: Any) -> Trigger | None:  # noqa: ANN401 - zenpy's objects have no types
    conditions = member(raw.conditions, "all") or []
    for action in raw.actions or []:
        value = member(action, "value")
        if member(action, "field") == "notification_webhook" and isinstance(value, list) and len(value) > 1:
            return Trigger(
                id=int(raw.id),
                title=str(raw.title),
                webhook_id=str(value[0]),
                body=str(value[1]),
                on_create=any(
                    (member(one, "field"), member(one, "value")) == ("update_type", "Create") for one in conditions
                ),
                active=bool(raw.active),
                note=str(raw.description or ""),
            )
    return None


def _invocation(raw: Any) -> Invocation:  # noqa: ANN401 - zenpy's objects have no types
    return Invocation(status=str(raw.status), code=int(raw.status_code or 0), at=unix_time(raw.latest_completed_at))
