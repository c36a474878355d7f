"""The ``presort-worker`` command."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from typing import NoReturn

import click
from redis.exceptions import RedisError

from integration import messages, settings
from model_export.bundle.channels import RegistryError
from model_export.bundle.manifest import BundleError
from worker import judging, shadow, tasks, transport
from worker.consumer import consumer_class, repeating
from worker.parts import Parts

# Two lines a second about periodic tasks that went well; their failures are logged above INFO.
for _chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Classify tickets, write categories back, watch their rates."""


@main.command()
@click.option("--loglevel", default="INFO", show_default=True, type=click.Choice(LEVELS, case_sensitive=False))
def run(loglevel: str) -> None:
    """Run one worker: one process, one thread. For more speed run more of them.

    Example: presort-worker run
    """
    parts = _parts()
    try:
        for name, predictor in parts.predictors.items():
            click.echo(
                f"{name}: {predictor.manifest.name}@{predictor.manifest.version}, {predictor.graph} on "
                f"{predictor.provider}, self-test {predictor.agreement:.0%}"
            )
    except (BundleError, RegistryError) as error:
        _fail(error)
    for one in parts.config.classifiers:
        known = {label.value for label in parts.predictors[one.name].manifest.labels}
        if unknown := sorted(set(one.categories) - known):
            click.echo(f"{one.name}: the model knows no {', '.join(unknown)}, named in presort.toml", err=True)
    transport.install(parts.store.park)
    tasks.register(parts)
    parts.celery.conf.update(
        worker_prefetch_multiplier=2 * parts.config.worker.batch,  # the next batch arrives while one is worked on
        worker_enable_remote_control=False,  # our own heartbeat costs one key; gossip costs a message per worker pair
        worker_send_task_events=False,
        broker_channel_error_retry=True,  # Redis that is full refuses what a worker notes: wait, do not die
    )
    parts.celery.steps["consumer"].add(repeating([(10, parts.heartbeat), (60, parts.publish_models)]))
    parts.models.follow(30, parts.publish_models)
    parts.celery.conf.worker_consumer = consumer_class(parts.store.park)
    queues = ",".join(sorted(set(messages.QUEUES.values())))
    # A worker that gave up must not look as if it had been asked to stop: its supervisor starts it again.
    sys.exit(
        parts.celery.worker_main(
            [
                *("--quiet", "worker", "--pool=solo", "--concurrency=1"),
                *(f"--queues={queues}", f"--loglevel={loglevel}"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ]
        )
    )


@main.command()
@click.option("--loglevel", default="INFO", show_default=True, type=click.Choice(LEVELS, case_sensitive=False))
def beat(loglevel: str) -> None:
    """Send the periodic messages; run exactly one.

    Example: presort-worker beat
    """
    parts = _parts()
    tick = parts.config.spikes.tick_s
    parts.celery.conf.beat_schedule = {
        task: {
            "task": task,
            "schedule": timedelta(seconds=every),
            # Nobody needs yesterday's look: without workers they would pile up.
            "options": {"expires": max(5.0, every)},
        }
        for task, every in (
            (messages.RESUME, 1.0),
            (messages.BACKFILL, 1.0),
            (messages.WATCH, tick),
            (messages.RECONCILE, parts.config.ledger.every_s),
            (messages.JUDGE, judging.EVERY_S),
        )
    }
    # The schedule is these lines; there is nothing to keep on disk between runs.
    parts.celery.Beat(scheduler="celery.beat:Scheduler", loglevel=loglevel, max_interval=1).run()


@main.command("shadow")
def show_shadow() -> None:
    """Show where a staged model differs from the active one, on the tickets that both were asked about.

    Example: presort-worker shadow
    """
    parts = _parts()
    try:
        for classifier in parts.config.classifiers:
            found = parts.store.shadows(classifier.name)
            nothing = f"{classifier.name}: no staged model was asked"
            click.echo("\n\n".join(shadow.table(one) for one in found) or nothing)
    except RedisError as error:
        _fail(error)


def _parts() -> Parts:
    try:
        return Parts(settings.load())
    except settings.SettingsError as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    click.echo(f"presort-worker: {error}", err=True)
    sys.exit(1)
