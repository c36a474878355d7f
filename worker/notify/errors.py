"""How sending can fail."""

from __future__ import annotations


class SendError(Exception):
    """A channel did not take a message; the text says why, and how to mend what a person can mend.

    Attributes:
        permanent: whether sending it again cannot help.
        retry_after: seconds that the channel asked us to wait, None when it did not say.
        perhaps_heard: whether it may have taken the message all the same: the answer is what is missing.
    """

    def __init__(
        self, message: str, *, permanent: bool, retry_after: float | None = None, perhaps_heard: bool = False
    ) -> None:
        super().__init__(message)
        self.permanent, self.retry_after, self.perhaps_heard = permanent, retry_after, perhaps_heard
