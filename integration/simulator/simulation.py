"""The running simulator: the account, what may go wrong, and what works beside the requests."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable

from flask import current_app

from integration.simulator import payloads
from integration.simulator.account import AGENT, EVENT_KIND, INTEGRATION, Account
from integration.simulator.config import SimulatorConfig
from integration.simulator.delivery import Courier
from integration.simulator.errors import ApiError
from integration.simulator.faults import Faults
from integration.simulator.records import Audit, Job, Json, Ticket
from integration.simulator.scheduler import Scheduler
from integration.simulator.tickets import create_ticket, update_ticket

EXTENSION = "presort-simulator"
KEPT_JOBS = 1_000
"""Zendesk keeps a job's data for a day; the oldest here are always completed ones."""
TRIAGE_TAG = "sentiment__neutral"
"""What intelligent triage leaves on a ticket, in its ``collide`` fault."""


class Simulation:
    """One account with its webhooks and jobs.

    Args:
        config: the account.
        clock: the present in Unix seconds; tests move it.
    """

    def __init__(self, config: SimulatorConfig, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        self.account = Account(config, clock)
        self.faults = Faults()
        self.faults_since = clock()
        self._random = random.Random(1)  # noqa: S311 - decides what fails, guards nothing
        self.scheduler = Scheduler()
        self.courier = Courier(self.scheduler, lambda: self.faults, config.delivery_threads)

    def reset(self) -> None:
        """Start again with a fresh account and no faults; deliveries under way still go out."""
        self.account = Account(self.config, self.clock)
        self.set_faults(Faults())

    def set_faults(self, faults: Faults) -> None:
        """Replace the fault switches; their durations start now, and their lots anew."""
        with self.account.lock:
            self.faults, self.faults_since = faults, self.clock()
            self._random.seed(1)
            if faults.revoked:
                self.account.tokens.clear()

    def stop(self) -> None:
        """End the threads."""
        self.courier.stop()
        self.scheduler.stop()

    def create(self, attributes: Json, *, actor_id: int, channel: str = "api") -> Ticket:
        """Create a ticket and tell the webhooks; see ``create_ticket`` for the errors."""
        with self.account.lock:
            ticket = create_ticket(self.account, attributes, actor_id=actor_id, channel=channel)
            for webhook in self.account.webhooks.values():
                if webhook.status == "active" and EVENT_KIND in webhook.subscriptions:
                    self.courier.send(self.account, webhook, ticket, payloads.created_event(self.account, ticket))
            self._fire("Create", ticket)
            return ticket

    def update(self, ticket_id: int, attributes: Json, *, actor_id: int, channel: str = "api") -> Audit:
        """Update a ticket and fire the triggers; see ``update_ticket`` for the errors, and 404."""
        with self.account.lock:
            ticket = self.account.ticket(ticket_id)
            if actor_id == INTEGRATION.id and self._strikes(self.faults.collide):
                tagged = {"tags": [*ticket.tags, TRIAGE_TAG]}
                self.update(ticket_id, tagged, actor_id=AGENT.id, channel="web")
            audit = update_ticket(self.account, ticket, attributes, actor_id=actor_id, channel=channel)
            self._fire("Change", ticket)
            return audit

    def start_job(self, kind: str, items: list[Json], work: Callable[[Json], Json]) -> Job:
        """Answer now and work later: each item becomes one result, in order.

        Args:
            kind: the job's type, for people.
            items: what to work on.
            work: turns an item into its result; an ``ApiError`` it raises becomes a failed result, as does the
                ``fail_in_jobs`` fault.

        Raises:
            ApiError: 429 ``TooManyJobs`` when too many jobs are unfinished.
        """
        with self.account.lock:
            jobs = self.account.jobs
            if sum(job.status != "completed" for job in jobs.values()) >= self.config.max_jobs:
                description = f"Your account has reached the limit of {self.config.max_jobs} queued or running jobs"
                raise ApiError(429, "TooManyJobs", description, headers={"Retry-After": "1"})
            while len(jobs) >= KEPT_JOBS:
                del jobs[next(iter(jobs))]
            job = Job(uuid.uuid4().hex, kind, len(items))
            jobs[job.id] = job

        def begin() -> None:
            job.status = "working"

        def attempt(item: Json) -> Json:
            if self._strikes(self.faults.fail_in_jobs):
                raise ApiError(500, "InternalError", "Something went wrong with this ticket")
            return work(item)

        def finish() -> None:
            results = [_result(index, item, attempt) for index, item in enumerate(items)]
            job.results, job.progress, job.status = results, len(items), "completed"

        self.scheduler.after(self.config.job_time_s / 2, begin)
        self.scheduler.after(self.config.job_time_s, finish)
        return job

    def _strikes(self, share: float) -> bool:
        """Whether a fault that hits this share of cases hits the present one."""
        return self._random.random() < share

    def _fire(self, update_type: str, ticket: Ticket) -> None:
        for trigger in self.account.triggers.values():
            webhook = self.account.webhooks.get(trigger.webhook_id)
            if trigger.active and trigger.update_type == update_type and webhook and webhook.status == "active":
                self.courier.send(self.account, webhook, ticket, payloads.filled(trigger, ticket))


def _result(index: int, item: Json, work: Callable[[Json], Json]) -> Json:
    try:
        return {"index": index, **work(item), "success": True}
    except ApiError as error:
        return {
            "index": index,
            "id": item.get("id"),
            "status": "Failed",
            "success": False,
            "error": error.error,
            "details": error.text(),
        }


def simulation() -> Simulation:
    """The simulation that the present request belongs to."""
    found: Simulation = current_app.extensions[EXTENSION]
    return found
