"""What every API request passes: faults, authentication, the account's budgets; and the headers it leaves with."""

from __future__ import annotations

import base64
import binascii
import hmac
import time

import msgspec
from flask import Response, abort, g, request

from integration.simulator.account import INTEGRATION, Account
from integration.simulator.errors import ApiError, limited, not_found
from integration.simulator.limits import Window
from integration.simulator.records import Token, User
from integration.simulator.simulation import simulation


def enter() -> None:
    """Let a request pass, as a user that ``actor`` then names.

    Raises:
        ApiError: 401, 403, or 429 with ``Retry-After``.
        HTTPException: the ``status`` or the ``down`` fault; an HTML page, as a gateway sends.
    """
    running = simulation()
    faults, since = running.faults, running.faults_since
    account = running.account
    with account.lock:
        account.requests[f"{request.method} {request.url_rule}"] += 1
    if faults.slow:
        time.sleep(faults.slow)
    with account.lock:
        if faults.status or faults.down:
            abort(faults.status or 503)
        g.presort_user = _authenticate(account)
        now = account.now()
        if (left := since + faults.rate_limited - now) > 0:
            raise limited("API requests per minute", left)
        if not account.requests_left.take(now):
            raise limited("API requests per minute", account.requests_left.reset_s(now))


def leave(response: Response) -> Response:
    """Put the budgets on the answer, under the old names and the new ones; a 429 says what the faults make it say."""
    running = simulation()
    account, retry_after = running.account, running.faults.retry_after
    with account.lock:
        window, now = account.requests_left, account.now()
        for name in ("X-Rate-Limit", "ratelimit-limit"):
            response.headers[name] = str(window.limit)
        for name in ("X-Rate-Limit-Remaining", "ratelimit-remaining"):
            response.headers[name] = str(window.remaining())
        response.headers["ratelimit-reset"] = str(int(window.reset_s(now)))
        if response.status_code == 429:
            account.counts["limited"] += 1
            if retry_after is None:
                response.headers.pop("Retry-After", None)
            elif retry_after is not msgspec.UNSET:
                response.headers["Retry-After"] = f"{retry_after:g}"
    return response


def actor() -> User:
    """The user that the present request acts as."""
    user: User = g.presort_user
    return user


def token() -> Token:
    """The bearer token of the present request.

    Raises:
        ApiError: 404, it came with another way in.
    """
    found: Token | None = g.get("presort_token")
    if found is None:
        raise not_found()
    return found


def only_admins() -> None:
    """Refuse anyone but an admin.

    Raises:
        ApiError: 403.
    """
    if actor().role != "admin":
        raise ApiError(403, "Forbidden", "You do not have access to this page. Please contact the account owner")


def only_admins_change() -> None:
    """Refuse what changes the account's set-up from anyone but an admin; others may look at it.

    Raises:
        ApiError: 403.
    """
    if request.method != "GET":
        only_admins()


def spend_updates(account: Account, ticket_ids: list[int], requests: int) -> None:
    """Take ticket updates from the account's budget and from the user's for each ticket.

    Raises:
        ApiError: 429; it can come while the request headers still look generous.
    """
    now = account.now()
    for ticket_id in ticket_ids:
        key = (actor().id, ticket_id)
        window = account.ticket_updates_left.setdefault(key, Window(account.config.updates_per_ticket, period_s=600))
        if not window.take(now):
            raise limited("updates of this ticket by one user in ten minutes", window.reset_s(now))
    if not account.updates_left.take(now, requests):
        raise limited("ticket updates per minute", account.updates_left.reset_s(now))


def _authenticate(account: Account) -> User:
    """The integration for a bearer token; for the legacy API token whoever the e-mail names.

    Raises:
        ApiError: 401 without valid credentials, 403 when the token's scope does not reach.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = account.tokens.get(credentials)
        if token is None or account.now() >= token.expires_at:
            raise ApiError(401, "invalid_token", "The access token provided is expired, revoked, malformed or invalid.")
        g.presort_token = token
        needed = "read" if request.method == "GET" else "write"
        if needed not in token.scopes:
            raise ApiError(403, "Forbidden", f"You are missing the following required scopes: {needed}")
        return account.users[INTEGRATION.id]
    if scheme.lower() == "basic" and account.config.api_token:
        for user in account.users.values():
            expected = f"{user.email}/token:{account.config.api_token}"
            if hmac.compare_digest(_decoded(credentials), expected.encode()):
                return user
    raise ApiError(401, "Couldn't authenticate you")


def _decoded(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return b""
