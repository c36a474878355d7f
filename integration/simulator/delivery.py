"""Webhook deliveries: signed, retried by Zendesk's rules, at least once when no fault says otherwise."""

from __future__ import annotations

import logging
import queue
import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

import requests

from integration.simulator.account import Account
from integration.simulator.faults import Faults
from integration.simulator.records import Invocation, Ticket, Webhook
from integration.simulator.scheduler import Scheduler
from integration.simulator.wire import iso
from integration.zendesk.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

logger = logging.getLogger(__name__)

MAX_RETRIES = {409: 3, 429: 3, 503: 3}
"""By status; every other answer is final, a 500 too."""
MAX_TIMEOUT_RETRIES = 5
KEPT_INVOCATIONS = 1_000
"""Of each webhook; the real one keeps those of the last days."""
MAX_RETRY_AFTER_S = 60.0
"""A 429 or 503 is retried only with a ``Retry-After`` below this."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one webhook; retries and duplicates carry the same body and invocation."""

    account: Account
    webhook: Webhook
    ticket: Ticket
    body: bytes
    invocation_id: str
    retries: int = 0


class Courier:
    """A few threads that empty one queue, each with a connection that it keeps.

    Args:
        scheduler: wakes retries.
        faults: the switches as they stand at the moment of asking.
        threads: deliveries under way at once.
    """

    def __init__(self, scheduler: Scheduler, faults: Callable[[], Faults], threads: int) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._threads = threads
        self._random = random.Random(1)  # noqa: S311 - decides which deliveries fail, guards nothing
        for number in range(threads):
            threading.Thread(target=self._work, name=f"simulator-courier-{number}", daemon=True).start()

    def send(self, account: Account, webhook: Webhook, ticket: Ticket, body: bytes) -> None:
        """Queue a body for a webhook, as the faults allow."""
        faults = self._faults()
        if self._random.random() < faults.drop:
            account.counts["dropped"] += 1
            return
        delivery = Delivery(account, webhook, ticket, body, uuid.uuid4().hex)
        for _ in range(2 if self._random.random() < faults.duplicate else 1):
            self._later(self._random.random() * faults.shuffle, delivery)

    def waiting(self) -> int:
        """Deliveries in the queue, without those that wait for a retry."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Let each thread end after the delivery it has."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _later(self, seconds: float, delivery: Delivery) -> None:
        if seconds:
            self._scheduler.after(seconds, lambda: self._queue.put(delivery))
        else:
            self._queue.put(delivery)

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of this machine has no business between two local processes
            while delivery := self._queue.get():
                try:
                    self._attempt(session, delivery)
                except Exception:
                    logger.exception("a delivery failed in the simulator itself")

    def _attempt(self, session: requests.Session, delivery: Delivery) -> None:
        account, ledger, config = delivery.account, delivery.ticket.ledger, delivery.account.config
        breaker, breaker_s = delivery.webhook.breaker, self._faults().breaker
        with account.lock:
            if breaker_s and account.now() < breaker.open_until:
                account.counts["dropped"] += 1
                return
            ledger.attempts += 1
            if ledger.first_sent_at is None:
                ledger.first_sent_at = account.now()
        status: int | None = None
        pause: float | None = config.delivery_retry_s
        try:
            answer = session.post(
                delivery.webhook.endpoint,
                data=delivery.body,
                headers=_headers(account, delivery.webhook, delivery.body, delivery.invocation_id),
                timeout=config.delivery_timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            logger.info("ticket %d: no answer to its webhook: %s", delivery.ticket.id, type(error).__name__)
        else:
            status, pause = answer.status_code, _pause(answer, config.delivery_retry_s)
        with account.lock:
            ledger.last_status = status
            if breaker_s:
                breaker.note(account.now(), failed=status not in range(200, 300), pause_s=breaker_s)
            _remember(delivery.webhook, Invocation(delivery.invocation_id, status, account.now()))
            if status in range(200, 300) and not ledger.delivered:
                ledger.delivered = True
                account.counts["delivered"] += 1
        allowed = MAX_TIMEOUT_RETRIES if status is None else MAX_RETRIES.get(status, 0)
        if pause is not None and delivery.retries < allowed:
            self._later(pause, replace(delivery, retries=delivery.retries + 1))


def deliver_test(account: Account, webhook: Webhook, body: bytes) -> requests.Response:
    """Send a test at once and once, and return the answer; it counts as no invocation.

    Raises:
        requests.RequestException: nothing answers.
    """
    headers = _headers(account, webhook, body, uuid.uuid4().hex)
    with requests.Session() as session:
        session.trust_env = False
        timeout_s = account.config.delivery_timeout_s
        return session.post(webhook.endpoint, data=body, headers=headers, timeout=timeout_s, allow_redirects=False)


def _remember(webhook: Webhook, invocation: Invocation) -> None:
    webhook.invocations[invocation.id] = invocation
    while len(webhook.invocations) > KEPT_INVOCATIONS:
        del webhook.invocations[next(iter(webhook.invocations))]


def _headers(account: Account, webhook: Webhook, body: bytes, invocation_id: str) -> dict[str, str]:
    """Signed anew for each attempt, with the secret as it is now."""
    timestamp = iso(account.now())
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Zendesk Webhook",
        "X-Zendesk-Account-Id": str(account.config.account_id),
        "X-Zendesk-Webhook-Id": webhook.id,
        "X-Zendesk-Webhook-Invocation-Id": invocation_id,
        SIGNATURE_HEADER: sign(webhook.secret, timestamp, body),
        TIMESTAMP_HEADER: timestamp,
    }


def _pause(answer: requests.Response, default_s: float) -> float | None:
    """Seconds until the retry that an answer asks for, or None when it asks for none."""
    if answer.status_code not in {429, 503}:
        return default_s
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if seconds < MAX_RETRY_AFTER_S else None
