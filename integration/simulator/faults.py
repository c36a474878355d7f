"""What may go wrong on purpose."""

from __future__ import annotations

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The switches; a new set replaces the old one, and the empty set heals everything.

    Attributes:
        down: every API request is answered 503, without JSON, as by a gateway.
        rate_limited: seconds from now in which every API request is answered 429.
        slow: seconds before each API answer.
        duplicate: share of deliveries that are sent twice.
        drop: share of deliveries that are never sent.
        shuffle: seconds over which deliveries are spread at random, so that later tickets overtake earlier ones.
    """

    down: bool = False
    rate_limited: Seconds = 0.0
    slow: Seconds = 0.0
    duplicate: Share = 0.0
    drop: Share = 0.0
    shuffle: Seconds = 0.0
