"""How a call to Zendesk can fail: for now, or for good."""

from __future__ import annotations


class ZendeskError(Exception):
    """Any failure of a call; the message never holds ticket text."""


class TemporaryError(ZendeskError):
    """Worth trying again: an outage, a timeout, a limit.

    Attributes:
        retry_after: seconds Zendesk asked us to wait, None when it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoAccess(TemporaryError):  # noqa: N818 - the state, as HTTP 401 names it
    """The account does not let us in (no token, or 401): no ticket's fault, all wait until a person has mended that."""


class RateLimited(TemporaryError):  # noqa: N818 - the state, as HTTP 429 names it
    """HTTP 429: a limit of the account, the endpoint or the number of jobs."""


class UnreadableError(ZendeskError):
    """A good status with an answer that is not what the API promises: a maintenance page, another proxy's greeting."""


class PermanentError(ZendeskError):
    """The same call will fail again: a refused value, missing rights, a ticket that is gone."""


class Forbidden(PermanentError):  # noqa: N818 - the state, as HTTP 403 names it
    """HTTP 403: our user, or the token's scope, may not do that."""


class Refused(PermanentError):  # noqa: N818 - the state, like the others
    """HTTP 400 or 422: what was asked makes no sense to Zendesk, such as a cursor it does not know any more."""


class NotFound(PermanentError):  # noqa: N818 - the state, as HTTP 404 names it
    """HTTP 404: the ticket, field or job does not exist, or was deleted."""


class Conflict(ZendeskError):  # noqa: N818 - the state, as HTTP 409 names it
    """HTTP 409 on a safe update: the ticket changed since it was read. Read again, decide again."""
