"""What is sent, and where to: all that a channel's ``send`` is given."""

from __future__ import annotations

from typing import NamedTuple

from integration.records import Alert
from integration.settings import Channel
from worker.notify.errors import SendError
from worker.parts import Parts


class News(NamedTuple):
    """What last happened to an alert, for one channel.

    Attributes:
        first: the channel has not heard of this alert yet, whatever it is that happened last.
        again: it was being told when this process, or the one before it, was cut short: perhaps told before.
        now: Unix seconds.
    """

    alert: Alert
    first: bool
    again: bool
    now: float

    @property
    def id(self) -> str:
        """The same whenever the same is told: receivers recognise a repetition by it."""
        return f"{self.alert.id}-{self.alert.news}"


class Target(NamedTuple):
    """A channel, with what is needed to reach it."""

    channel: Channel
    parts: Parts

    @property
    def optional_secret(self) -> str | None:
        """Its secret, None where none was set."""
        return self.parts.config.channel_secrets.get(self.channel.name)

    @property
    def secret(self) -> str:
        """Its secret.

        Raises:
            SendError: permanent, where none was set.
        """
        if self.optional_secret is None:
            variable = self.channel.variable
            raise SendError(
                f"{variable} is not set: put it (or {variable}_FILE) in the workers' environment", permanent=True
            )
        return self.optional_secret

    @property
    def zone(self) -> str:
        """The account's time zone, in which people read times."""
        return self.parts.config.zendesk.time_zone

    @property
    def account(self) -> str:
        """Whose tickets these are."""
        return self.parts.config.zendesk.subdomain
