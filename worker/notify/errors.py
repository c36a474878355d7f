"""How sending can fail."""

from __future__ import annotations


class SendError(Exception):
    """A channel did not take a message.

    Attributes:
        permanent: whether sending it again cannot help.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
