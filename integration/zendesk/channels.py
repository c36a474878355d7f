"""Which tickets begin with words that are not the customer's."""

from __future__ import annotations

STUB_CHANNELS = frozenset({"native_messaging", "chat", "sunshine_conversations_api"})
"""``via.channel`` of tickets whose description is a line of Zendesk's ("Conversation with ..."), not the customer's."""
