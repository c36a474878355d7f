"""The Redis contract: every key, its life, and typed reads and writes of it.

All of it can be lost: Zendesk is the ledger, and what is here is rebuilt from it. Keys begin with ``presort:``.

=====================================  ========  =====================================================================
key                                    life      value
=====================================  ========  =====================================================================
``delivery:<id>``                      1 day     mark: this webhook delivery was published
``unanswered``                         -         sorted set of "ticket id:classifier" by the Unix time the webhook came
``ticket:<id>:<classifier>``           2 days    JSON ``Record``: the decision and what became of it; 40 days while it
                                                 waits for that
``decisions``                          40 days   stream of every ``Record`` that ended, the newest 100,000
``count:<classifier>:<tick>``          8 days    hash category -> tickets created in that tick; one with several sure
                                                 labels counts under each. The empty tag holds what they have beyond
                                                 one each, negative, so that all values add up to tickets
``counting_since:<classifier>``        -         the first tick that was counted
``writing:<id>:<classifier>``          90 s      mark: a worker is writing this decision
``samples:<classifier>:<category>``    2 days    list of the newest ticket ids
``funnel:<UTC date>``                  40 days   hash step -> count of new tickets
``export_cursor``                      -         where ``worker.reconcile`` goes on in Zendesk's export (``outcomes``)
``export_read``                        -         when it was last read to its end, Unix seconds
``unjudged``                           -         set of the ids of solved tickets that wait for a look back
``judged:<id // 8192>``                90 days   a bit a ticket: it was counted in hindsight
``outcomes:<classifier>:<month>``      400 days  hash "model<tab>category<tab>step" -> tickets, see ``outcomes.Counts``
``wrong:<classifier>:<category>``      40 days   list of the newest ticket ids for which the answer did not stand
``notices``                            -         hash id -> JSON ``notices.Notice`` that some channel has not heard
``evidence_spent:<classifier>``        400 days  hash "model<tab>category<tab>month" -> "sure right" that must not speak
                                                 for another demotion
``backfill_funnel:<UTC date>``         40 days   the same of a backfill's tickets, which are in no count and no sample
``backfill``                           -         hash of the backfill: what was asked, its state, counts (``backfills``)
``backfill_left``                      -         list of the ticket ids that it has still to do, in order
``later:<task>``                       -         sorted set of JSON ``Deferred`` by the Unix time they are due
``parked``                             -         hash id -> JSON ``Parked``
``switch``                             -         JSON ``Switch``: whether writes are paused (``controls``)
``written:<UTC date>``                 2 days    set of the ids of tickets written to, while there is a cap
``demoted``                            -         hash "classifier/category" -> JSON ``Demotion``
``changes``                            -         list of the last 200 JSON ``Change``, newest first: who paused, ...
``alerts``                             -         hash "classifier/category" -> JSON of the open alert
``alert_log``                          -         list of the last 500 resolved alerts, newest first
``model:<classifier>``                 -         JSON ``Model``: what the workers serve
``gone:<classifier>``                  40 days   hash label -> decisions that were not written because its option is
                                                 gone (see ``taxonomy``)
``refused:<classifier>``               40 days   hash version -> how often a worker refused to serve it
``shadow:<classifier>:<two models>``   40 days   hash "answer<tab>answer" -> tickets of which the active and the staged
                                                 model said so; models are "<active>:<staged>", each ``name@version``
``worker:<host:pid>``                  30 s      heartbeat
``token:<client id>``                  by token  OAuth access token shared by all processes
``updates_next``                       short     GCRA: earliest time of the next ticket update, Unix seconds
``updates_held``                       short     mark: Zendesk told us to wait
``merging``                            short     mark: writes come in crowds, each waits to be merged with others
``lock:<name>``                        short     one process at a time does this
``unacked``, ``unacked_index``         -         kombu's: messages that a worker holds (see ``publisher``)
=====================================  ========  =====================================================================
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from integration.messages import QUEUES, TICKETS_QUEUE, UPKEEP_QUEUE, WRITES_QUEUE, Decision
from integration.records import Alert, Deferred, Model, Outcome, Parked, Record, Shadow, Tick

HOUR = 3600
DAY = 24 * HOUR
DELIVERY_TTL = DAY
TICKET_TTL = 2 * DAY
DECISIONS = 100_000
COUNT_TTL = 8 * DAY
FUNNEL_TTL = 40 * DAY
WAITING_TTL = FUNNEL_TTL  # of a record without an outcome: a pause may last
DECISIONS_TTL = 40 * DAY
MODEL_TTL = 40 * DAY
WORKER_TTL = 30
CLAIM_TTL = 90  # longer than a write and its job take, shorter than a killed worker's messages stay away
BURST = 10
"""Ticket updates that a quiet account may save up."""
SAMPLES = 20
ALERT_LOG = 500

T = TypeVar("T")

# A record is written once; the counts move only with it. So a ticket that is delivered, or worked on, twice counts
# once, and a crash between the two cannot part them.
_RECORD = """
local before = redis.call('GET', KEYS[1])
if before then return before end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])  -- its outcome may wait for as long as the funnel is kept
for step in string.gmatch(ARGV[8], '%a+') do redis.call('HINCRBY', KEYS[2], step, 1) end
redis.call('EXPIRE', KEYS[2], ARGV[3])
if not KEYS[3] then return false end  -- an old ticket, which is no news
redis.call('SET', KEYS[3], ARGV[4], 'NX')
local given = 8  -- what follows are the categories, and after KEYS[4] their samples
for i = given + 1, #ARGV do
  local samples = KEYS[4 + i - given]
  redis.call('HINCRBY', KEYS[4], ARGV[i], 1)
  redis.call('LPUSH', samples, ARGV[6])
  redis.call('LTRIM', samples, 0, ARGV[7])
  redis.call('EXPIRE', samples, ARGV[2])
