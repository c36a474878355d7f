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
``ticks:<classifier>:<category>:<n>``  3 days    tickets created in each of the ticks from 168 n on, big-endian 32-bit
                                                 integers. One with several sure labels counts under each, and once
                                                 under the category ``*``, which is all tickets (``counting``)
``hours:<classifier>:<category>:<n>``  28 weeks  the same of the Unix hours from 168 n on
``counted:<classifier>``               -         set of the categories that ever counted
``counting_began:<classifier>``        -         when the first decision counted, Unix seconds
``rebuilt_since``                      -         sorted set of classifiers by the first Unix hour that was rebuilt
``newest:<classifier>:<category>``     8 days    sorted set of the 200 newest ticket ids by their creation, Unix seconds
``uncounted:<id>:<classifier>``        40 days   mark: a spam or imported ticket was taken back from the counts
``events:<classifier>``                -         list of the last 200 JSON ``counting.Change``, newest first: another
                                                 model, other thresholds or labels, hours that were rebuilt
``served:<classifier>``                -         JSON ``counting.Served``: what answers, to notice such a change
``baseline:<classifier>``              -         JSON ``usual.Baseline``: what each hour of the week usually brings
``writing:<id>:<classifier>``          90 s      mark: a worker is writing this decision
``funnel:<UTC date>``                  40 days   hash step -> count of new tickets
``funnel:<UTC date>:<classifier>``     40 days   hash "model<tab>step" -> the same of its decisions; the model is
                                                 ``name@version``
``export_cursor``                      -         where ``worker.reconcile`` goes on in Zendesk's export (``outcomes``)
``export_read``                        -         when it was last read to its end, Unix seconds
``recount``                            -         JSON ``recounts.Recount``: how far past hours were read in the export
``recount_open``                       -         set of ids of tickets that it read, and that were not decided yet
``recounted:<classifier>:<id // 8192>``  90 days  a bit a ticket: it counted in one of the past hours
``unjudged``                           -         set of the ids of solved tickets that wait for a look back
``judged:<id // 8192>``                90 days   a bit a ticket: it was counted in hindsight
``outcomes:<classifier>:<month>``      400 days  hash "model<tab>category<tab>step" -> tickets, see ``outcomes.Counts``
``wrong:<classifier>:<category>``      40 days   list of the newest ticket ids for which the answer did not stand
``notices``                            -         hash id -> JSON ``notices.Notice`` that some channel has not heard
``channel_troubles``                   -         hash channel -> JSON ``notices.Trouble`` of one that takes nothing
``evidence_spent:<classifier>``        400 days  hash "model<tab>category<tab>month" -> "sure right" that must not speak
                                                 for another demotion
``backfill_funnel:<UTC date>``         40 days   the same of a backfill's tickets, which are in no count and no sample
``backfill``                           -         hash of the backfill: what was asked, its state, counts (``backfills``)
``backfill_left``                      -         list of the ticket ids that it has still to do, in order
``question:<id>``                      60 s      JSON ``Question`` or ``Order``, for some worker (``asking``)
``answer:<id>``                        60 s      list of one JSON ``Answer`` or ``Reply``
``asked:<what>:<minute>``              2 min     how often: an agent's requests, questions, histories, orders
``feedback:<ticket>:<classifier>``     40 days   JSON ``Feedback`` of an agent (``feedback``)
``later:<task>``                       -         sorted set of JSON ``Deferred`` by the Unix time they are due
``parked``                             -         hash id -> JSON ``Parked``
``switch``                             -         JSON ``Switch``: whether writes are paused (``controls``)
``written:<UTC date>``                 2 days    set of the ids of tickets written to, while there is a cap
``demoted``                            -         hash "classifier/category" -> JSON ``Demotion``
``measured``                           -         hash "name<tab>bound<tab>labels" -> what workers have measured, see
                                                 ``measures``
``changes``                            -         list of the last 200 JSON ``Change``, newest first: who paused, ...
``console_key``                        -         what the console's sessions are signed with, see ``doors``
``sign_ins:<address>``                 1 h       failed sign-ins at the console, from an address or from everywhere
``sign_in_wait:<address>``             15 min    mark: no password is looked at meanwhile
``alerts_active``                      -         hash "classifier/category" -> JSON ``Alert`` that fires or ended within
                                                 the cooldown; "/silence" behind it for one of no tickets (``alerting``)
``alerts_closed``                      -         list of the last 2,000 closed alerts, newest first, without ticket text
``silences``                           -         hash id -> JSON ``alerting.Silence`` that holds or is planned
``model:<classifier>``                 -         JSON ``Model``: what the workers serve
``gone:<classifier>``                  40 days   hash label -> decisions that were not written because its option is
                                                 gone (see ``taxonomy``)
``refused:<classifier>``               40 days   hash version -> how often a worker refused to serve it
``shadow:<classifier>:<two models>``   40 days   hash "answer<tab>answer" -> tickets of which the active and the staged
                                                 model said so; models are "<active>:<staged>", each ``name@version``
