"""What Zendesk tells: credentials, fields against the model's labels, the webhook and its deliveries. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from integration.doctor.finding import Finding
from integration.install.checks import OURS, ours_first, wrong_field, wrong_own_field, wrong_trigger, wrong_webhook
from integration.settings import Classifier, Settings
from integration.taxonomy import compare
from integration.times import local_time
from integration.zendesk.session import LEGACY_WARNING
from integration.zendesk.setup import Account, Field, Invocation, Trigger, Webhook
from integration.zendesk.webhooks import FROM_TRIGGERS

CLOCK_S = 30
"""A clock that is off by more is not kept by NTP. Zendesk's Date header counts whole seconds."""


def credentials(account: Account, *, legacy: bool) -> list[Finding]:
    """Whether we are let in, may read and write, and for how long; ``legacy``: with an API token."""
    found: list[Finding] = []
    missing = {"read", "write"} - account.scopes if account.scopes is not None else set()
    if missing:
        text = f"the token lacks the scope {', '.join(sorted(missing))}: allow it for the OAuth client in Admin Center"
        found.append(Finding("broken", "credentials", text))
    elif account.role != "admin":
        text = f"{account.user} is no admin: it may sort tickets, but not export them, and not run `presort install`"
        found.append(Finding("warning", "credentials", text))
    else:
        scopes = f", scope {' '.join(sorted(account.scopes))}" if account.scopes is not None else ""
        found.append(Finding("ok", "credentials", f"{account.user}, {account.role}{scopes}"))
    if legacy:
        found.append(Finding("warning", "credentials", LEGACY_WARNING))
    return found


def clock(skew_s: float | None, max_age_s: float) -> Finding:
    """Whether this machine's clock is Zendesk's: deliveries carry the time they were signed at.

    Args:
        skew_s: seconds this machine is ahead.
        max_age_s: how far off a delivery may be.
    """
    if skew_s is None:
        return Finding("warning", "clock", "Zendesk's answer tells no time: is there a proxy between that removes it?")
    off = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} Zendesk's"
    if abs(skew_s) >= max_age_s:
        return Finding("broken", "clock", f"{off}, so every delivery is refused: keep time with NTP")
    if abs(skew_s) > CLOCK_S:
        return Finding("warning", "clock", f"{off}; {max_age_s:.0f} s are allowed: keep time with NTP")
    return Finding("ok", "clock", off)


def field(classifier: Classifier, fields: Mapping[int, Field]) -> list[Finding]:
    """The category field and our own beside it."""
    about = f"fields {classifier.name}"
    wrong = [wrong_field(classifier, fields.get(classifier.field_id))]
    wrong += [wrong_own_field(classifier, setting, fields) for setting in OURS]
    if problems := [one for one in wrong if one]:
        return [Finding("broken", about, one) for one in problems]
    category = fields[classifier.field_id]
    own = sum(getattr(classifier, setting) is not None for setting in OURS)
    text = f'"{category.title}" has {len(category.options):,} options; {own} of {len(OURS)} fields of Presort\'s own'
    if own < len(OURS) and classifier.mode != "shadow":
        return [Finding("warning", about, f"{text}: `presort install` makes the others")]
    return [Finding("ok", about, text)]


def labels(
    classifier: Classifier, category: Field, labels: Mapping[str, str], unwritten: Mapping[str, int]
) -> list[Finding]:
    """The labels of the model that is served against the options of its field.

    Args:
        classifier: with its aliases.
        category: the field.
        labels: the model's, tag to name.
        unwritten: decisions that ran into a missing option lately, by label.
    """
    about = f"labels {classifier.name}"
    gone, new, idle = compare(labels, category.options, classifier.aliases)
    found = []
    if gone:
        named = ", ".join(
            _named(tag, name) + (f", {unwritten[tag]:,} decisions not written" if tag in unwritten else "")
            for tag, name in gone.items()
        )
        text = (
            f'{len(gone)} of {len(labels)} have no option in "{category.title}" and are never written: {named}. '
            "Add the option, or name the renamed one under aliases in presort.toml"
        )
        found.append(Finding("broken" if len(gone) == len(labels) else "warning", about, text))
    else:
        found.append(Finding("ok", about, f"all {len(labels)} are options of {category.title!r}"))
    if new:
        named = ", ".join(_named(tag, name) for tag, name in new.items())
        count = f"{len(new)} of {len(category.options)} options"
        text = f"{count} are unknown to the model, which never answers so: {named}. Train on newer tickets"
        found.append(Finding("warning", about, text))
    if idle:
        text = f"aliases of labels that the model does not have: {', '.join(idle)}. Take them out of presort.toml"
        found.append(Finding("warning", about, text))
    return found


