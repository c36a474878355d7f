"""What an account lacks, and what of it is ours. Pure: no Zendesk, no files.

Nothing is remembered of an installation. A webhook is found by its endpoint, a trigger by the webhook it sends to, a
field by its id in ``presort.toml`` or else by its title: so a second run, on another machine too, finds what the first
one made, and what an admin made by hand. What may be removed again carries ``MADE_BY`` in its description, whatever
its name became.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from integration.install.checks import (
    CHOICE,
    MADE_BY,
    NAME,
    OURS,
    ours_first,
    wrong_field,
    wrong_own_field,
    wrong_trigger,
    wrong_webhook,
)
from integration.settings import Classifier, Settings
from integration.zendesk.setup import Field, Setup, Trigger, Webhook
from integration.zendesk.webhooks import FROM_TRIGGERS, TICKET_CREATED

Action = Literal["keep", "create", "change", "remove"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is there, or is to be: ``what`` is for people."""

    action: Action
    what: str


class FieldStep(Step, frozen=True, kw_only=True):
    """One of our text fields.

    Attributes:
        classifier, setting: where its id belongs in ``presort.toml``.
        title, note: to create it with.
        field_id: None until it is made.
        named: whether ``presort.toml`` has its id already.
    """

    classifier: str
    setting: str
    title: str
    note: str
    field_id: int | None = None
    named: bool = False


class WebhookStep(Step, frozen=True, kw_only=True):
    """The webhook; ``changes`` are attributes to set on one that is there."""

    subscription: str
    webhook_id: str | None = None
    changes: dict[str, Any] = {}


