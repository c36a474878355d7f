"""What becomes of decisions that could not be written: they wait, are tried again, or are parked for a person."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from integration import logs, messages, tracing
from integration.measures import OUTCOMES, WRITTEN_SECONDS
from integration.messages import Decision, Writes
from integration.zendesk.errors import Conflict, PermanentError, RateLimited, TemporaryError, UnreadableError
from worker.parts import Parts
from worker.planning import Result

log = logging.getLogger("presort.writing")

CONFLICTS_AT_ONCE = 2
"""Collisions after which a write waits longer: something edits the ticket all the time."""

TRIES = 10
"""Failures of one ticket's update, over about 25 minutes, after which a person must look. Outages do not count."""

HOLD_S = 30.0
"""At most, for everybody, when Zendesk does not say how long."""


def hold(parts: Parts, error: TemporaryError, delay_s: float = HOLD_S) -> None:
    """Nobody asks Zendesk for as long as it wants; when it does not say how long, for ``delay_s``, but not for ever.

    For everybody: whoever asks a silent Zendesk waits for its time-out, and sorts no tickets meanwhile.
    """
    parts.store.hold_updates(error.retry_after or min(delay_s, HOLD_S))


def guarded(parts: Parts, decisions: Sequence[Decision], work: Callable[[], None]) -> None:
    """Every way a call to Zendesk can fail, and what becomes of the decisions then."""
    try:
        work()
    except (RedisError, OperationalError):
        with suppress(RedisError):
            parts.store.release(decisions)
        raise
    except TemporaryError as error:
        tickets = [one.ticket_id for one in decisions]
        log.warning("%d writes wait: %s", len(decisions), error, extra={"tickets": tickets})
        counted = not isinstance(error, RateLimited)
        delay = error.retry_after or (growing_delay(max(one.attempts for one in decisions)) if counted else 10.0)
        hold(parts, error, delay)
        again = [msgspec.structs.replace(one, attempts=one.attempts + counted) for one in decisions]
        give_up(parts, again, delay, str(error))
    except (Conflict, UnreadableError) as error:
        for one in parts.store.unfinished(decisions):
            try_again(parts, one, str(error))
    except Exception as error:  # noqa: BLE001 - refused, or broken by something nobody thought of
        reason = str(error) if isinstance(error, PermanentError) else type(error).__name__
        if len(decisions) == 1:
            park(parts, decisions, reason)
            return
        for one in parts.store.unfinished(decisions):  # one of them is to blame: each alone, next time
            try_again(parts, msgspec.structs.replace(one, collisions=max(one.collisions, CONFLICTS_AT_ONCE)), reason)


def try_again(parts: Parts, decision: Decision, reason: str) -> None:
    """A ticket's update failed: read again, decide again; soon at first, then later, and not for ever."""
    tries = decision.collisions + 1
    if tries >= TRIES:
        park(parts, [decision], f"{reason}, {tries} times")
        return
    delay_s = 1.0 if tries <= CONFLICTS_AT_ONCE + 1 else growing_delay(tries)
    give_up(parts, [msgspec.structs.replace(decision, collisions=tries)], delay_s, reason)


def finish(parts: Parts, results: Sequence[Result]) -> None:
    """Note what became of decisions; what is parked keeps its message, so that it can be sent again."""
    end(parts, [one for one in results if one[1] != "parked"])
    for reason in {reason for _, outcome, reason in results if outcome == "parked"}:
        park(parts, [one for one, outcome, its in results if (outcome, its) == ("parked", reason)], reason)


def park(parts: Parts, decisions: Sequence[Decision], reason: str) -> None:
    """Keep decisions that no retry will mend, and say so."""
    parts.store.park(messages.WRITE, Writes(decisions=tuple(decisions)).to_json(), reason)
    end(parts, [(one, "parked", reason) for one in decisions])


def end(parts: Parts, results: Sequence[Result]) -> None:
    """Note the outcome of decisions in the store, and of those that had none in the log, the figures and the traces."""
    for decision, outcome, reason in parts.store.finish(results):
        now = time.time()
        told = {"outcome": outcome, "reason": reason, "after_s": round(now - decision.received_at, 3)}
        log.log(logging.ERROR if outcome == "parked" else logging.INFO, outcome, extra=logs.of(decision) | told)
        parts.tally.count(OUTCOMES, decision.classifier, outcome)
        if outcome in {"filled", "suggested"} and not decision.backfill:
            parts.tally.observe(WRITTEN_SECONDS, now - decision.decided_at, decision.classifier)
        tracing.note(outcome, decision.trace, decision.decided_at, now, ticket=decision.ticket_id, decision=decision.id)


def give_up(parts: Parts, decisions: Sequence[Decision], delay_s: float, reason: str) -> None:
    """Put claimed decisions aside and let others have them."""
    defer(parts, decisions, delay_s, reason)
    parts.store.release(decisions)


def defer(parts: Parts, decisions: Sequence[Decision], delay_s: float, reason: str) -> None:
    """One message a decision, so that ``resume`` fills its requests whole."""
    for one in decisions:
        log.info("waits for %.0f s", delay_s, extra=logs.of(one) | {"reason": reason})
    payloads = [Writes(decisions=(one,)).to_json() for one in decisions]
    parts.store.defer(messages.WRITE, payloads, delay_s=delay_s, reason=reason)


def growing_delay(attempts: int) -> float:
    """Seconds before the next try: 5, 10, 20 ... 300."""
    return min(300.0, 5.0 * 2.0 ** min(10, attempts))


def of_known_classifiers(parts: Parts, decisions: Sequence[Decision]) -> list[Decision]:
    """Without those of a classifier that was taken out of ``presort.toml`` while they waited; they are parked."""
    names = {one.name for one in parts.config.classifiers}
    if unknown := [one for one in decisions if one.classifier not in names]:
        park(parts, unknown, f"classifier {unknown[0].classifier!r} is no longer in presort.toml")
    return [one for one in decisions if one.classifier in names]