HIDDEN = Finding(
    "warning",
    "webhook",
    "Zendesk shows webhooks, their secrets and deliveries to admins only (403), so they cannot be looked at: take the "
    "OAuth client, or the token, of an admin",
)
"""Instead of all that is said of the webhook, when our user is no admin."""


def webhook(
    config: Settings, webhooks: Sequence[Webhook], triggers: Sequence[Trigger]
) -> tuple[Finding, Webhook | None]:
    """Whether a webhook tells us of new tickets; and that webhook, None when there is none or none is known of."""
    endpoint = config.receiver.endpoint
    if endpoint is None:
        text = "public_url is not set under [receiver] in presort.toml: set it, so that the webhook can be looked for"
        return Finding("warning", "webhook", text), None
    pointing = ours_first([one for one in webhooks if one.endpoint == endpoint])
    if not pointing:
        return Finding("broken", "webhook", f"none points to {endpoint}: run `presort install`"), None
    ours = pointing[0]
    what = f'"{ours.name}" to {endpoint}'
    if wrong := wrong_webhook(ours):
        named = ", ".join(f"{name} must be {value}" for name, value in wrong.items())
        return Finding("broken", "webhook", f"{what}: {named}: run `presort install`"), ours
    if FROM_TRIGGERS in ours.subscriptions:
        reasons = [wrong_trigger(one) for one in triggers if one.webhook_id == ours.id]
        if None not in reasons:
            text = f"the trigger that sends to {what}: {reasons[0] if reasons else 'there is none'}"
            return Finding("broken", "webhook", f"{text}: run `presort install`"), ours
    if len(pointing) > 1:
        text = f"{len(pointing)} webhooks point to {endpoint}, so every ticket is told of more than once: remove one"
        return Finding("warning", "webhook", text), ours
    return Finding("ok", "webhook", f"{what} is active"), ours


def secret(signing_secret: str, known: Sequence[str]) -> Finding:
    """Whether the receiver's settings, as seen from here, hold what the webhook signs with."""
    if signing_secret in known:
        return Finding("ok", "secret", "PRESORT_WEBHOOK_SECRETS holds the webhook's")
    cure = "`presort install --secret-file FILE` fetches it; then restart the receiver"
    if not known:
        return Finding("warning", "secret", f"PRESORT_WEBHOOK_SECRETS is not set here, nothing to compare: {cure}")
    return Finding("broken", "secret", f"PRESORT_WEBHOOK_SECRETS does not hold the webhook's: {cure}")


def deliveries(invocations: Sequence[Invocation], zone: str) -> Finding:
    """How the last deliveries went, as Zendesk saw them; what was lost so far is found again by reconciliation."""
    if not invocations:
        return Finding("ok", "deliveries", "Zendesk remembers none yet")
    newest_first = sorted(invocations, key=lambda one: one.at or 0.0, reverse=True)
    failed = [one for one in newest_first if one.status != "success"]
    if not failed:
        return Finding("ok", "deliveries", f"the last {len(invocations)} all arrived")
    last = failed[0]
    when = f" at {local_time(last.at, zone)}" if last.at else ""
    answered = f"HTTP {last.code}" if last.code else "no answer"
    text = (
        f"{len(failed)} of the last {len(invocations)} failed, the latest{when} with {answered}: the receiver's log, "
        "and Admin Center > Webhooks > Activity, say why"
    )
    return Finding("broken" if newest_first[0] is last else "warning", "deliveries", text)


def _named(tag: str, name: str) -> str:
    return f"{name} ({tag})" if name and name != tag else tag