class TriggerStep(Step, frozen=True, kw_only=True):
    """The trigger that sends to the webhook."""

    trigger_id: int | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in the order in which they are carried out; with problems none is."""

    steps: tuple[Step, ...] = ()
    problems: tuple[str, ...] = ()


def plan(config: Settings, endpoint: str, found: Setup, *, by_trigger: bool) -> Plan:
    """Compare an account with what Presort needs.

    Args:
        config: whose classifiers' fields are looked for.
        endpoint: where the webhook is to point.
        found: what is there.
        by_trigger: make a webhook that a trigger sends to, rather than an event subscription; what is there stays
            what it is.
    """
    steps: list[Step] = []
    problems: list[str] = []
    for classifier in config.classifiers:
        if problem := wrong_field(classifier, found.fields.get(classifier.field_id)):
            problems.append(problem)
        else:
            steps.append(_category(classifier, found.fields[classifier.field_id]))
        for setting in OURS:
            if problem := wrong_own_field(classifier, setting, found.fields):
                problems.append(problem)
            else:
                steps.append(_own_field(classifier, setting, found.fields))
    ours = ours_first([one for one in found.webhooks if one.endpoint == endpoint])
    webhook = ours[0] if ours else None
    for other in found.webhooks:
        if MADE_BY in other.note and other.endpoint != endpoint:
            what = f'webhook "{other.name}" to {other.endpoint}, of another installation or an old public_url'
            steps.append(Step(action="keep", what=what))
    if webhook and by_trigger and FROM_TRIGGERS not in webhook.subscriptions:
        problems.append(
            f'webhook "{webhook.name}" to {endpoint} is an event subscription, and Zendesk changes no webhook\'s kind: '
            "run `presort uninstall` first, or install without --trigger"
        )
    steps.append(_webhook(webhook, endpoint, FROM_TRIGGERS if by_trigger else TICKET_CREATED))
    if by_trigger or (webhook and FROM_TRIGGERS in webhook.subscriptions):
        steps.append(_trigger([one for one in found.triggers if webhook and one.webhook_id == webhook.id]))
    return Plan(steps=tuple(steps), problems=tuple(problems))


def removal(config: Settings, endpoint: str | None, found: Setup, *, with_fields: bool) -> Plan:
    """What `presort install` made and may be taken away: the trigger first, for Zendesk keeps a webhook that has one.

    Args:
        config: whose fields they are.
        endpoint: of the webhook; None when ``presort.toml`` does not say.
        found: what is there.
        with_fields: our text fields too, and so what we wrote into them on every ticket.
    """
    steps: list[Step] = []
    for webhook in [one for one in found.webhooks if one.endpoint == endpoint]:
        senders = [one for one in found.triggers if one.webhook_id == webhook.id]
        for trigger in senders:
            what = f'trigger "{trigger.title}" ({trigger.id})'
            steps.append(TriggerStep(action=_fate(trigger.note), what=what, trigger_id=trigger.id))
        needed = any(MADE_BY not in one.note for one in senders)
        what = f'webhook "{webhook.name}" to {webhook.endpoint}' + (", for that trigger" if needed else "")
        action = "keep" if needed else _fate(webhook.note)
        steps.append(WebhookStep(action=action, what=what, subscription="", webhook_id=webhook.id))
    for classifier in config.classifiers:
        for setting in OURS:
            field = found.fields.get(getattr(classifier, setting) or 0)
            if field is not None:
                step = _own_field(classifier, setting, found.fields)
                steps.append(msgspec.structs.replace(step, action=_fate(field.note) if with_fields else "keep"))
    return Plan(steps=tuple(steps))


def _fate(note: str) -> Action:
    return "remove" if MADE_BY in note else "keep"


def _category(classifier: Classifier, field: Field) -> Step:
    what = f'{CHOICE[field.type]} "{field.title}" ({field.id}) and its {len(field.options):,} options'
    return Step(action="keep", what=f"{what}, for classifier {classifier.name}")


def _own_field(classifier: Classifier, setting: str, fields: Mapping[int, Field]) -> FieldStep:
    ending, note = OURS[setting]
    title = f"{NAME} {classifier.name}{ending}"
    field_id: int | None = getattr(classifier, setting)
    named = field_id is not None
    if field_id is None:
        same = (one.id for one in fields.values() if (one.title, one.type, one.active) == (title, "text", True))
        field_id = next(same, None)
    title = title if field_id is None else fields[field_id].title
    known = "" if field_id is None else f" ({field_id})"
    return FieldStep(
        action="create" if field_id is None else "keep",
        what=f'text field "{title}"{known}',
        classifier=classifier.name,
        setting=setting,
        title=title,
        note=f"{note} {MADE_BY}",
        field_id=field_id,
        named=named,
    )


def _webhook(webhook: Webhook | None, endpoint: str, subscription: str) -> WebhookStep:
    if webhook is None:
        what = f'webhook "{NAME}" to {endpoint}, {_kind(subscription)}'
        return WebhookStep(action="create", what=what, subscription=subscription)
    subscription = FROM_TRIGGERS if FROM_TRIGGERS in webhook.subscriptions else TICKET_CREATED
    changes = wrong_webhook(webhook)
    what = f'webhook "{webhook.name}" to {endpoint}, {_kind(subscription)}'
    if changes:
        what += ": " + ", ".join(f"{name} becomes {value}" for name, value in changes.items())
    return WebhookStep(
        action="change" if changes else "keep",
        what=what,
        subscription=subscription,
        webhook_id=webhook.id,
        changes=changes,
    )


def _kind(subscription: str) -> str:
    return "for a trigger" if subscription == FROM_TRIGGERS else "told of every new ticket"


def _trigger(triggers: Sequence[Trigger]) -> TriggerStep:
    good = [one for one in triggers if wrong_trigger(one) is None]
    if good:
        return TriggerStep(action="keep", what=f'trigger "{good[0].title}" ({good[0].id})', trigger_id=good[0].id)
    # A person's may do more than tell us, and would lose it.
    if ours := [one for one in triggers if MADE_BY in one.note]:
        cure = "conditions and actions are set anew"
        what = f'trigger "{ours[0].title}" ({ours[0].id}): {wrong_trigger(ours[0])}; {cure}'
        return TriggerStep(action="change", what=what, trigger_id=ours[0].id)
    return TriggerStep(action="create", what=f'trigger "{NAME}", which sends every new ticket\'s id')
