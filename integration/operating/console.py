"""What the commands share: settings and store at hand, errors as people read them, times of their own zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from integration import settings
from integration.settings import Settings
from integration.store import Store


@contextmanager
def connected() -> Iterator[tuple[Settings, Store]]:
    """The settings and the store; what goes wrong within ends the command with its reason."""
    try:
        config = settings.load()
        yield config, Store(config.redis_url)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    except (RedisError, OperationalError) as error:
        raise click.ClickException(f"{error} Is Redis running at PRESORT_REDIS_URL?") from error


def when(at: float) -> str:
    """Unix seconds as local time, with its zone."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %Z}"
