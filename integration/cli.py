"""The ``presort`` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from integration import embedded_redis
from integration.agent_api.cli import agent_app
from integration.agreement import agreement
from integration.alerts.cli import alerts
from integration.backfill.cli import backfill
from integration.doctor.cli import doctor
from integration.export.cli import tickets
from integration.install.cli import install, uninstall
from integration.operating.decisions import decisions
from integration.operating.parked import parked
from integration.operating.switches import pause, restore, resume, status
from integration.simulator.cli import simulate
from integration.web.cli import console


@click.group()
@click.version_option(package_name="presort")
def main() -> None:
    """Presort: tickets sorted before an agent opens them."""


main.add_command(simulate)
main.add_command(tickets)
main.add_command(install)
main.add_command(uninstall)
main.add_command(doctor)
main.add_command(decisions)
main.add_command(agreement)
main.add_command(alerts)
main.add_command(parked)
main.add_command(pause)
main.add_command(resume)
main.add_command(restore)
main.add_command(status)
main.add_command(backfill)
main.add_command(agent_app)
main.add_command(console)


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
