"""``presort alerts test``: whether a channel takes alerts."""

from __future__ import annotations

import os
import sys

import click


@click.command("test")
@click.argument("channel")
def try_channel(channel: str) -> None:
    """Send CHANNEL a test alert, fired and resolved, and show what it answered; status 1 when it does not take it.

    It takes the way of a real alert: run it where the workers' secrets are, and Zendesk's channel writes a real ticket.
    CHANNEL is a name of presort.toml; `alerts` is PRESORT_ALERT_URLS.

    Example: presort alerts test alerts
    """
    command = [sys.executable, "-m", "worker", "alert-test", channel]
    os.execv(command[0], command)  # noqa: S606 - becomes the worker's own command: nobody here may import it
