"""What people may hold Presort back with: the kill switch, the day's cap, demoted categories.

State in Redis that a person's command changes and every worker obeys at its next request; the keys are in the table of
``integration.store``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from redis import Redis

from integration.settings import Zendesk
from integration.store import DAY

log = logging.getLogger("presort.controls")

DAY_TTL = 2 * DAY
CHANGES = 200
"""Changes that are remembered."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch as it was last thrown; ``at`` in Unix seconds."""

    paused: bool
    by: str
    at: float
    reason: str = ""


class Demotion(msgspec.Struct, frozen=True, kw_only=True):
    """A category that is suggested at most, until a person restores it; ``at`` in Unix seconds."""

    at: float
    reason: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed what, for people to read; ``at`` in Unix seconds."""

    at: float
    by: str
    what: str


class Admission(NamedTuple):
    """Which tickets may be written now.

    Attributes:
        tickets: their ids.
        refusal: why the others must wait, None when there are none.
        filled_up: whether these tickets were the day's last.
    """

    tickets: frozenset[int]
    refusal: str | None
    filled_up: bool


# A ticket counts once a day, however often it is tried. Answers whether these were the day's last, then their ids.
_ADMIT = """
local cap, before = tonumber(ARGV[1]), redis.call('SCARD', KEYS[1])
local count, answer = before, {0}
for i = 3, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then
    table.insert(answer, ARGV[i])
  elseif count < cap then
    redis.call('SADD', KEYS[1], ARGV[i])
    count = count + 1
    table.insert(answer, ARGV[i])
  end
end
if count > before then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
if count > before and count >= cap then answer[1] = 1 end
return answer
"""

# Unless a person was faster.
_PUT_BACK = "if (redis.call('GET', KEYS[1]) or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end"


class Controls:
    """Every method may raise ``redis.exceptions.RedisError``."""

    def __init__(self, redis: Redis) -> None:
        """``redis`` decodes its answers."""
        self._redis = redis
        self._admit = redis.register_script(_ADMIT)
        self._put_back = redis.register_script(_PUT_BACK)
        self._seen: Switch | None = None

    # The kill switch

    def throw(self, *, paused: bool, by: str, reason: str = "") -> Switch | None:
        """Pause or resume all writes; returns how the switch stood before."""
        before = self.switch()
        # Later than what it replaces, whatever the clock of this machine says: see ``switch``.
        at = time.time() if before is None else max(time.time(), before.at + 0.001)
        self._seen = Switch(paused=paused, by=by, at=at, reason=reason)
        self._redis.set("presort:switch", msgspec.json.encode(self._seen))
        self.note(by, f"{'paused' if paused else 'resumed'} all writes{_because(reason)}")
        return before

    def switch(self) -> Switch | None:
        """How the switch stands; None when it was never thrown.

        A pause that this process saw, and that Redis has lost, is put back: only a person ends a pause. Redis may also
        come back with an older state, of before the pause.
        """
        raw, seen = self._redis.get("presort:switch"), self._seen
        found = None if raw is None else msgspec.json.decode(raw, type=Switch)
        if seen is not None and seen.paused and (found is None or found.at < seen.at):
            log.error("Redis has lost that writes are paused; they stay paused until `presort resume`")
            self._put_back(keys=["presort:switch"], args=[raw or "", msgspec.json.encode(seen)])
            return seen
        self._seen = found
        return found

    def paused(self, limits: Zendesk) -> str | None:
        """By whom all writes are paused, None when they are not."""
        if limits.paused:
            return "paused in presort.toml"
        switch = self.switch()
        return f"paused by {switch.by}" if switch is not None and switch.paused else None

    # The day's cap

    def refusal(self, limits: Zendesk, now: float) -> str | None:
        """Why nothing may be written at present, None when something may. ``now`` in Unix seconds; days are UTC's."""
        if (paused := self.paused(limits)) is not None:
            return paused
        cap = limits.writes_per_day
        return None if cap is None or self.written_on(now) < cap else _full(cap)

    def admit(self, tickets: Sequence[int], limits: Zendesk, now: float) -> Admission:
        """Ask to write these tickets, in the moment before it is done; under a cap they count for the day.

        Args:
            tickets: ids, those that came first in front.
            limits: the cap, and whether ``presort.toml`` pauses.
            now: Unix seconds; days are UTC's.
        """
        if (paused := self.paused(limits)) is not None:
            return Admission(frozenset(), paused, filled_up=False)
        cap = limits.writes_per_day
        if cap is None:
            return Admission(frozenset(tickets), None, filled_up=False)
        filled_up, *admitted = self._admit(keys=[_day_key(now)], args=[cap, DAY_TTL, *tickets])
        refusal = None if len(admitted) == len(tickets) else _full(cap)
        return Admission(frozenset(map(int, admitted)), refusal, filled_up=bool(filled_up))

    def written_on(self, now: float) -> int:
        """Tickets that were admitted on the UTC day of ``now``, while there was a cap."""
        return int(self._redis.scard(_day_key(now)))

    # Demoted categories

    def demote(self, classifier: str, category: str, reason: str) -> bool:
        """Let a category be suggested at most; False when it is demoted already, which changes nothing."""
        demotion = msgspec.json.encode(Demotion(at=time.time(), reason=reason))
        if not self._redis.hsetnx("presort:demoted", f"{classifier}/{category}", demotion.decode()):
            return False
        self.note("Presort", f"demoted {classifier}/{category}{_because(reason)}")
        return True

    def demotions(self) -> dict[tuple[str, str], Demotion]:
        """Demoted categories, by (classifier, category)."""
        rows = self._redis.hgetall("presort:demoted")
        return {_place(str(key)): msgspec.json.decode(raw, type=Demotion) for key, raw in rows.items()}

    def restore(self, classifier: str, category: str, *, by: str) -> bool:
        """Give a category its mode back; False when it is not demoted."""
        if not self._redis.hdel("presort:demoted", f"{classifier}/{category}"):
            return False
        self.note(by, f"restored {classifier}/{category}")
        return True

    # Who did it

    def changes(self, limit: int = CHANGES) -> list[Change]:
        """The newest changes, newest first."""
        rows = self._redis.lrange("presort:changes", 0, limit - 1)
        return [msgspec.json.decode(row, type=Change) for row in rows]

    def note(self, by: str, what: str) -> None:
        """Remember, and log, what somebody did; neither a ticket's text nor a secret is for here."""
        log.info("%s %s", by, what)
        pipe = self._redis.pipeline()
        pipe.lpush("presort:changes", msgspec.json.encode(Change(at=time.time(), by=by, what=what)).decode())
        pipe.ltrim("presort:changes", 0, CHANGES - 1)
        pipe.execute()


def _day_key(now: float) -> str:
    return f"presort:written:{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"


def _full(cap: int) -> str:
    return f"today's cap of {cap:,} tickets (UTC) is reached"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _place(key: str) -> tuple[str, str]:
    classifier, _, category = key.partition("/")
    return classifier, category
