"""The ``presort`` command."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

import click
from redis.exceptions import RedisError

from integration import embedded_redis, settings
from integration.export.cli import tickets
from integration.messages import QUEUES
from integration.publisher import create_celery, publish
from integration.simulator.cli import simulate
from integration.store import Store


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Presort: tickets sorted before an agent opens them."""


main.add_command(simulate)
main.add_command(tickets)


@main.command()
@click.option("--port", default=6390, show_default=True, type=click.IntRange(1, 65535))
@click.option("--folder", default="var/redis", show_default=True, type=click.Path(file_okay=False, path_type=Path))
def redis(port: int, folder: Path) -> None:
    """Run the embedded Redis: what it holds is in FOLDER's append-only file, and survives.

    Example: presort redis --port 6390
    """
    try:
        command = embedded_redis.command(folder, port)
    except embedded_redis.NoRedisError as error:
        click.echo(f"presort redis: {error}", err=True)
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - becomes the server, so that signals reach it


@main.command()
@click.option("--retry", is_flag=True, help="Send them to their queues again.")
def parked(*, retry: bool) -> None:
    """Show the messages that wait for a person, with their reasons; never their text.

    Example: presort parked --retry
    """
    try:
        config = settings.load()
        store = Store(config.redis_url)
        celery = create_celery("presort.cli", config.redis_url)
        rows = store.parked()
        for row in rows:
            when = datetime.fromtimestamp(row.parked_at).astimezone()
            click.echo(f"{row.id}  {when:%Y-%m-%d %H:%M:%S %Z}  {row.task}  {row.reason}")
            if retry and row.task in QUEUES and isinstance(row.payload, dict):
                publish(celery, row.task, row.payload)
                store.drop_parked(row.id)
    except (settings.SettingsError, RedisError) as error:
        raise click.ClickException(str(error)) from error
    left = len(store.parked())
    click.echo(f"{len(rows)} parked, {len(rows) - left} sent again" if retry else f"{len(rows)} parked")
