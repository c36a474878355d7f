"""The ``presort-worker`` command."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from typing import NoReturn

import click
from celery import signals
from celery.worker.consumer import Consumer

from integration import messages, settings
from model_export.bundle.manifest import BundleError
from worker import tasks
from worker.parts import Parts

HEARTBEAT_S = 10

# Two lines a second about periodic tasks that went well; their failures are logged above INFO.
for _chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Classify tickets, write categories back, watch their rates."""


@main.command()
@click.option("--loglevel", default="INFO", show_default=True)
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
    except BundleError as error:
        _fail(error)
    tasks.register(parts)
    parts.celery.conf.update(
        worker_prefetch_multiplier=2 * parts.config.worker.batch,  # the next batch arrives while one is worked on
        worker_enable_remote_control=False,  # our own heartbeat costs one key; gossip costs a message per worker pair
        worker_send_task_events=False,
    )

    @signals.worker_ready.connect(weak=False)
    def ready(sender: Consumer, **_: object) -> None:
        parts.publish_models()
        parts.heartbeat()
        sender.timer.call_repeatedly(HEARTBEAT_S, parts.heartbeat)

    queues = ",".join(sorted(set(messages.QUEUES.values())))
    parts.celery.worker_main(
        [
            *("--quiet", "worker", "--pool=solo", "--concurrency=1", f"--queues={queues}", f"--loglevel={loglevel}"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


@main.command()
@click.option("--loglevel", default="INFO", show_default=True)
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
        for task, every in ((messages.RESUME, 1.0), (messages.WATCH, tick))
    }
    # The schedule is these two lines; there is nothing to keep on disk between runs.
    parts.celery.Beat(scheduler="celery.beat:Scheduler", loglevel=loglevel, max_interval=1).run()


def _parts() -> Parts:
    try:
        return Parts(settings.load())
    except settings.SettingsError as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    click.echo(f"presort-worker: {error}", err=True)
    sys.exit(1)
