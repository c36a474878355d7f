"""The ``presort console`` command."""

from __future__ import annotations

import os
import sys

import click

from integration import settings


@click.command()
@click.option("--bind", help="HOST:PORT; those under [console] in presort.toml unless given.")
def console(bind: str | None) -> None:
    """Serve what people's browsers ask: the admins' pages and the agent's sidebar app.

    Example: presort console --bind 0.0.0.0:8081
    """
    try:
        settings.load()
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    command = [sys.executable, "-m", "gunicorn", "-c", "python:integration.web.gunicorn"]
    command += ["--bind", bind] if bind else []
    os.execv(command[0], command)  # noqa: S606 - becomes the server, so that signals reach it
