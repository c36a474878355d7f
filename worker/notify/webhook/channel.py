"""Signs a document and sends it; the receiver tells repetitions by the id, and us from others by the signature."""

from __future__ import annotations

from typing import Any

import msgspec

from integration.notices import Notice
from integration.zendesk.signature import sign
from worker.notify import words
from worker.notify.http import post as post_http
from worker.notify.news import News, Target
from worker.notify.webhook import payload

SIGNATURE_HEADER = "X-Presort-Signature"
TIMESTAMP_HEADER = "X-Presort-Signature-Timestamp"
ID_HEADER = "X-Presort-Id"


def send(to: Target, news: News) -> str:
    """Tell what last happened to an alert; raises ``SendError``."""
    return _post(to, payload.document(news, account=to.account, zone=to.zone))


def post(to: Target, notice: Notice, *, again: bool) -> str:  # noqa: ARG001 - its id says so already
    """Tell news without an end; raises ``SendError``."""
    return _post(to, payload.notice(notice, account=to.account))


def _post(to: Target, document: dict[str, Any]) -> str:
    body, timestamp = msgspec.json.encode(document), words.utc(to.parts.clock())
    headers = {
        ID_HEADER: document["id"],
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: sign(to.secret, timestamp, body),
    }
    return post_http(str(to.channel.url), body, headers)