``workers``                            -         sorted set: ``host:pid`` by when it was last heard of, 30 s at most
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

from integration import counting
from integration.messages import CURE, QUEUES, TICKETS_QUEUE, UPKEEP_QUEUE, WRITES_QUEUE, Decision
from integration.records import Deferred, Model, Outcome, Parked, Record, Shadow

HOUR = 3600
DAY = 24 * HOUR
DELIVERY_TTL = DAY
TICKET_TTL = 2 * DAY
DECISIONS = 100_000
FUNNEL_TTL = 40 * DAY
WAITING_TTL = FUNNEL_TTL  # of a record without an outcome: a pause may last
DECISIONS_TTL = 40 * DAY
MODEL_TTL = 40 * DAY
WORKER_TTL = 30
CLAIM_TTL = 90  # longer than a write and its job take, shorter than a killed worker's messages stay away
BURST = 10
"""Ticket updates that a quiet account may save up."""

SCANNED = 5_000
"""Keys looked at in one request where a page must look for some among all, millions on a busy account."""

T = TypeVar("T")

# A record is written once; the counts move only with it. So a ticket that is delivered, or worked on, twice counts
# once, and a crash between the two cannot part them.
_RECORD = f"""
{counting.COUNT}
local before = redis.call('GET', KEYS[1])
if before then return before end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])  -- its outcome may wait for as long as the funnel is kept
for step in string.gmatch(ARGV[3], '%a+') do
  redis.call('HINCRBY', KEYS[2], step, 1)
  redis.call('HINCRBY', KEYS[3], ARGV[4] .. '\t' .. step, 1)
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[2])
if KEYS[4] then count(1, 4, 5) end  -- else it is no news
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
redis.call('HINCRBY', KEYS[3], ARGV[7] .. '\t' .. ARGV[3], 1)
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], '*', 'record', ARGV[1])
redis.call('XTRIM', KEYS[4], 'MINID', '~', ARGV[6])
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

    def now(self) -> float:
        """Unix seconds by Redis's clock, which all processes share."""
        seconds, micros = self.redis.time()
        return seconds + micros / 1e6

    # Deliveries and the funnel

    def delivered(self, delivery_id: str) -> bool:
        """Whether this webhook delivery was already published."""
        return bool(self.redis.exists(f"presort:delivery:{delivery_id}"))

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

    def awaited_since(self, ticket_id: int, classifier: str) -> float | None:
        """When the webhook came, Unix seconds, of a ticket that has no outcome yet; None for any other."""
        return self.redis.zscore("presort:unanswered", f"{ticket_id}:{classifier}")

    def asked_again(self, tickets: Sequence[tuple[int, str]], now: float) -> None:
        """These (ticket id, classifier) were looked after; they are not missed again before their time."""
        if tickets:
            self.redis.zadd("presort:unanswered", {f"{ticket_id}:{name}": now for ticket_id, name in tickets}, xx=True)

    def funnel(self, day: datetime | None = None, *, backfill: bool = False) -> dict[str, int]:
        """Counts by step for a UTC day, today by default; of new tickets, or of a backfill's."""
        return _counts(self.redis.hgetall(funnel_key(day, backfill=backfill)))

    def funnel_by_model(self, classifier: str, day: datetime) -> dict[tuple[str, str], int]:
        """Counts of new tickets by (model, step) for a UTC day, from the decision on; models are ``name@version``."""
        found = _counts(self.redis.hgetall(_models_key(classifier, day)))
        return {(model, step): count for cell, count in found.items() for model, step in [cell.split("\t")]}

    # Decisions

    def record(self, decisions: Sequence[Decision], *, tick_s: float) -> list[Record | None]:
        """Record decisions and count the sure ones (see ``counting``), once per ticket and classifier.

        Returns:
            In the order given: None when the decision is new, else the record that was there before it.
        """
        pipe = self.redis.pipeline(transaction=False)
        for one in decisions:
            keys, counted = counting.arguments(one, tick_s)
            record = msgspec.json.encode(Record(decision=one))
            self._record(
                keys=[_ticket_key(one), *_funnel_keys(one), *keys],
                args=[record, WAITING_TTL, _reached(one), one.model, *counted],
                client=pipe,
            )
        return [None if before is None else msgspec.json.decode(before, type=Record) for before in pipe.execute()]

    def finish(self, results: Sequence[tuple[Decision, Outcome, str]]) -> list[tuple[Decision, Outcome, str]]:
        """Record what became of decisions, with the reason. The first result stays; returns those that are it."""
        pipe = self.redis.pipeline(transaction=False)
        for decision, outcome, reason in results:
            record = Record(decision=decision, outcome=outcome, reason=reason, finished_at=time.time())
            keys = [_ticket_key(decision), *_funnel_keys(decision), "presort:decisions"]
            oldest = int((time.time() - DECISIONS_TTL) * 1000)
            document = msgspec.json.encode(record)
            life: list[str | int] = [TICKET_TTL, outcome, FUNNEL_TTL, DECISIONS, oldest]
            args: list[bytes | str | int] = [document, *life, decision.model]
            self._finish(keys=keys, args=args, client=pipe)
            pipe.delete(_writing_key(decision))
            pipe.zrem("presort:unanswered", f"{decision.ticket_id}:{decision.classifier}")
        return [one for one, first in zip(results, pipe.execute()[::3], strict=True) if first]

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

    def tickets(self, ticket_ids: Sequence[int], classifier: str) -> list[Record]:
        """The records of tickets, without those that have none."""
        keys = [f"presort:ticket:{one}:{classifier}" for one in ticket_ids]
        return [msgspec.json.decode(raw, type=Record) for raw in (self.redis.mget(keys) if keys else []) if raw]

    # Messages that wait

    def defer(self, task: str, payloads: Sequence[dict[str, Any]], *, delay_s: float, reason: str) -> None:
        """Put messages aside for a while, in their order: no worker sleeps, and they survive the worker.

        By Redis's clock, here and below: what a worker whose own is an hour ahead puts aside must not wait for an hour.
        """
        if payloads:
            due = self.now() + delay_s
            waiting = [msgspec.json.encode(Deferred(payload=payload, reason=reason)).decode() for payload in payloads]
            # Of equal times Redis makes the alphabet's order; a double keeps microseconds apart.
            self.redis.zadd(_later_key(task), {one: due + place * 1e-6 for place, one in enumerate(waiting)})

    def waiting(self, task: str, *, overdue_s: float = float("-inf")) -> int:
        """Messages of a task that are put aside, due or not; or those that have been due for so long."""
        if overdue_s == float("-inf"):
            return int(self.redis.zcard(_later_key(task)))
        return int(self.redis.zcount(_later_key(task), "-inf", self.now() - overdue_s))

    def due(self, task: str, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """Payloads whose time has come, oldest first, each with the handle that ``drop_deferred`` takes.

        What this release cannot read is parked: it would keep all others from their turn.
        """
        found = []
        for handle in map(str, self.redis.zrangebyscore(_later_key(task), "-inf", self.now(), start=0, num=limit)):
            try:
                found.append((handle, msgspec.json.decode(handle, type=Deferred).payload))
            except msgspec.DecodeError as error:
                self.park(task, handle, f"put aside in a form that this release cannot read ({error}): {CURE}")
                self.drop_deferred(task, [handle])
        return found

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
        for key in sorted(self.redis.scan_iter(f"presort:shadow:{classifier}:*", count=SCANNED)):
            active, staged = key.split(":")[-2:]
            counts = _counts(self.redis.hgetall(key))
            pairs = {(one, other): count for said, count in counts.items() for one, other in [said.split("\t")]}
            found.append(Shadow(active=active, staged=staged, pairs=pairs))
        return found

    def beat(self, worker: str) -> None:
        """A worker is alive."""
        now = self.now()
        pipe = self.redis.pipeline(transaction=False)
        pipe.zadd("presort:workers", {worker: now})
        pipe.zremrangebyscore("presort:workers", "-inf", now - WORKER_TTL)
        pipe.execute()

    def workers(self) -> list[str]:
        """Workers heard of in the last 30 s, as ``host:pid``."""
        # By one key: to look for keys costs more the more tickets there are, and readiness and metrics ask often.
        return sorted(map(str, self.redis.zrangebyscore("presort:workers", self.now() - WORKER_TTL, "+inf")))

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

    def free_updates(self, per_minute: float) -> float:
        """Ticket updates that may go now, of ``BURST``; see ``take_update``. A hold is not looked at."""
        ahead = float(self.redis.get("presort:updates_next") or 0) - self.now()
        return min(float(BURST), BURST - ahead * per_minute / 60)

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
    """The funnel's steps up to a decision: a customer's ticket, the model was asked about it, and it was sure."""
    if decision.reason in {"own_ticket", "ticket_deleted"}:
        return "decided"
    return f"decided eligible{' predicted' * bool(decision.answers)}{' sure' * bool(decision.sure)}"


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


def funnel_key(day: datetime | None = None, *, backfill: bool = False) -> str:
    """The key of a UTC day's funnel, today's by default; of new tickets, or of a backfill's."""
    return f"presort:{'backfill_' * backfill}funnel:{day or datetime.now(UTC):%Y-%m-%d}"


def _models_key(classifier: str, day: datetime | None = None, *, backfill: bool = False) -> str:
    return f"{funnel_key(day, backfill=backfill)}:{classifier}"


def _funnel_keys(decision: Decision) -> list[str]:
    backfill = decision.backfill
    return [funnel_key(backfill=backfill), _models_key(decision.classifier, backfill=backfill)]
