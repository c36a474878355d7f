"""The contract of the console's door: what sessions are signed with, and how often a password may be tried.

Functions take the Redis connection; the keys are in the table of ``integration.store``.
"""

from __future__ import annotations

import secrets
from ipaddress import ip_address, ip_network
from typing import Any

from redis import Redis

EVERYWHERE = "everywhere"

FREE, FREE_EVERYWHERE = 5, 50
"""Tries of an hour without a wait: from one address, and from all of them."""

LONGEST_S, LONGEST_EVERYWHERE_S = 900, 30
"""Waits double with each further try up to this. All together they never wait for long, for they may include you."""

# Each try is counted before its password is looked at, so that many at once are no way around.
_TRY = """
for i = 1, #KEYS, 2 do
  local left = redis.call('PTTL', KEYS[i + 1])
  if left > 0 then return left end
end
for i = 1, #KEYS, 2 do
  local tries = redis.call('INCR', KEYS[i])
  redis.call('EXPIRE', KEYS[i], 3600)
  local over, longest = tries - tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if over >= 0 then redis.call('SET', KEYS[i + 1], 1, 'PX', 1000 * math.min(longest, 2 ^ math.min(over, 20))) end
end
return 0
"""


def key(redis: Redis) -> str:
    """What sessions are signed with where nobody set it: made once, and again after Redis was lost."""
    redis.set("presort:console_key", secrets.token_urlsafe(32), nx=True)
    return str(redis.get("presort:console_key"))


def attempt(redis: Redis, address: str) -> float:
    """Ask to try a password: 0 when it may be looked at, else the seconds after which to ask again."""
    keys = [*_keys(_place(address)), *_keys(EVERYWHERE)]
    limits = (FREE, LONGEST_S, FREE_EVERYWHERE, LONGEST_EVERYWHERE_S)
    left: Any = redis.eval(_TRY, len(keys), *keys, *map(str, limits))
    return int(left) / 1000


def opened(redis: Redis, address: str) -> None:
    """The password was right: what was tried from there before is forgotten."""
    redis.delete(*_keys(_place(address)))


def _place(address: str) -> str:
    """An address; of IPv6 the network, for whoever has one address there has all of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    return str(found) if found.version == 4 else str(ip_network(f"{found}/64", strict=False))


def _keys(place: str) -> tuple[str, str]:
    return f"presort:sign_ins:{place}", f"presort:sign_in_wait:{place}"
