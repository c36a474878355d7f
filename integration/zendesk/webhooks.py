"""The two kinds of Zendesk's webhooks. A webhook has one of them, for life."""

from __future__ import annotations

TICKET_CREATED = "zen:event-type:ticket.created"
"""The event that an event subscription asks for; Zendesk writes the body, with the ticket in it."""

FROM_TRIGGERS = "conditional_ticket_events"
"""What a webhook subscribes to that triggers send to; the trigger's author writes the body."""

TRIGGER_BODY = '{"ticket_id": "{{ticket.id}}", "updated_at": "{{ticket.updated_at_with_timestamp}}"}'
"""Ids and times only: whether Zendesk escapes a text inside a placeholder is not documented."""

TEST_EVENT = "presort.test"
"""The type of a test delivery: no event of Zendesk's, so the receiver checks it like any other and ignores it."""
