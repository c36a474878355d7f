"""The ``presort-worker`` command."""

from __future__ import annotations

import logging.config
import sys
from contextlib import suppress
from typing import NoReturn

import click
from celery import signals
from redis.exceptions import RedisError

from integration import logs, messages, settings, tracing
from model_export.bundle.channels import RegistryError
from model_export.bundle.manifest import BundleError
from worker import judging, recounting, shadow, taking, tasks, ticking, transport
from worker.backtest.cli import backtest
from worker.consumer import again_and_again, consumer_class, repeating
from worker.notify.errors import SendError
from worker.notify.trial import NoChannelError, trial
from worker.parts import Parts

log = logging.getLogger("presort.worker")

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Classify tickets, write categories back, watch their rates."""


main.add_command(backtest)


@main.command()
@click.option("--loglevel", default="INFO", show_default=True, type=click.Choice(LEVELS, case_sensitive=False))
def run(loglevel: str) -> None:
    """Run one worker: one process, one thread. For more speed run more of them.

    Example: presort-worker run
    """
    parts = _parts()
    _log_to_stderr(parts.config, loglevel)
    if parts.config.traced:
        tracing.configure("presort-worker")
    if lacking := parts.config.channels_without_secret:
        names = ", ".join(f"{one.variable} of channel {one.name!r}" for one in lacking)
        _fail(settings.SettingsError(f"not set: {names}. Put each (or its _FILE) in the environment of all workers"))
    try:
        for name, predictor in parts.predictors.items():
            model = f"{predictor.manifest.name}@{predictor.manifest.version}"
            told = f"{predictor.graph} on {predictor.provider}, self-test {predictor.agreement:.0%}"
            log.info("serving: %s", told, extra={"classifier": name, "model": model})
    except (BundleError, RegistryError) as error:
        _fail(error)
    for one in parts.config.classifiers:
        known = {label.value for label in parts.predictors[one.name].manifest.labels}
        if unknown := sorted(set(one.categories) - known):
            log.warning("the model knows no %s, named in presort.toml", unknown, extra={"classifier": one.name})
    transport.install(parts.store.park)
    tasks.register(parts)
    parts.celery.conf.update(
        worker_prefetch_multiplier=2 * tasks.WRITES_AT_ONCE,  # the next batch arrives while one is worked on
        worker_enable_remote_control=False,  # our own heartbeat costs one key; gossip costs a message per worker pair
        worker_send_task_events=False,
        broker_channel_error_retry=True,  # Redis that is full refuses what a worker notes: wait, do not die
    )
    parts.celery.steps["consumer"].add(repeating([(10, parts.heartbeat), (60, parts.publish_models)]))
    parts.celery.steps["consumer"].add(again_and_again(lambda: taking.take(parts)))
    parts.models.follow(30, parts.publish_models)
    parts.celery.conf.worker_consumer = consumer_class(parts.store.park)
    queues = ",".join(sorted({*messages.QUEUES.values()} - {messages.TICKETS_QUEUE}))  # `taking` has that one
    arguments = [
        *("--quiet", "worker", "--pool=solo", "--concurrency=1"),
        *(f"--queues={queues}", f"--loglevel={loglevel}"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    try:
        # A worker that gave up must not look as if it had been asked to stop: its supervisor starts it again.
        sys.exit(parts.celery.worker_main(arguments))
    finally:
        tracing.close()
        with suppress(RedisError):
            parts.tally.tell(parts.store.redis)


@main.command()
@click.option("--loglevel", default="INFO", show_default=True, type=click.Choice(LEVELS, case_sensitive=False))
def beat(loglevel: str) -> None:
    """Send the periodic messages; run exactly one.

    Example: presort-worker beat
    """
    parts = _parts()
    _log_to_stderr(parts.config, loglevel)
    parts.celery.conf.beat_schedule = ticking.plan(
        {
            messages.RESUME: 1.0,
            messages.BACKFILL: 1.0,
            messages.WATCH: parts.config.spikes.tick_s,
            messages.RECONCILE: parts.config.ledger.every_s,
            messages.JUDGE: judging.EVERY_S,
            messages.RECOUNT: recounting.EVERY_S,
        }
    )
    # The schedule is these lines; there is nothing to keep on disk between runs.
    scheduler = ticking.scheduler_class(parts.store.redis)
    parts.celery.Beat(scheduler=scheduler, loglevel=loglevel, max_interval=1, quiet=True).run()


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


@main.command("alert-test")
@click.argument("channel")
def test_alert(channel: str) -> None:
    """Send CHANNEL a test alert and show what it answered, as `presort alerts test` does.

    Example: presort-worker alert-test alerts
    """
    try:
        for line in trial(_parts(), channel):
            click.echo(line)
    except SendError as error:
        click.echo(f"presort-worker: channel {channel}: {error}", err=True)
        click.echo("mend that, and try again" if error.permanent else "it may pass: try again later", err=True)
        sys.exit(1)
    except (NoChannelError, RedisError) as error:
        _fail(error)


def _log_to_stderr(config: settings.Settings, level: str) -> None:
    logging.config.dictConfig(logs.document(config.log, level.upper()))
    logging.captureWarnings(capture=True)  # as Celery does, but before the first of them
    signals.setup_logging.connect(_keep_ours, weak=False)


def _keep_ours(**_: object) -> None:
    """That somebody listens keeps Celery from setting up logging of its own."""


def _parts() -> Parts:
    try:
        return Parts(settings.load())
    except settings.SettingsError as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    click.echo(f"presort-worker: {error}", err=True)
    sys.exit(1)
