"""A plan carried out, step by step. What is interrupted goes on: the next plan finds what this one made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import msgspec

from integration.install.checks import MADE_BY, NAME
from integration.install.plan import FieldStep, Plan, Step, TriggerStep, WebhookStep
from integration.zendesk.admin import Admin

Say = Callable[[Step], None]
"""Tells a person that a step is done."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan.

    Attributes:
        webhook_id: made now or before.
        ids: of the fields that ``presort.toml`` does not name yet, by classifier and setting.
    """

    webhook_id: str
    ids: dict[str, dict[str, int]]


def apply(plan: Plan, admin: Admin, endpoint: str, say: Say) -> Made:
    """Make and change what the plan says.

    Raises:
        ZendeskError: a step failed; those before it are done.
    """
    ids: dict[str, dict[str, int]] = defaultdict(dict)
    webhook_id = ""
    for step in plan.steps:
        match step:
            case FieldStep():
                field_id = step.field_id or admin.create_text_field(step.title, step.note)
                if not step.named:
                    ids[step.classifier][step.setting] = field_id
            case WebhookStep():
                webhook_id = step.webhook_id or admin.create_webhook(
                    NAME, endpoint, step.subscription, f"Tells Presort of new tickets. {MADE_BY}"
                )
                if step.changes:
                    admin.change_webhook(webhook_id, step.changes)
            case TriggerStep(action="create"):
                admin.create_trigger(NAME, webhook_id, f"Tells Presort of new tickets. {MADE_BY}")
            case TriggerStep(action="change", trigger_id=int(trigger_id)):
                admin.repair_trigger(trigger_id, webhook_id)
        if step.action != "keep":
            say(step)
    return Made(webhook_id=webhook_id, ids=dict(ids))


def remove(plan: Plan, admin: Admin, say: Say) -> None:
    """Remove what the plan says.

    Raises:
        ZendeskError: a step failed; those before it are done.
    """
    for step in plan.steps:
        match step:
            case FieldStep(action="remove", field_id=int(field_id)):
                admin.delete_field(field_id)
            case WebhookStep(action="remove", webhook_id=str(webhook_id)):
                admin.delete_webhook(webhook_id)
            case TriggerStep(action="remove", trigger_id=int(trigger_id)):
                admin.delete_trigger(trigger_id)
            case _:
                continue
        say(step)
