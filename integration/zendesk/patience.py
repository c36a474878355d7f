"""Waits for whatever is temporary: for commands, whose answer nobody waits for but the person who typed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from integration.zendesk.errors import NoAccess, RateLimited, TemporaryError, UnreadableError

TRIES = 8
"""Failures in a row, over about a quarter of an hour, after which a person must look. Limits do not count."""

Found = TypeVar("Found")


class Patience(NamedTuple):
    """How to wait.

    Attributes:
        say: tells the person why.
        sleep: waits so many seconds.
    """

    say: Callable[[str], None]
    sleep: Callable[[float], None]

    def ask(self, call: Callable[[], Found]) -> Found:
        """Call until it succeeds.

        Raises:
            ZendeskError: it is permanent, there is no access, or it failed too often in a row.
        """
        failures = 0
        while True:
            try:
                return call()
            except NoAccess:  # waits for a person, who is here
                raise
            except RateLimited as error:
                delay = error.retry_after or 60.0
                self.say(f"Zendesk asks to wait {delay:.0f} s")
            except (TemporaryError, UnreadableError) as error:
                failures += 1
                if failures == TRIES:
                    raise
                delay = getattr(error, "retry_after", None) or min(5.0 * 2 ** (failures - 1), 300.0)
                self.say(f"{error}; trying again in {delay:.0f} s")
            self.sleep(delay)
