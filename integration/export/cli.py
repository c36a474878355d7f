"""The ``presort tickets`` command."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from integration.commands import DAY, KEPT_IN_REDIS, chosen, connected
from integration.export.part import Part, PartError, opened
from integration.export.reading import decide_labels, patient_client, read_tickets
from integration.export.rules import CLOSED, SOLVED, Wanted
from integration.export.writing import form_of, next_command, table, write
from integration.settings import Classifier, Settings
from integration.zendesk.client import Zendesk
from integration.zendesk.patience import Patience

BAR = 1_000
"""Steps of the progress bar."""

GOES_ON = "The same command goes on where this one stopped"
PATIENCE = Patience(say=lambda message: click.echo(f"\n{message}", err=True), sleep=time.sleep)


def _named_well(_: click.Context, __: click.Parameter, path: Path) -> Path:
    if form_of(path) is None:
        raise click.BadParameter(f"{path.name} says no form: end it in .csv or .jsonl, and .gz or .xz if you like")
    if path.exists():
        raise click.BadParameter(f"{path} exists: choose another name, or remove it")
    return path


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), callback=_named_well)
@click.option("--classifier", "name", help="Whose field holds the labels; needed only where presort.toml has several.")
@click.option("--since", type=DAY, help="Only tickets filed on this day (UTC) or later.")
@click.option("--until", type=DAY, help="Only tickets filed before this day (UTC).")
@click.option("--closed", is_flag=True, help="Only closed tickets, whose category is final; solved ones may reopen.")
def tickets(*, file: Path, name: str | None, since: datetime | None, until: datetime | None, closed: bool) -> None:
    """Write the account's solved tickets and their categories to FILE, for `presort-model train`.

    FILE ends in .csv or .jsonl, and in .gz or .xz if it shall be compressed. Zendesk gives 10,000 tickets a minute, and
    the history of 500: it is read for tickets that Presort wrote to, to tell its labels from people's. What was read so
    far is in FILE.part; whenever this ends early, the same command goes on where it stopped.

    Example: presort tickets tickets.csv --since 2025-01-01
    """
    part_file = file.with_name(f"{file.name}.part")
    try:
        with connected(redis_cure=KEPT_IN_REDIS, zendesk_cure=GOES_ON) as (config, store):
            classifier = _classifier(config, name)
            zendesk = patient_client(config, store)
            # Before hours are spent: is it a field that can be learnt at all?
            choices = PATIENCE.ask(lambda: zendesk.choice_field(classifier.field_id))
            wanted = Wanted(
                classifier=classifier,
                own_user_id=PATIENCE.ask(zendesk.me),
                since=since.timestamp() if since else 0.0,
                until=until.timestamp() if until else float("inf"),
                statuses=CLOSED if closed else SOLVED,
            )
            with opened(part_file, _asked(config, wanted)) as part:
                _read(zendesk, part, wanted)
                totals = part.totals()
                if totals.rows:
                    write(part.rows(), file)
    except PartError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(table(totals))
    if not totals.rows:
        raise click.ClickException(
            f"no ticket has a label to learn from: is {classifier.field_id} the field_id of the category in "
            f"presort.toml? {part_file} remembers what was read: the same command looks at what changed since"
        )
    part_file.unlink()
    click.echo(
        f"\n{file}: {totals.rows:,} tickets with {len(totals.labels)} labels. It holds your customers' words, and only "
        "you may read it: keep it where your tickets may be kept, and remove it after training.\n"
        f"Next: {next_command(file, classifier.name, multi=choices.multi)}"
    )


def _classifier(config: Settings, name: str | None) -> Classifier:
    found = chosen(config, name)
    if len(found) > 1:
        names = "|".join(one.name for one in found)
        raise click.UsageError(f"presort.toml has several classifiers: name one with --classifier {names}")
    return found[0]


def _asked(config: Settings, wanted: Wanted) -> str:
    """What a part file is of: for people to read, and for us to compare."""
    since = f", filed from {_day(wanted.since)} on" if wanted.since else ""
    until = f", filed before {_day(wanted.until)}" if wanted.until < float("inf") else ""
    which = "" if "solved" in wanted.statuses else ", closed"
    return (
        f"field {wanted.classifier.field_id} of {config.zendesk.url or config.zendesk.subdomain}{which}{since}{until}"
    )


def _read(zendesk: Zendesk, part: Part, wanted: Wanted) -> None:
    """Everything that is not in the part file yet, under a bar for each of the two steps."""
    began, first, count = time.time(), None, 0
    with click.progressbar(length=BAR, label="tickets", item_show_func=_shown, file=sys.stderr) as bar:
        for page in read_tickets(zendesk, part, wanted, PATIENCE):
            count += page.tickets
            first = first or page.changed_from
            if first and page.changed_to:
                # The export goes by the time of the latest change, up to now: the only measure of what is left.
                done = round(BAR * (page.changed_to - first) / max(began - first, 1.0))
                rate = count / max(time.time() - began, 1.0)
                bar.update(min(done, BAR) - bar.pos, f"{count:,}, {rate:,.0f}/s, changed up to {_day(page.changed_to)}")
        bar.update(BAR - bar.pos)
    if undecided := part.undecided():
        with click.progressbar(length=undecided, label="histories", show_pos=True, file=sys.stderr) as bar:
            for _ in decide_labels(zendesk, part, wanted, PATIENCE):
                bar.update(1)


def _shown(text: str | None) -> str | None:
    return text


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
