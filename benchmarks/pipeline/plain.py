"""What one would write in an afternoon: Flask, a Celery task a ticket, a ``transformers`` pipeline, zenpy.

Its settings come from the environment: ``PLAIN_REDIS``, ``PLAIN_NETWORK``, ``PLAIN_ZENDESK``, ``PLAIN_FIELD``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import cache
from typing import Any

import requests
from celery import Celery
from flask import Flask, abort, request
from zenpy import Zenpy
from zenpy.lib.api_objects import CustomField

from integration.zendesk.session import LocalAdapter

SECRET = b"benchmark"

server = Flask(__name__)
app = Celery("plain", broker=os.environ.get("PLAIN_REDIS"))
app.conf.task_ignore_result = True


@server.post("/webhook")
def webhook() -> str:
    """Check the signature, queue the ticket."""
    signed = request.headers["X-Zendesk-Webhook-Signature-Timestamp"].encode() + request.get_data()
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(expected, request.headers["X-Zendesk-Webhook-Signature"]):
        abort(401)
    detail = request.get_json()["detail"]
    sort.delay(int(detail["id"]), detail["description"])
    return "queued"


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def sort(ticket_id: int, text: str) -> None:
    """Ask the model, write the answer."""
    topic = _classifier()(text, truncation=True)[0]["label"].replace("LABEL", "topic")
    ticket = _zendesk().tickets(id=ticket_id)
    ticket.custom_fields = [CustomField(id=int(os.environ["PLAIN_FIELD"]), value=topic)]
    _zendesk().tickets.update(ticket)


@cache
def _classifier() -> Any:  # noqa: ANN401 - transformers has no types here
    from transformers import pipeline  # noqa: PLC0415 - by whoever works, not by the receiver

    return pipeline("text-classification", model=os.environ["PLAIN_NETWORK"])


@cache
def _zendesk() -> Zenpy:
    session = requests.Session()
    url = os.environ["PLAIN_ZENDESK"]
    # Only this is ours: the local Zendesk in the account's place, and a token that it gave.
    session.mount("https://", LocalAdapter(url))
    grant = {"grant_type": "client_credentials", "client_id": "presort", "client_secret": "simulated-client-secret"}
    token = requests.post(f"{url}/oauth/tokens", json=grant | {"scope": "read write"}, timeout=10).json()
    session.headers["Authorization"] = f"Bearer {token['access_token']}"
    session.authorized = True  # type: ignore[attr-defined]  # what zenpy looks for
    return Zenpy(subdomain="benchmark", session=session)
