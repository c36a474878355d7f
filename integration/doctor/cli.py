"""The ``presort doctor`` command."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator

import click
from redis.exceptions import RedisError

from integration import settings, taxonomy
from integration.doctor import account, machine
from integration.doctor.finding import Finding, Level
from integration.install.checks import wrong_field
from integration.install.verify import post_test
from integration.settings import Settings
from integration.store import Store
from integration.zendesk.admin import Admin
from integration.zendesk.errors import Forbidden, ZendeskError

COLOURS: dict[Level, str] = {"ok": "green", "warning": "yellow", "broken": "red"}


@click.command()
def doctor() -> None:
    """Check everything Presort needs, a line each with how to mend it; status 1 when something is broken.

    Looks at Redis, queue, workers and models, at Zendesk's credentials, fields, options and webhook, and sends the
    receiver a signed test. It changes nothing, and asks Zendesk some ten questions.

    Example: presort doctor
    """
    levels: Counter[Level] = Counter()
    for level, about, text in _findings():
        levels[level] += 1
        click.echo(f"{click.style(f'{level:8}', fg=COLOURS[level])} {about:20} {text}")
    click.echo("\n" + ", ".join(f"{levels[level]} {level}" for level in ("broken", "warning", "ok")))
    sys.exit(1 if levels["broken"] else 0)


def _findings() -> Iterator[Finding]:
    try:
        config = settings.load()
    except settings.SettingsError as error:
        yield Finding("broken", "settings", str(error))
        return
    yield Finding("ok", "settings", f"of {', '.join(one.name for one in config.classifiers)}")
    store = Store(config.redis_url)
    try:
        yield from _on_machine(config, store)
    except RedisError as error:
        text = f"{type(error).__name__}: is it running at PRESORT_REDIS_URL? Without it nothing else can be looked at"
        yield Finding("broken", "redis", text)
        return
    try:
        yield from _in_account(config, store)
    except ZendeskError as error:
        yield Finding("broken", "zendesk", str(error))


def _on_machine(config: Settings, store: Store) -> Iterator[Finding]:
    now = time.time()
    yield machine.redis(store)
    yield from machine.queue(store, now)
    yield machine.workers(store)
    yield machine.writes(store, config, now)
    for classifier in config.classifiers:
        yield machine.model(store, classifier.name)
    yield from machine.channels(store, config)


def _in_account(config: Settings, store: Store) -> Iterator[Finding]:
    admin = Admin(config.zendesk, config.zendesk_client_secret, store)
    seen = admin.account(time.time())
    yield from account.credentials(seen, legacy=config.zendesk.email is not None)
    yield account.clock(seen.skew_s, config.receiver.max_age_s)
    fields = admin.fields()
    for classifier in config.classifiers:
        yield from account.field(classifier, fields)
        category, served = fields.get(classifier.field_id), store.model(classifier.name)
        if served and category and not wrong_field(classifier, category):
            unwritten = taxonomy.gone(store.redis, classifier.name)
            yield from account.labels(classifier, category, served.labels, unwritten)
    try:
        finding, webhook = account.webhook(config, admin.webhooks(), admin.triggers())
    except Forbidden:
        yield account.HIDDEN
        if config.receiver.endpoint and config.webhook_secrets:
            yield _receiver(config.receiver.endpoint, config.webhook_secrets[0])
        return
    yield finding
    if webhook:
        signing_secret = admin.signing_secret(webhook.id)
        yield account.secret(signing_secret, config.webhook_secrets)
        yield account.deliveries(admin.invocations(webhook.id), config.zendesk.time_zone)
        yield _receiver(webhook.endpoint, signing_secret)


def _receiver(endpoint: str, signing_secret: str) -> Finding:
    verdict = post_test(endpoint, signing_secret)
    return Finding("ok" if verdict.ok else "broken", "receiver", verdict.text)
