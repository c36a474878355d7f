"""What may go wrong on purpose."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The switches; a new set replaces the old one, and the empty set heals everything.

    The same set draws the same lots again, so that a share of updates or of a job's tickets is the same ones each time.

    Attributes:
        down: every API request is answered 503, without JSON, as by a gateway; ``status`` 503 in short.
        status: every API request is answered with it, in the same way.
        revoked: the access tokens given so far are refused from now on, for good; new ones open.
        rate_limited: seconds from now in which every API request is answered 429.
        retry_after: what each 429 carries as ``Retry-After``: seconds, fractions too, or null for no such header;
            left out, whole seconds until the budget is whole again.
        slow: seconds before each API answer.
        collide: share of the integration's updates just before which another user tags the ticket, as Zendesk's
            intelligent triage does: a safe update then answers 409, unless its stamp is of the same second.
        fail_in_jobs: share of a job's tickets whose result is an error; nothing is done to them.
        duplicate: share of deliveries that are sent twice.
        drop: share of deliveries that are never sent.
        breaker: seconds for which a webhook gets no deliveries, and loses them, once too many of its answers were
            errors: 70 % of at least 100, or more than 1,000, in five minutes.
        shuffle: seconds over which deliveries are spread at random, so that later tickets overtake earlier ones.
    """

    down: bool = False
    status: Literal[500, 502, 503] | None = None
    revoked: bool = False
    rate_limited: Seconds = 0.0
    retry_after: Seconds | msgspec.UnsetType | None = msgspec.UNSET
    slow: Seconds = 0.0
    collide: Share = 0.0
    fail_in_jobs: Share = 0.0
    duplicate: Share = 0.0
    drop: Share = 0.0
    breaker: Seconds = 0.0
    shuffle: Seconds = 0.0
