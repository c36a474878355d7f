"""What the commands share: settings and store at hand, errors as people read them, days in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from integration import settings
from integration.settings import Classifier, Settings
from integration.store import Store
from integration.zendesk.errors import ZendeskError

IS_REDIS_RUNNING = "Is Redis running at PRESORT_REDIS_URL?"
KEPT_IN_REDIS = "Redis keeps the access token: start it (`make run`, `presort redis`), or set PRESORT_REDIS_URL"


class Utc(click.DateTime):
    """A time that was typed, in UTC."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """With its zone."""
        return super().convert(value, param, ctx).replace(tzinfo=UTC)


DAY = Utc(["%Y-%m-%d"])


def chosen(config: Settings, name: str | None) -> list[Classifier]:
    """The classifier of that name; all of them without a name."""
    found = [one for one in config.classifiers if name in {None, one.name}]
    if not found:
        known = ", ".join(one.name for one in config.classifiers)
        raise click.UsageError(f"presort.toml has no classifier {name!r}: there is {known}")
    return found


@contextmanager
def connected(*, redis_cure: str = IS_REDIS_RUNNING, zendesk_cure: str = "") -> Iterator[tuple[Settings, Store]]:
    """The settings and the store; what goes wrong within ends the command with its reason.

    Args:
        redis_cure: a sentence behind an error of Redis.
        zendesk_cure: the same behind an error of Zendesk.
    """
    try:
        config = settings.load()
        yield config, Store(config.redis_url)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
    except ZendeskError as error:
        raise click.ClickException(f"{error}. {zendesk_cure}" if zendesk_cure else str(error)) from error
    except (RedisError, OperationalError) as error:
        raise click.ClickException(f"{error} {redis_cure}") from error
