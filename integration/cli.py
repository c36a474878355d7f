"""The ``presort`` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from integration import embedded_redis
from integration.simulator.cli import simulate


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Presort: tickets sorted before an agent opens them."""


main.add_command(simulate)


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
