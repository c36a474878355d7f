"""Everything the simulator can be told, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from integration.zendesk.signature import PUBLIC_TEST_SECRET

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class SimulatorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The account that the simulator plays; the defaults are a Professional plan's limits.

    Attributes:
        account_id: as it stands in event payloads.
        client_id, client_secret: the OAuth client that may ask for tokens.
        api_token: accepted as ``<a user's e-mail>/token:<api_token>``; empty refuses basic authentication, as accounts
            do once API tokens have ended.
        webhook_url: where a webhook subscribed to ``ticket.created`` points from the start; empty makes none.
        webhook_secret: that webhook's signing secret; webhooks made later get random ones.
        tests_signed_publicly: whether a test of a saved webhook is signed with Zendesk's public test secret rather than
            the webhook's own; Zendesk documents the former for webhooks that are not saved yet, and says nothing of
            saved ones.
        category_kind: whether the category field is a drop-down (``tagger``) or a ``multiselect``.
        options: its options as (tag, name).
        category_field_id, predicted_field_id, confidence_field_id, model_field_id: ids of the four seeded fields.
        category_title, predicted_title, confidence_title, model_title: their titles.
        requests_per_minute: for the whole account, every route (Team 200, Professional 400, Enterprise 700).
        updates_per_minute: ticket updates of the whole account (20 on trials, 300 with the High Volume add-on).
        updates_per_ticket: in ten minutes, for one user and ticket.
        exports_per_minute: requests for the incremental export.
        searches_per_minute: requests for the search export.
        update_many_counts_tickets: whether ``update_many`` takes one of ``updates_per_minute`` for each ticket
            rather than one in all; Zendesk does not say.
        assign_on_solve: whether who solves a ticket without an assignee becomes it; where not, Zendesk refuses.
        job_time_s: from ``queued`` to ``completed``; half of it passes before ``working``.
        max_jobs: unfinished jobs; one more is answered ``TooManyJobs``.
        export_lag_s: changes younger than this are left out of the incremental export.
        delivery_timeout_s: how long a webhook's receiver may take to answer.
        delivery_retry_s: pause before a retry for which the receiver named none; Zendesk does not say.
        delivery_threads: deliveries under way at once.
    """

    account_id: int = 21825834
    client_id: str = "presort"
    client_secret: str = "simulated-client-secret"  # noqa: S105 - opens nothing but this simulator
    api_token: str = ""

    webhook_url: str = ""
    webhook_secret: str = PUBLIC_TEST_SECRET
    tests_signed_publicly: bool = False

    category_kind: Literal["tagger", "multiselect"] = "tagger"
    options: tuple[tuple[str, str], ...] = (
        ("billing", "Billing"),
        ("login", "Login and account"),
        ("delivery", "Delivery"),
        ("bug", "Something is broken"),
        ("question", "How do I ...?"),
    )
    category_field_id: int = 360000000101
    predicted_field_id: int = 360000000102
    confidence_field_id: int = 360000000103
    model_field_id: int = 360000000104
    category_title: str = "Category"
    predicted_title: str = "Presort category"
    confidence_title: str = "Presort confidence"
    model_title: str = "Presort model"

    requests_per_minute: Count = 400
    updates_per_minute: Count = 100
    updates_per_ticket: Count = 30
    exports_per_minute: Count = 10
    searches_per_minute: Count = 100
    update_many_counts_tickets: bool = False
    assign_on_solve: bool = True
    job_time_s: Seconds = 1.0
    max_jobs: Count = 30
    export_lag_s: Seconds = 60.0

    delivery_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 12.0
    delivery_retry_s: Seconds = 2.0
    delivery_threads: Count = 8


def read(path: Path) -> SimulatorConfig:
    """The configuration in a JSON file; what it leaves out keeps its default.

    Raises:
        OSError: the file cannot be read.
        msgspec.ValidationError: a name or a value is wrong; the message says which.
    """
    return msgspec.json.decode(path.read_bytes(), type=SimulatorConfig)