end
local further = #ARGV - given - 1
if further > 0 then redis.call('HINCRBY', KEYS[4], '', -further) end
if further >= 0 then redis.call('EXPIRE', KEYS[4], ARGV[5]) end
return false
"""

# Only the first outcome counts, and is told in the stream of decisions.
_FINISH = """
local before = redis.call('GET', KEYS[1])
local outcome = before and cjson.decode(before).outcome
if outcome and outcome ~= cjson.null then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'record', ARGV[1])
redis.call('XTRIM', KEYS[3], 'MINID', '~', ARGV[6])
return 1
"""

# GCRA (generic cell rate algorithm, ITU-T I.371): the key holds the time at which the next slot is free. A refused
# caller is told when to come back and takes nothing.
_TAKE = """
local held = redis.call('PTTL', KEYS[2])
if held > 0 then return tostring(held / 1000) end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = free - now - interval * (burst - 1)
if wait > 0 then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', free + interval), 'EX', math.ceil(interval * burst + 60))
return '0'
"""


class Store:
    """Presort's state in Redis. Every method may raise ``redis.exceptions.RedisError``."""

    def __init__(self, url: str, *, timeout_s: float = 5, retries: int = 3) -> None:
        """Connect lazily.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``.
            timeout_s: for each answer; a server that hangs takes ``timeout_s * (retries + 1)``.
            retries: further tries of a command whose connection broke, within about a second.
        """
        self.redis: Redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=min(2, timeout_s),
            health_check_interval=25,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries),
            retry_on_error=[RedisConnectionError, RedisTimeoutError] if retries else [],
        )
        self._record = self.redis.register_script(_RECORD)
        self._finish = self.redis.register_script(_FINISH)
        self._take = self.redis.register_script(_TAKE)

    # Deliveries and the funnel

    def delivered(self, delivery_id: str) -> bool:
        """Whether this webhook delivery was already published."""
        return bool(self.redis.exists(f"presort:delivery:{delivery_id}"))

    def mark_delivered(self, delivery_id: str, ticket_id: int, received_at: float, classifiers: Sequence[str]) -> None:
        """Remember a published delivery, count it as received, and its ticket as one that waits for an outcome."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(f"presort:delivery:{delivery_id}", 1, ex=DELIVERY_TTL)
        pipe.zadd("presort:unanswered", {f"{ticket_id}:{name}": received_at for name in classifiers})
        pipe.hincrby(funnel_key(), "received", 1)
        pipe.expire(funnel_key(), FUNNEL_TTL)
        pipe.execute()

    def unanswered(self, until: float, limit: int) -> list[tuple[int, str, float]]:
        """(ticket id, classifier, Unix time of the webhook) of what came before ``until`` and has no outcome."""
        rows = self.redis.zrangebyscore("presort:unanswered", "-inf", until, start=0, num=limit, withscores=True)
        parts = [(*str(member).partition(":"), at) for member, at in cast("list[tuple[str, float]]", rows)]
        return [(int(ticket_id), name, float(at)) for ticket_id, _, name, at in parts]

    def answered(self, tickets: Sequence[tuple[int, str]]) -> None:
        """Nothing more will come of these (ticket id, classifier) by itself."""
        if tickets:
            self.redis.zrem("presort:unanswered", *(f"{ticket_id}:{name}" for ticket_id, name in tickets))

    def undecided(self, tickets: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those (ticket id, classifier) that have no record, and for which no webhook is being worked on."""
        pipe = self.redis.pipeline(transaction=False)
        for ticket_id, name in tickets:
            pipe.exists(f"presort:ticket:{ticket_id}:{name}")
            pipe.zscore("presort:unanswered", f"{ticket_id}:{name}")
        found = pipe.execute()
        return [
            one
            for one, record, awaited in zip(tickets, found[::2], found[1::2], strict=True)
            if not record and awaited is None
        ]

    def asked_again(self, tickets: Sequence[tuple[int, str]], now: float) -> None:
        """These (ticket id, classifier) were looked after; they are not missed again before their time."""
        if tickets:
            self.redis.zadd("presort:unanswered", {f"{ticket_id}:{name}": now for ticket_id, name in tickets}, xx=True)

    def funnel(self, day: datetime | None = None, *, backfill: bool = False) -> dict[str, int]:
        """Counts by step for a UTC day, today by default; of new tickets, or of a backfill's."""
        return _counts(self.redis.hgetall(funnel_key(day, backfill=backfill)))

    # Decisions

    def record(self, decisions: Sequence[Decision], *, tick_s: float) -> list[Record | None]:
        """Record decisions and count the sure ones, once per ticket and classifier, under each of their categories.

        Returns:
            In the order given: None when the decision is new, else the record that was there before it.
        """
        pipe = self.redis.pipeline(transaction=False)
        for one in decisions:
            tick = int(one.created_at // tick_s)
            keys = [_ticket_key(one), funnel_key(backfill=one.backfill)]
            if not one.backfill:
                keys += [f"presort:counting_since:{one.classifier}", _count_key(one.classifier, tick)]
                keys += [_samples_key(one.classifier, category) for category in one.sure]
            record = msgspec.json.encode(Record(decision=one))
            args: list[bytes | str | int] = [
                record,
                TICKET_TTL,
                WAITING_TTL,
                tick,
                COUNT_TTL,
                one.ticket_id,
                SAMPLES - 1,
                _reached(one),
                *one.sure,
            ]
            self._record(keys=keys, args=args, client=pipe)
        return [None if before is None else msgspec.json.decode(before, type=Record) for before in pipe.execute()]

    def finish(self, results: Sequence[tuple[Decision, Outcome, str]]) -> None:
        """Record what became of decisions, with the reason. The first result stays."""
        pipe = self.redis.pipeline(transaction=False)
        for decision, outcome, reason in results:
            record = Record(decision=decision, outcome=outcome, reason=reason, finished_at=time.time())
            keys = [_ticket_key(decision), funnel_key(backfill=decision.backfill), "presort:decisions"]
            oldest = int((time.time() - DECISIONS_TTL) * 1000)
            document = msgspec.json.encode(record)
            args: list[bytes | str | int] = [document, TICKET_TTL, outcome, FUNNEL_TTL, DECISIONS, oldest]
            self._finish(keys=keys, args=args, client=pipe)
            pipe.delete(_writing_key(decision))
            pipe.zrem("presort:unanswered", f"{decision.ticket_id}:{decision.classifier}")
        pipe.execute()

    def reopen(self, decisions: Sequence[Decision]) -> None:
        """Forget that these were parked: a person sends them again, and they wait for an outcome as new ones do."""
        for one in decisions:
            record = self.ticket(one.ticket_id, one.classifier)
            if record is None or record.outcome == "parked":
                self.redis.set(_ticket_key(one), msgspec.json.encode(Record(decision=one)), ex=WAITING_TTL)
                self.redis.zadd("presort:unanswered", {f"{one.ticket_id}:{one.classifier}": time.time()})

    def unfinished(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Those without an outcome: the others were written, left alone or parked already."""
        if not decisions:
            return []
        found = [_decode(raw, Record) for raw in self.redis.mget([_ticket_key(one) for one in decisions])]
        return [one for one, record in zip(decisions, found, strict=True) if record is None or record.outcome is None]

    def claim(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Those that no other worker is writing now; they are this one's until they are finished or released."""
        pipe = self.redis.pipeline(transaction=False)
        for one in decisions:
            pipe.set(_writing_key(one), 1, nx=True, ex=CLAIM_TTL)
        return [one for one, ours in zip(decisions, pipe.execute(), strict=True) if ours]

    def release(self, decisions: Sequence[Decision]) -> None:
        """Give claims back."""
        if decisions:
            self.redis.delete(*(_writing_key(one) for one in decisions))

    def ticket(self, ticket_id: int, classifier: str) -> Record | None:
        """The record of a ticket, None when there is none or it is older than its life."""
        return _decode(self.redis.get(f"presort:ticket:{ticket_id}:{classifier}"), Record)

    # Messages that wait

    def defer(self, task: str, payloads: Sequence[dict[str, Any]], *, delay_s: float, reason: str) -> None:
        """Put messages aside for a while, in their order: no worker sleeps, and they survive the worker."""
        if payloads:
            due = time.time() + delay_s
            waiting = [msgspec.json.encode(Deferred(payload=payload, reason=reason)).decode() for payload in payloads]
            # Of equal times Redis makes the alphabet's order; a double keeps microseconds apart.
            self.redis.zadd(_later_key(task), {one: due + place * 1e-6 for place, one in enumerate(waiting)})

    def waiting(self, task: str, *, overdue_s: float = float("-inf")) -> int:
        """Messages of a task that are put aside, due or not; or those that have been due for so long."""
        return int(self.redis.zcount(_later_key(task), "-inf", time.time() - overdue_s))

    def due(self, task: str, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """Payloads whose time has come, oldest first, each with the handle that ``drop_deferred`` takes."""
        handles = self.redis.zrangebyscore(_later_key(task), "-inf", time.time(), start=0, num=limit)
        return [(str(handle), msgspec.json.decode(str(handle), type=Deferred).payload) for handle in handles]

    def drop_deferred(self, task: str, handles: Sequence[str]) -> None:
        """Forget deferred messages, after they were published again."""
        self.redis.zrem(_later_key(task), *handles)

    def park(self, task: str, payload: Any, reason: str) -> None:  # noqa: ANN401 - a payload may be anything at all
        """Keep a message that no retry will mend, with its reason, until a person decides; the same one once."""
        # The standard library's encoder, for it takes whatever was in the message, half a surrogate pair too.
        name = hashlib.sha256(json.dumps([task, payload], default=repr).encode()).hexdigest()[:12]
        parked = Parked(id=name, task=task, payload=payload, reason=reason, parked_at=time.time())
        document = json.dumps(msgspec.structs.asdict(parked), default=repr)
        pipe = self.redis.pipeline()
        pipe.hset("presort:parked", parked.id, document)
        pipe.hincrby(funnel_key(), "parked_messages", 1)
        pipe.execute()

    def drop_parked(self, row: Parked) -> None:
        """Forget a parked message, unless it was sent again and parked anew meanwhile."""

        def drop(pipe: Pipeline) -> None:
            raw = pipe.hget("presort:parked", row.id)
            pipe.multi()
            if raw is not None and json.loads(raw)["parked_at"] == row.parked_at:
                pipe.hdel("presort:parked", row.id)

        self.redis.transaction(drop, "presort:parked")

    def parked(self) -> list[Parked]:
        """Everything parked, oldest first."""
        rows = [msgspec.convert(json.loads(raw), Parked) for raw in self.redis.hvals("presort:parked")]
        return sorted(rows, key=lambda row: row.parked_at)

    def depths(self) -> dict[str, int]:
        """Messages waiting, by place: the queues, those on a worker, deferred, parked."""
        pipe = self.redis.pipeline(transaction=False)
        for queue in (TICKETS_QUEUE, WRITES_QUEUE, UPKEEP_QUEUE):
            pipe.llen(queue)
        pipe.hlen("presort:unacked")
        pipe.hlen("presort:parked")
        for task in QUEUES:
            pipe.zcard(_later_key(task))
        places = ("tickets", "writes", "upkeep", "unacknowledged", "parked")
        counts = pipe.execute()
        return dict(zip(places, counts, strict=False)) | {"deferred": sum(counts[len(places) :])}

    # Counts and alerts

    def counts(self, classifier: str, first_tick: int, last_tick: int) -> list[Tick]:
        """What was counted in each tick from ``first_tick`` up to and without ``last_tick``."""
        pipe = self.redis.pipeline(transaction=False)
        for tick in range(first_tick, last_tick):
            pipe.hgetall(_count_key(classifier, tick))
        rows = [_counts(row) for row in pipe.execute()]
        return [
            Tick(sum(row.values()), {category: count for category, count in row.items() if category}) for row in rows
        ]

    def counting_since(self, classifier: str) -> int | None:
        """The first tick that was ever counted, None before that."""
        first = self.redis.get(f"presort:counting_since:{classifier}")
        return None if first is None else int(first)

    def samples(self, classifier: str, category: str, limit: int) -> list[int]:
        """The newest ticket ids of a category, newest first."""
        return [int(one) for one in self.redis.lrange(_samples_key(classifier, category), 0, limit - 1)]

    def alerts(self) -> dict[str, Alert]:
        """Open alerts, and resolved ones whose end was not told yet, by "classifier/category"."""
        rows = self.redis.hgetall("presort:alerts")
        return {str(key): msgspec.json.decode(raw, type=Alert) for key, raw in rows.items()}

    def open_alert(self, alert: Alert) -> bool:
        """Open an alert unless its category has one; True for the one caller that opened it."""
        return bool(self.redis.hsetnx("presort:alerts", _alert_key(alert), msgspec.json.encode(alert).decode()))

    def save_alert(self, alert: Alert) -> None:
        """Change an open alert."""
        self.redis.hset("presort:alerts", _alert_key(alert), msgspec.json.encode(alert).decode())

    def close_alert(self, alert: Alert) -> None:
        """Move an alert to the log, without its samples' subjects: no ticket text is kept for later."""
        samples = tuple(msgspec.structs.replace(one, subject=None) for one in alert.samples)
        alert = msgspec.structs.replace(alert, samples=samples)
        pipe = self.redis.pipeline()
        pipe.hdel("presort:alerts", _alert_key(alert))
        pipe.lpush("presort:alert_log", msgspec.json.encode(alert).decode())
        pipe.ltrim("presort:alert_log", 0, ALERT_LOG - 1)
        pipe.execute()

    def alert_log(self, limit: int = 50) -> list[Alert]:
        """Resolved alerts, newest first."""
        rows = self.redis.lrange("presort:alert_log", 0, limit - 1)
        return [msgspec.json.decode(row, type=Alert) for row in rows]

    # What processes tell each other

    @contextmanager
    def lock(self, name: str, life_s: float) -> Iterator[Callable[[], object] | None]:
        """A lock that one process holds.

        Yields:
            None when another process holds it. Else a function that prolongs it to ``life_s`` from now, to be called
            before each slow step; a killed holder's lock ends by itself.
        """
        lock = self.redis.lock(f"presort:lock:{name}", timeout=life_s, blocking=False)
        held = lock.acquire()
        try:
            yield lock.reacquire if held else None
        finally:
            if held:
                with suppress(LockError):  # it ran out meanwhile: someone else does it
                    lock.release()

    def publish_model(self, classifier: str, model: Model) -> None:
        """Say what is served."""
        self.redis.set(f"presort:model:{classifier}", msgspec.json.encode(model))

    def model(self, classifier: str) -> Model | None:
        """What the workers serve, None when none has loaded a bundle yet."""
        return _decode(self.redis.get(f"presort:model:{classifier}"), Model)

    def count_refusal(self, classifier: str, version: str) -> None:
        """A worker found that a version of a model must not serve."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.hincrby(f"presort:refused:{classifier}", version, 1)
        pipe.expire(f"presort:refused:{classifier}", MODEL_TTL)
        pipe.execute()

    def refusals(self, classifier: str) -> dict[str, int]:
        """How often workers refused a version."""
        return _counts(self.redis.hgetall(f"presort:refused:{classifier}"))

    def count_shadow(self, answers: Sequence[tuple[Decision, Decision]]) -> None:
        """Count what the active and the staged model said of the same tickets, in that order."""
        pipe = self.redis.pipeline(transaction=False)
        for active, staged in answers:
            key = f"presort:shadow:{active.classifier}:{active.model}:{staged.model}"
            said = [", ".join(sorted(one.answers)) for one in (active, staged)]
            pipe.hincrby(key, "\t".join(said), 1)
            pipe.expire(key, MODEL_TTL)
        pipe.execute()

    def shadows(self, classifier: str) -> list[Shadow]:
        """Every pair of models that were asked about the same tickets in the last 40 days."""
        found = []
        for key in sorted(self.redis.scan_iter(f"presort:shadow:{classifier}:*")):
            active, staged = key.split(":")[-2:]
            counts = _counts(self.redis.hgetall(key))
            pairs = {(one, other): count for said, count in counts.items() for one, other in [said.split("\t")]}
            found.append(Shadow(active=active, staged=staged, pairs=pairs))
        return found

    def beat(self, worker: str) -> None:
        """A worker is alive."""
        self.redis.set(f"presort:worker:{worker}", int(time.time()), ex=WORKER_TTL)

    def workers(self) -> list[str]:
        """Workers heard of in the last 30 s, as ``host:pid``."""
        return sorted(key.removeprefix("presort:worker:") for key in self.redis.scan_iter("presort:worker:*"))

    def token(self, client_id: str) -> str | None:
        """The shared OAuth token."""
        return cast("str | None", self.redis.get(f"presort:token:{client_id}"))

    def save_token(self, client_id: str, token: str, life_s: float) -> None:
        """Share an OAuth token for as long as it is safe to use."""
        self.redis.set(f"presort:token:{client_id}", token, px=max(1, int(life_s * 1000)))

    def drop_token(self, client_id: str) -> None:
        """Forget an OAuth token that Zendesk refused."""
        self.redis.delete(f"presort:token:{client_id}")

    def take_update(self, per_minute: float, burst: int = BURST) -> float:
        """Take one ticket update of the account's budget; whoever names a smaller ``burst`` leaves the rest to others.

        Returns:
            0 when taken, else the seconds after which to ask again; nothing was taken then.
        """
        return float(self._take(keys=["presort:updates_next", "presort:updates_held"], args=[60 / per_minute, burst]))

    def merging(self) -> bool:
        """Whether single writes wait for others, see ``merge``."""
        return bool(self.redis.exists("presort:merging"))

    def merge(self, seconds: float) -> None:
        """Let single writes wait for others for so long."""
        self.redis.set("presort:merging", 1, px=int(seconds * 1000))

    def updates_held(self) -> float:
        """Seconds for which no process may update a ticket, 0 when it may."""
        return max(0, int(self.redis.pttl("presort:updates_held"))) / 1000

    def hold_updates(self, seconds: float) -> None:
        """Zendesk said to wait, or does not answer: no process updates a ticket for so long. Never shortens a hold."""
        if seconds > self.updates_held():
            self.redis.set("presort:updates_held", 1, px=max(1, int(seconds * 1000)))


def _reached(decision: Decision) -> str:
    """The funnel's steps up to a decision: it is a customer's ticket, and the model was asked about it."""
    if decision.reason in {"own_ticket", "ticket_deleted"}:
        return "decided"
    return "decided eligible predicted" if decision.answers else "decided eligible"


def _decode(raw: Any, kind: type[T]) -> T | None:  # noqa: ANN401 - redis-py answers str or None
    return None if raw is None else msgspec.json.decode(raw, type=kind)


def _counts(raw: Mapping[Any, Any]) -> dict[str, int]:
    return {str(key): int(value) for key, value in raw.items()}


def _ticket_key(decision: Decision) -> str:
    return f"presort:ticket:{decision.ticket_id}:{decision.classifier}"


def _writing_key(decision: Decision) -> str:
    return f"presort:writing:{decision.ticket_id}:{decision.classifier}"


def _later_key(task: str) -> str:
    return f"presort:later:{task}"


def _count_key(classifier: str, tick: int) -> str:
    return f"presort:count:{classifier}:{tick}"


def _samples_key(classifier: str, category: str) -> str:
    return f"presort:samples:{classifier}:{category}"


def _alert_key(alert: Alert) -> str:
    return f"{alert.classifier}/{alert.category}"


def funnel_key(day: datetime | None = None, *, backfill: bool = False) -> str:
    """The key of a UTC day's funnel, today's by default; of new tickets, or of a backfill's."""
    return f"presort:{'backfill_' * backfill}funnel:{day or datetime.now(UTC):%Y-%m-%d}"
