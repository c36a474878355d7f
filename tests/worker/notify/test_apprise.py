"""Apprise: a JSON receiver stands for chats, and a real mail arrives at a real SMTP server."""

from __future__ import annotations

import email
import logging
import socketserver
import threading
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage

import msgspec
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from integration.notices import Notice
from integration.settings import Channel
from tests.worker.conftest import Sink
from tests.worker.notify.support import AT, alert, listening, news, over
from worker.notify.apprise import channel
from worker.notify.errors import SendError
from worker.notify.news import Target
from worker.parts import Parts

CHAT = Channel(name="chat", kind="apprise")


class Mailbox(socketserver.ThreadingTCPServer):
    """As much of SMTP (RFC 5321) as a mail needs."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One conversation."""
        assert isinstance(self.server, Mailbox)
        self.wfile.write(b"220 mailbox\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                rows = iter(self.rfile.readline, b".\r\n")
                raw = b"".join(row.removeprefix(b".") if row.startswith(b"..") else row for row in rows)
                message = email.message_from_bytes(raw, policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.server.mails.append(message)
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def target(parts: Parts, url: str) -> Target:
    listening(parts, CHAT)
    parts.config = msgspec.structs.replace(parts.config, channel_secrets={"chat": url})
    return Target(CHAT, parts)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (news(alert()), "warning"),
        (news(alert(severity="critical")), "failure"),
        (news(alert(event="acknowledged", acknowledged_by="kim"), first=False), "info"),
        (news(over(alert()), first=False), "success"),
        (news(over(alert(), state="settled", event="settled"), first=False), "info"),
    ],
)
def test_title_text_and_colour_arrive(parts: Parts, sink: Sink, told: object, kind: str) -> None:
    assert channel.send(target(parts, sink.url), told) == "sent"  # type: ignore[arg-type]  # a table holds objects
    (heard,) = sink.heard
    assert heard["type"] == kind
    assert "Orders::Refund" in heard["title"]
    assert "Where is my money?" in heard["message"]


def test_a_mail_arrives(parts: Parts, mailbox: Mailbox) -> None:
    port = mailbox.server_address[1]
    url = f"mailto://127.0.0.1:{port}?from=presort@acme.test&to=ops@acme.test&mode=insecure&format=text"
    channel.send(target(parts, url), news(alert(severity="critical")))
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Spike (critical): Orders::Refund, 47 tickets in 30 min where 4.2 are usual"
    assert "ops@acme.test" in mail["To"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert "https://acme.zendesk.com/agent/tickets/7" in body.get_content()


def test_a_notice_that_may_be_a_repetition_says_so(parts: Parts, sink: Sink) -> None:
    notice = Notice(id="n", title="No longer filled", body="60 of 100", at=AT)
    channel.post(target(parts, sink.url), notice, again=False)
    channel.post(target(parts, sink.url), notice, again=True)
    assert [one["message"].startswith("(Perhaps told before") for one in sink.heard] == [False, True]


@pytest.mark.parametrize("status", [0, 400, 401, 404, 429, 500])
def test_apprise_says_only_that_it_failed_so_it_is_tried_again(parts: Parts, sink: Sink, status: int) -> None:
    sink.status = status
    with pytest.raises(SendError, match="refused, or nobody answered") as caught:
        channel.send(target(parts, sink.url), news(alert()))
    assert not caught.value.permanent


@pytest.mark.parametrize("url", ["nonsense://secret-token", "json://127.0.0.1 json://127.0.0.2"])
def test_a_url_nobody_understands_is_for_good_and_not_quoted(
    parts: Parts, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SendError, match="PRESORT_CHANNEL_CHAT") as caught:
        channel.send(target(parts, url), news(alert()))
    assert caught.value.permanent
    assert "secret-token" not in str(caught.value) + caplog.text


def test_a_redirect_leads_nowhere(parts: Parts, sink: Sink) -> None:
    """What is told goes to the host that the admin named, and its answer names no other."""

    @Request.application
    def away(_: Request) -> Response:
        return Response(status=307, headers={"Location": sink.url.replace("json://", "http://")})

    server = make_server("127.0.0.1", 0, away)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(SendError, match="refused, or nobody answered"):
            channel.send(target(parts, f"json://127.0.0.1:{server.port}/"), news(alert()))
    finally:
        server.shutdown()
        server.server_close()
    assert sink.heard == []
