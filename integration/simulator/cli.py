"""The ``presort simulate`` command."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from integration.simulator.config import SimulatorConfig, read
from integration.simulator.replay import COLUMNS, ReplayError, replay
from integration.simulator.server import serve

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; anyone there is trusted.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65535))
@click.option("--config", type=FILE, help="JSON file with the account; without it SimulatorConfig's defaults hold.")
@click.option("--replay", "tickets", type=FILE, help="Play this CSV (.gz, .xz) against the simulator already running.")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(min=0), help="0: as fast as possible.")
@click.option("--from", "start", help="Leave out tickets before this time (ISO 8601, UTC).")
@click.option("--to", "end", help="Leave out tickets at and after this time.")
@click.option("--day", help="Only this day in UTC, as 2023-11-24.")
@click.option("--channel", default="web", show_default=True, help="The tickets' via.channel.")
@click.option("--time-column", help=f"Tried without it: {', '.join(COLUMNS['time'])}.")
@click.option("--subject-column", help=f"Tried without it: {', '.join(COLUMNS['subject'])}.")
@click.option("--text-column", help=f"Tried without it: {', '.join(COLUMNS['text'])}.")
def simulate(
    *,
    host: str,
    port: int,
    config: Path | None,
    tickets: Path | None,
    speed: float,
    start: str | None,
    end: str | None,
    day: str | None,
    channel: str,
    time_column: str | None,
    subject_column: str | None,
    text_column: str | None,
) -> None:
    """Run a local Zendesk: its API, its webhooks, and a page to watch them.

    With --replay, play a file of old tickets against one that runs, in their own rhythm or faster:

    Example: presort simulate --replay tickets.csv.xz --day 2023-05-02 --speed 1440
    """
    url = f"http://{host}:{port}"
    if tickets:
        columns = {"time": time_column, "subject": subject_column, "text": text_column}
        try:
            replay(tickets, url, speed=speed, period=(start, end, day), channel=channel, columns=columns)
        except ReplayError as error:
            raise click.ClickException(str(error)) from error
        return
    try:
        account = read(config) if config else SimulatorConfig()
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{config}: {error}") from error
    click.echo(f"A local Zendesk for Presort: {url}/")
    serve(account, host, port)
