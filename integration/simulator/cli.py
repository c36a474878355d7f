"""The ``simulate`` command."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from integration.simulator.config import SimulatorConfig, read
from integration.simulator.server import serve


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; anyone there is trusted.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--config",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with settings of the account; without it the defaults of SimulatorConfig hold.",
)
def simulate(host: str, port: int, path: Path | None) -> None:
    """Run a local Zendesk: its API, its webhooks, and a page to watch them."""
    try:
        config = read(path) if path else SimulatorConfig()
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{path}: {error}") from error
    click.echo(f"A local Zendesk for Presort: http://{host}:{port}/")
    serve(config, host, port)
