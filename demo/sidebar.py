"""The sidebar app on a page without Zendesk: its own files as packed, a fake of Zendesk's frame, our real API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from playwright.sync_api import Page, Route

from integration.agent_api import packing

APP = "https://presort.apps.example"
SDK = "https://static.zdassets.com/zendesk_app_framework_sdk/2.0/zaf_sdk.min.js"
FAKE = Path(__file__).with_name("fake_zaf.js")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
WIDTH = 320
"""Pixels of Zendesk's sidebar."""

AGENT = 7001


def token(ticket: int, secret: str, *, life_s: float = 60, algorithm: str = "HS256", **more: object) -> str:
    """What Zendesk's proxy signs for the app; a claim that is None is left out."""
    claims: dict[str, object] = {"exp": int(time.time() + life_s), "aud": "presort"}
    claims |= {"ticket_id": str(ticket), "agent_id": str(AGENT)} | more
    return jwt.encode({name: one for name, one in claims.items() if one is not None}, secret, algorithm=algorithm)


@dataclass
class Frame:
    """The agent's screen: the app in Zendesk's sidebar.

    Attributes:
        console: the API's address.
        secret: what Zendesk signs with.
        away: Presort cannot be reached.
        asked: the app's requests.
        complaints: what the browser had to complain about.
    """

    page: Page
    console: str
    secret: str
    ticket: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    refuses: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, ticket_id: int, subject: str, description: str, status: str = "open", **more: object) -> None:
        """Open the ticket; further paths of ZAF are written with ``__`` for the dot."""
        self.ticket = {
            "ticket.id": ticket_id,
            "ticket.status": status,
            "ticket.subject": subject,
            "ticket.description": description,
            "ticket.via": {"channel": "email"},
            "currentUser.id": AGENT,
            "currentUser.locale": "en-US",
        } | {name.replace("__", "."): value for name, value in more.items()}
        host = {"ticket": self.ticket, "form": {}, "refuses": self.refuses}
        host["metadata"] = {"settings": {"api_url": self.console + "/"}}
        self.page.add_init_script(f"window.HOST = {json.dumps(host)};")
        self.page.goto(f"{APP}/assets/iframe.html")

    @property
    def form(self) -> dict[str, Any]:
        """What the app set in the ticket's form."""
        found: dict[str, Any] = self.page.evaluate("window.HOST.form")
        return found

    def proxy(self, options: dict[str, Any]) -> dict[str, Any]:
        """Zendesk's proxy: signs with the setting, as the app asks for, and lets no secret into the browser."""
        self.asked.append(options)
        if self.away:
            return {"status": 502, "text": "<html>Bad gateway</html>"}
        asked = options["jwt"]
        bearer = token(0, self.secret, life_s=asked["expiry"], algorithm=asked["algorithm"], **asked["claims"])
        filled = {name: value.replace("{{jwt.token}}", bearer) for name, value in options["headers"].items()}
        headers = filled | {"Content-Type": options["contentType"]}
        body = options.get("data", "").encode()
        answer = requests.request(options["type"], options["url"], data=body, headers=headers, timeout=20)
        return {"status": answer.status_code, "text": answer.text}


@contextmanager
def frame(page: Page, console: str, secret: str) -> Iterator[Frame]:
    """Play Zendesk around the app in a page, which is closed in the end."""
    frame = Frame(page, console, secret)
    files = packing.files("https://presort.acme.com")

    def serve(route: Route) -> None:
        if route.request.url == SDK:
            route.fulfill(body=FAKE.read_text(encoding="utf-8"), content_type="text/javascript")
            return
        name = urlsplit(route.request.url).path.lstrip("/")
        if name not in files:
            route.fulfill(status=404 if name != "favicon.ico" else 204)
            return
        route.fulfill(body=files[name], content_type=TYPES[Path(name).suffix])

    page.route("**/*", serve)
    page.expose_function("zendeskProxy", frame.proxy)
    page.on("console", lambda message: frame.complaints.append(message.text))
    page.on("pageerror", lambda error: frame.complaints.append(str(error)))
    yield frame
    page.close()
