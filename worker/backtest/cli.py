"""The ``presort-worker backtest`` command; people type ``presort alerts backtest``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import available_timezones

import click
import msgspec
from redis.exceptions import RedisError

from integration import settings
from integration.settings import Settings, SettingsError, Spikes
from integration.times import from_local
from integration.zendesk.errors import ZendeskError
from model_export.bundle.channels import RegistryError
from model_export.bundle.manifest import BundleError
from worker.backtest import csv_file, export, page
from worker.backtest.figures import Figures, figures
from worker.backtest.history import History, HistoryError
from worker.backtest.sensitivities import days, replay_all
from worker.backtest.table import table
from worker.parts import Parts

DAY = click.DateTime(["%Y-%m-%d"])
BAR = 1_000
"""Steps of the bar, where only a share is known."""


def _known_zone(_: click.Context, __: click.Parameter, zone: str | None) -> str | None:
    if zone is not None and zone not in available_timezones():
        raise click.BadParameter(f"no time zone {zone!r}: give its IANA name, such as Europe/Berlin")
    return zone


@click.command()
@click.option("--from", "since", type=DAY, help="Tickets filed on this day or later.")
@click.option("--to", "until", type=DAY, help="Tickets filed before this day.")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of Zendesk.")
@click.option("--separator", help="Between several categories of one ticket in the file.")
@click.option("--classifier", "name", help="Whose categories; needed only where presort.toml has several.")
@click.option(
    "--zone", callback=_known_zone, help="Time zone, as Europe/Berlin.  [default: the account's, zendesk.time_zone]"
)
@click.option("--out", default="var/backtest", show_default=True, type=click.Path(file_okay=False, path_type=Path))
def backtest(
    *,
    since: datetime | None,
    until: datetime | None,
    file: Path | None,
    separator: str | None,
    name: str | None,
    zone: str | None,
    out: Path,
) -> None:
    """Show which spike alerts there would have been, to choose one of three sensitivities by looking.

    Replays the account's tickets, or those of a CSV file with the columns created_at and category, day by day, each
    knowing only what came before it. Writes alerts.html, a page with a picture of each alert, and alerts.json into the
    folder OUT. Zendesk gives 5,000 tickets a minute beside the workers; what was read is kept as history.csv, so that
    --csv replays it again.

    Example: presort alerts backtest --from 2026-05-01 --to 2026-11-01
    """
    if file is None and since is None:
        raise click.UsageError("say where the tickets are: --from DATE reads Zendesk, --csv FILE a file")
    try:
        config = _settings(optional=file is not None and zone is not None)
        zone = zone or (config.zendesk.time_zone if config else "UTC")
        begin = from_local(since, zone) if since else 0.0
        end = from_local(until, zone) if until else time.time()
        if begin >= end:
            raise click.UsageError("--from must be before --to, and in the past")
        out.mkdir(parents=True, exist_ok=True)
        if file is not None:
            history = _from_file(file, zone, separator, begin, end)
        else:
            history = _from_zendesk(config or settings.load(), name, begin, end, out)
        shown = _show(history, zone, config.spikes if config else Spikes(), out)
    except (SettingsError, HistoryError, ZendeskError, BundleError, RegistryError) as error:
        raise click.ClickException(str(error)) from error
    except RedisError as error:
        raise click.ClickException(
            f"{error} Is Redis running at PRESORT_REDIS_URL? It keeps the access token"
        ) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}") from error
    click.echo(table(shown))
    click.echo(f"\n{out / 'alerts.html'}: look at the alerts, then set [spikes] weeks in presort.toml to 4, 12 or 52")


def _settings(*, optional: bool) -> Settings | None:
    """presort.toml; a file of tickets whose zone is given does without: then the rules are the usual ones."""
    try:
        return settings.load()
    except SettingsError as error:
        if not optional:
            raise SettingsError(f"{error}; or replay a file without it: --csv FILE --zone ZONE") from error
        click.echo(f"without presort.toml, by the usual rules: {error}", err=True)
        return None


def _from_file(file: Path, zone: str, separator: str | None, begin: float, end: float) -> History:
    size = file.stat().st_size if file.exists() else 0
    with _bar(size, "reading", "B") as told:
        return csv_file.read(file, zone, since=begin, until=end, separator=separator, progress=told)


def _from_zendesk(config: Settings, name: str | None, begin: float, end: float, out: Path) -> History:
    parts = Parts(config)
    names = [one.name for one in config.classifiers]
    if name is None and len(names) > 1:
        raise click.UsageError(f"presort.toml has several classifiers: name one with --classifier {'|'.join(names)}")
    classifier = next((one for one in config.classifiers if one.name == (name or names[0])), None)
    if classifier is None:
        raise click.UsageError(f"presort.toml has no classifier {name!r}: there is {', '.join(names)}")
    began, tickets, place = time.monotonic(), 0, 0
    with click.progressbar(length=BAR, label="tickets", item_show_func=_shown, file=sys.stderr) as bar:

        def told(share: float, more: int) -> None:
            nonlocal tickets, place
            tickets += more
            step = min(max(place, round(BAR * share)), BAR)
            bar.update(step - place, f"{tickets:,}, {tickets / max(time.monotonic() - began, 1e-3):,.0f}/s")
            place = step

        filed = export.read(parts, classifier, begin, end, progress=told, say=_say)
        bar.update(BAR - place)
    export.keep(filed, out / "history.csv")
    return export.counted(parts, classifier, filed)


def _show(history: History, zone: str, config: Spikes, out: Path) -> Figures:
    """Replay, and write the page and the JSON file."""
    length = days(history, config)
    if not length:
        raise HistoryError(
            f"the tickets span {history.counts.shape[1] / 1440:.1f} days, and the first "
            f"{7 * config.learning_weeks:.0f} only teach: take more time, some months show most"
        )
    with _bar(length, "replaying", "days") as told:
        found = replay_all(history, zone, config, told)
    shown = figures(history, zone, config, found)
    (out / "alerts.json").write_bytes(msgspec.json.format(msgspec.json.encode(shown), indent=1))
    (out / "alerts.html").write_text(page.render(shown, history, found), encoding="utf-8")
    return shown


@contextmanager
def _bar(length: int, label: str, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left; yields what takes the steps."""
    began = time.monotonic()
    with click.progressbar(length=length, label=label, item_show_func=_shown, file=sys.stderr) as bar:

        def told(steps: int) -> None:
            rate = (bar.pos + steps) / max(time.monotonic() - began, 1e-3)
            bar.update(steps, f"{rate:,.{0 if rate >= 100 else 1}f} {unit}/s")

        yield told


def _shown(text: str | None) -> str | None:
    return text


def _say(message: str) -> None:
    click.echo(f"\n{message}", err=True)
