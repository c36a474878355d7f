"""The ``presort backfill`` command."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from integration import backfills
from integration.backfill import plan
from integration.commands import DAY, connected
from integration.export.reading import patient_client
from integration.settings import Settings
from integration.store import Store
from integration.times import local_time
from integration.zendesk.patience import Patience

LOOK_S = 1.0
"""Between two looks at how far it is."""

PATIENCE = Patience(say=lambda message: click.echo(f"\n{message}", err=True), sleep=time.sleep)


@click.command()
@click.option("--from", "since", type=DAY, help="Tickets filed on this day (UTC) or later.")
@click.option("--to", "until", type=DAY, help="Tickets filed before this day (UTC).")
@click.option("--query", help="Only tickets that this finds, in Zendesk's search syntax.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--status", is_flag=True, help="How far it is.")
@click.option("--cancel", is_flag=True, help="Stop after the batch under way.")
@click.option("--resume", is_flag=True, help="Go on with one that was stopped, or watch one that runs.")
def backfill(
    *,
    since: datetime | None,
    until: datetime | None,
    query: str | None,
    yes: bool,
    status: bool,
    cancel: bool,
    resume: bool,
) -> None:
    """Sort old tickets whose field is empty, while no new ticket wants anything.

    Says first how many there are and what they cost, and asks. The workers do the rest, whether this command goes on
    watching or not: Ctrl-C ends the watching only. Closed tickets cannot be changed and are left out; a value that
    stands is left alone. The tickets count for no alert, and in a funnel of their own.

    Example: presort backfill --from 2026-09-01 --to 2026-10-01 --query "group:Support"
    """
    if [bool(since and until), status, cancel, resume].count(True) != 1:
        raise click.UsageError("give either --from and --to, or one of --status, --cancel and --resume")
    with connected() as (config, store):
        if status:
            click.echo(_told(_known(store), config.zendesk.time_zone))
        elif cancel:
            _turn(store, "stopped")
            click.echo(f"{_told(_known(store), config.zendesk.time_zone)}\n`presort backfill --resume` goes on with it")
        elif resume:
            _turn(store, "running")
            _watch_or_leave(store, config.zendesk.time_zone)
        elif since and until:
            _begin(config, store, since, until, query, yes=yes)


def _begin(config: Settings, store: Store, since: datetime, until: datetime, query: str | None, *, yes: bool) -> None:
    if since >= until:
        raise click.UsageError("--from must be before --to")
    _refuse_second(store, config.zendesk.time_zone)
    zendesk = patient_client(config, store)
    own = PATIENCE.ask(zendesk.me)
    chosen = plan.Plan([], Counter())
    for page in plan.find(zendesk, plan.query(since, until, query), PATIENCE):
        of_page = plan.choose(page, config.classifiers, own)
        chosen.tickets.extend(of_page.tickets)
        chosen.left_out.update(of_page.left_out)
        click.echo(f"\r{len(chosen.tickets) + chosen.left_out.total():,} found", err=True, nl=False)
    click.echo("", err=True)
    for reason, count in chosen.left_out.most_common():
        click.echo(f"left out: {count:,}, {reason}")
    if not chosen.tickets:
        click.echo("no ticket to sort")
        return
    cost = plan.cost(len(chosen.tickets), len(config.classifiers), config.zendesk)
    click.echo(
        f"to sort: {len(chosen.tickets):,} tickets, some {cost.requests:,} Zendesk requests, at least "
        f"{math.ceil(cost.minutes):,} min at the allowed rate; longer the more new tickets come: they go first"
    )
    before = backfills.current(store.redis)
    if before is not None and before.state == "stopped":
        click.echo(f"in place of {_told(before, config.zendesk.time_zone)}")
    if not yes:
        click.confirm("Begin?", abort=True)
    matching = f" that match {query!r}" if query else ""
    asked = f"tickets filed from {since:%Y-%m-%d} on and before {until:%Y-%m-%d} (UTC){matching}"
    with _between_steps(store):
        _refuse_second(store, config.zendesk.time_zone)
        backfills.start(store.redis, asked, chosen.tickets, time.time())
    _watch_or_leave(store, config.zendesk.time_zone)


def _known(store: Store) -> backfills.Backfill:
    run = backfills.current(store.redis)
    if run is None:
        raise click.ClickException("there is no backfill: begin one with --from and --to")
    return run


def _refuse_second(store: Store, zone: str) -> None:
    run = backfills.current(store.redis)
    if run is not None and run.state == "running":
        raise click.ClickException(f"one is under way: {_told(run, zone)}")


def _turn(store: Store, state: backfills.State) -> None:
    """Stop it or let it go on; what is done stays done."""
    with _between_steps(store):
        if _known(store).state != "done":
            backfills.turn(store.redis, state)


@contextmanager
def _between_steps(store: Store) -> Iterator[None]:
    """A worker holds the lock for as long as it takes to classify a batch."""
    deadline = time.monotonic() + 60
    while True:
        with store.lock(backfills.LOCK, life_s=60) as held:
            if held is not None:
                yield
                return
        if time.monotonic() > deadline:
            raise click.ClickException("a worker holds it for more than a minute: try again")
        PATIENCE.sleep(0.1)


def _watch_or_leave(store: Store, zone: str) -> None:
    try:
        _watch(store, zone)
    except KeyboardInterrupt:
        click.echo("\nthe workers go on; `presort backfill --status` says how far, --cancel stops it", err=True)


def _watch(store: Store, zone: str) -> None:
    """A bar with rate and time left, until it is done or somebody stops it."""
    run = _known(store)
    if not store.workers():
        click.echo("no worker runs; it begins when one does (`make run`)", err=True)
    with click.progressbar(
        length=run.tickets, label="tickets", show_pos=True, show_eta=False, item_show_func=_pace
    ) as bar:
        began, before = time.monotonic(), run.tickets - run.left
        bar.update(before)
        while (run := _known(store)).state == "running":
            done = run.tickets - run.left
            per_minute = 60 * (done - before) / max(time.monotonic() - began, 1e-3)
            bar.update(done - bar.pos, (per_minute, run.left))
            PATIENCE.sleep(LOOK_S)
        bar.update(run.tickets - run.left - bar.pos)
    click.echo(_told(run, zone))


def _pace(paced: tuple[float, int] | None) -> str | None:
    """Since this command watches: what was done before it says nothing about the present."""
    if paced is None or not paced[0]:
        return None
    per_minute, left = paced
    return f"{per_minute:,.0f} a minute, {math.ceil(left / per_minute):,} min left"


def _told(run: backfills.Backfill, zone: str) -> str:
    done = run.tickets - run.left
    results = "".join(f", {name.replace('_', ' ')} {count:,}" for name, count in sorted(run.results.items()))
    return (
        f"{run.asked}: {run.state}, {done:,} of {run.tickets:,} ({done / max(run.tickets, 1):.1%}) since "
        f"{local_time(run.started_at, zone)}{results}"
    )
