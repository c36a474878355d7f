"""The contract of the tickets' queue: put there in one step with what is noted of them, taken many in one step.

Its entries are Celery's messages and lie where its Redis transport would put them, so ``publisher.publish`` reaches it
too, and releases before and after this one share it. But Celery asks Redis several times for each message, and takes
it in two steps between which it may be lost. Functions take the Redis connection.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from redis import Redis
from redis.client import NEVER_DECODE

from integration.messages import TICKETS_QUEUE, UPKEEP_QUEUE, WRITES_QUEUE, Message, NewTicket
from integration.store import DELIVERY_TTL, FUNNEL_TTL, funnel_key

UNACKED, UNACKED_INDEX = "presort:unacked", "presort:unacked_index"
"""Where Celery's transport keeps what workers hold, and since when; it gives back what it finds there for too long."""

_PUT = f"""
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', {DELIVERY_TTL}) then
  redis.call('LPUSH', '{TICKETS_QUEUE}', ARGV[1])
  for i = 3, #ARGV do redis.call('ZADD', 'presort:unanswered', 'NX', ARGV[2], ARGV[i]) end
  redis.call('HINCRBY', KEYS[2], 'received', 1)
  redis.call('EXPIRE', KEYS[2], {FUNNEL_TTL})
  return 1
end
return 0
"""

# Decided tickets go out before more are decided, and an alert's look does not wait for a backlog. An entry that the
# transport could not give back is not noted as held: it would stumble over it for ever.
_TAKE = f"""
if redis.call('LLEN', '{WRITES_QUEUE}') + redis.call('LLEN', '{UPKEEP_QUEUE}') > 0 then return false end
local taken = redis.call('RPOP', '{TICKETS_QUEUE}', ARGV[1]) or {{}}
for i, entry in ipairs(taken) do
  local good, read = pcall(cjson.decode, entry)
  if good and type(read) == 'table' and type(read.headers) == 'table' and type(read.properties) == 'table' then
    redis.call('HSET', '{UNACKED}', ARGV[2] .. i, '[' .. entry .. ',"","{TICKETS_QUEUE}"]')
    redis.call('ZADD', '{UNACKED_INDEX}', ARGV[3], ARGV[2] .. i)
  end
end
return taken
"""

_GIVE_BACK = f"""
for i = 1, #ARGV, 2 do
  if redis.call('HDEL', '{UNACKED}', ARGV[i]) == 1 then redis.call('RPUSH', '{TICKETS_QUEUE}', ARGV[i + 1]) end
  redis.call('ZREM', '{UNACKED_INDEX}', ARGV[i])
end
"""


class Held(NamedTuple):
    """An entry that was taken, and the tag under which it is noted as held."""

    tag: str
    entry: bytes


class Envelope(msgspec.Struct):
    """An entry, as far as it is read: the task, and in ``body`` base64 of JSON ``[[payload], {}, {}]``."""

    class Headers(msgspec.Struct):
        """Of a message."""

        task: str

    headers: Headers
    body: str

    def arguments(self) -> Any:  # noqa: ANN401 - whatever is in the message
        """What the task is called with; raises ValueError where there is no such thing."""
        match msgspec.json.decode(base64.b64decode(self.body, validate=True)):
            case [list(arguments), *_]:
                return arguments
        raise ValueError("no arguments")


def put(redis: Redis, task: str, ticket: NewTicket, delivery_id: str, classifiers: Sequence[str]) -> bool:
    """Queue a ticket, mark its delivery as seen, count it, and note that it waits for outcomes: all of it or nothing.

    Returns:
        False, and nothing done, for a delivery that is marked already.

    Raises:
        RedisError: nothing was done, or nobody knows.
    """
    keys = [f"presort:delivery:{delivery_id}", funnel_key()]
    awaited = [f"{ticket.ticket_id}:{name}" for name in classifiers]
    return bool(redis.eval(_PUT, len(keys), *keys, entry(task, ticket), ticket.received_at, *awaited))


def take(redis: Redis, limit: int) -> list[Held] | None:
    """The oldest entries, held from now on until they are settled or given back; None while other queues hold work."""
    held_by = f"{uuid.uuid4()}:"
    options = {NEVER_DECODE: True}  # an entry may be anything
    found: Any = redis.execute_command("EVAL", _TAKE, 0, limit, held_by, time.time(), **options)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    return None if found is None else [Held(f"{held_by}{place}", one) for place, one in enumerate(found, start=1)]


def settle(redis: Redis, held: Sequence[Held]) -> None:
    """They were worked through."""
    if held:
        pipe = redis.pipeline(transaction=False)
        pipe.hdel(UNACKED, *(one.tag for one in held))
        pipe.zrem(UNACKED_INDEX, *(one.tag for one in held))
        pipe.execute()


def give_back(redis: Redis, held: Sequence[Held]) -> None:
    """Back into the queue, to be taken next."""
    redis.eval(_GIVE_BACK, 0, *(part for one in reversed(held) for part in one))


def entry(task: str, payload: Message) -> bytes:
    """A message as Celery 5 writes it into its queue's list (protocol 2, kombu's virtual transport)."""
    name = str(uuid.uuid4())
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    headers = {
        "lang": "py", "task": task, "id": name, "root_id": name, "parent_id": None, "group": None,
        "retries": 0, "eta": None, "expires": None, "timelimit": [None, None], "ignore_result": True,
        "argsrepr": "(...)", "kwargsrepr": "{}",  # no copy for logs: ticket text has no place there
    }  # fmt: skip
    properties = {
        "correlation_id": name, "delivery_tag": name, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": TICKETS_QUEUE},
    }  # fmt: skip
    return msgspec.json.encode(
        {
            "body": base64.b64encode(msgspec.json.encode([[payload], {}, embedded])).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )
