"""The ``presort install`` and ``presort uninstall`` commands."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from integration import settings
from integration.commands import KEPT_IN_REDIS, connected
from integration.install.apply import Made, apply, remove
from integration.install.ids import lines_to_paste, write_ids
from integration.install.plan import FieldStep, Plan, Step, WebhookStep, plan, removal
from integration.install.verify import verify
from integration.settings import Settings
from integration.store import Store
from integration.zendesk.admin import Admin

NO_PUBLIC_URL = (
    "[receiver] in presort.toml has no public_url: the https address at which Zendesk reaches the receiver, "
    'as in public_url = "https://presort.acme.com"'
)
GOES_ON = "What was done stays; the same command goes on from there"
LOCK_S = 120.0
DONE = {"create": "created", "change": "changed", "remove": "removed"}


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--trigger", is_flag=True, help="Be told by a trigger, rather than by an event subscription.")
@click.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the webhook's signing secret to this file, for its owner only, instead of showing it.",
)
def install(*, yes: bool, trigger: bool, secret_file: Path | None) -> None:
    """Make in Zendesk what Presort needs: its text fields and its webhook.

    Shows first what it will do, and asks. Your category field and its options are looked at and never changed. A second
    run changes nothing and only verifies. Needs a Presort user that is an admin, and Redis.

    Example: presort install --secret-file secrets/webhook_secrets
    """
    with _in_account() as (config, store, admin):
        endpoint = _endpoint(config)
        _greet(config, admin)
        planned = plan(config, endpoint, admin.setup(), by_trigger=trigger)
        _show(planned)
        if planned.problems:
            raise click.ClickException("nothing was changed; mend this first:\n  " + "\n  ".join(planned.problems))
        to_do = _unnamed(planned) or any(step.action != "keep" for step in planned.steps)
        if to_do:
            _ask(yes=yes)
        with _alone(store):
            if to_do and plan(config, endpoint, admin.setup(), by_trigger=trigger) != planned:
                raise click.ClickException("the account is no longer as shown, so nothing was done: run this again")
            made = apply(planned, admin, endpoint, _say)
            _name_fields(made)
        secret = admin.signing_secret(made.webhook_id)
        _hand_over(secret, config, secret_file)
        verdict = verify(admin, made.webhook_id, endpoint, secret)
    click.echo(f"\n{'verified' if verdict.ok else 'not verified'}: {verdict.text}")
    if not verdict.ok and not _is_new(planned):
        sys.exit(1)
    click.echo(_next(planned, ok=verdict.ok))


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--fields", "with_fields", is_flag=True, help="Remove Presort's text fields too, with all they hold.")
def uninstall(*, yes: bool, with_fields: bool) -> None:
    """Remove from Zendesk what `presort install` made: the webhook, and the trigger if there is one.

    Presort's text fields and what they say on your tickets stay, unless --fields. What a person made stays always.

    Example: presort uninstall
    """
    with _in_account() as (config, _, admin):
        _greet(config, admin)
        planned = removal(config, config.receiver.endpoint, admin.setup(), with_fields=with_fields)
        _show(planned)
        if config.receiver.endpoint is None:
            click.echo(f"No webhook was looked for: {NO_PUBLIC_URL}")
        gone = [step for step in planned.steps if step.action == "remove"]
        if not gone:
            click.echo("\nNothing to remove.")
            return
        _ask(yes=yes)
        remove(planned, admin, _say)
    if lines := [f"{step.setting} = {step.field_id}" for step in gone if isinstance(step, FieldStep)]:
        click.echo("\nTake these lines out of presort.toml, and restart the workers:\n" + "\n".join(lines))


@contextmanager
def _in_account() -> Iterator[tuple[Settings, Store, Admin]]:
    """Settings, store and account; whatever fails within ends the command in a line that says what to do."""
    with connected(redis_cure=KEPT_IN_REDIS, zendesk_cure=GOES_ON) as (config, store):
        yield config, store, Admin(config.zendesk, config.zendesk_client_secret, store)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Two at once would make everything twice."""
    with store.lock("install", LOCK_S) as held:
        if held is None:
            raise click.ClickException("another `presort install` is at it: try again when it has ended")
        yield


def _endpoint(config: Settings) -> str:
    endpoint = config.receiver.endpoint
    if endpoint is None:
        raise settings.SettingsError(NO_PUBLIC_URL)
    if not endpoint.startswith("https://") and config.zendesk.url is None:
        raise settings.SettingsError("public_url must begin with https://: deliveries carry your customers' words")
    return endpoint


def _greet(config: Settings, admin: Admin) -> None:
    account = admin.account(time.time())
    name = config.zendesk.url or f"{config.zendesk.subdomain}.zendesk.com"
    click.echo(f"{name}, as {account.user} ({account.role})\n")
    if account.role != "admin":
        raise settings.SettingsError(f"{account.user} is no admin: only an admin may see and make webhooks and fields")


def _show(planned: Plan) -> None:
    for step in planned.steps:
        click.echo(f"  {step.action:8}{step.what}")
    if unnamed := _unnamed(planned):
        click.echo(f"  {'change':8}{_path()}: a line with the id of each of {unnamed} fields")


def _unnamed(planned: Plan) -> int:
    """How many of our fields ``presort.toml`` does not name yet."""
    return sum(isinstance(step, FieldStep) and not step.named for step in planned.steps)


def _path() -> Path:
    return Path(os.environ.get(settings.PATH_VARIABLE, settings.DEFAULT_PATH))


def _ask(*, yes: bool) -> None:
    click.echo()
    if not yes:
        click.confirm("Go ahead?", abort=True)


def _say(step: Step) -> None:
    click.echo(f"  {DONE[step.action]:9}{step.what}")


def _name_fields(made: Made) -> None:
    """Put new ids into ``presort.toml``, or say what to put there."""
    if not made.ids:
        return
    path = _path()
    if write_ids(path, made.ids):
        click.echo(f"  changed  {path}")
    else:
        click.echo(f"\nAdd to {path}, which could not be edited here:\n\n{lines_to_paste(made.ids)}")


def _hand_over(secret: str, config: Settings, file: Path | None) -> None:
    """Give the signing secret to the person, and to nobody else: a terminal's screen, or a file of mode 600."""
    if file is not None:
        _write_secret(secret, file)
    elif secret in config.webhook_secrets:
        click.echo("\nPRESORT_WEBHOOK_SECRETS holds the webhook's signing secret.")
    elif on_a_screen():
        click.echo(f"\nThe receiver needs the webhook's signing secret:\n\n  export PRESORT_WEBHOOK_SECRETS='{secret}'")
    else:
        click.echo("\nThe signing secret is shown only on a terminal; --secret-file FILE writes it to a file.")


def on_a_screen() -> bool:
    """Whether a person reads this, rather than a log."""
    return sys.stdout.isatty()


def _write_secret(secret: str, file: Path) -> None:
    try:
        if file.exists():
            if secret not in file.read_text(encoding="utf-8").replace(",", " ").split():
                raise click.ClickException(
                    f"{file} holds something else: remove it, or name another file, and run this again"
                )
        else:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
                opened.write(f"{secret}\n")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"\nThe signing secret is in {file}: point PRESORT_WEBHOOK_SECRETS_FILE there.")


def _is_new(planned: Plan) -> bool:
    """Whether this run made the webhook, whose secret no receiver can know yet."""
    return any(isinstance(step, WebhookStep) and step.action == "create" for step in planned.steps)


def _next(planned: Plan, *, ok: bool) -> str:
    todo = []
    if _is_new(planned) or not ok:
        todo.append("give the receiver its secret, (re)start it, and run `presort install` again: then it verifies")
    if any(isinstance(step, FieldStep) and step.action == "create" for step in planned.steps):
        todo.append("restart the workers; put Presort's fields on your ticket forms, if you have several forms")
    todo.append("`presort doctor` checks everything, with the model's labels against your field's options")
    return "\nNext:\n" + "\n".join(f"  {number}. {one}" for number, one in enumerate(todo, 1))
