"""``/oauth/tokens``: the client_credentials grant, Zendesk's way in once API tokens have ended."""

from __future__ import annotations

import hmac
import secrets

from flask import Blueprint, request

from integration.simulator.records import Json, Token
from integration.simulator.simulation import simulation

routes = Blueprint("oauth", __name__)

DEFAULT_LIFE_S = 30 * 60
SHORTEST_LIFE_S = 5 * 60
LONGEST_LIFE_S = 48 * 3600


@routes.post("/oauth/tokens")
def create_token() -> tuple[Json, int]:
    """A bearer token for the client's user; there is no refresh token, the grant is run again."""
    document = request.get_json()
    wanted: Json = document if isinstance(document, dict) else {}
    account = simulation().account
    config = account.config
    if wanted.get("grant_type") != "client_credentials":
        return _refused("unsupported_grant_type", "grant_type must be client_credentials"), 400
    known = hmac.compare_digest(str(wanted.get("client_id")).encode(), config.client_id.encode())
    if not known or not hmac.compare_digest(str(wanted.get("client_secret")).encode(), config.client_secret.encode()):
        return _refused("invalid_client", "Client authentication failed due to unknown client or wrong secret"), 401
    life_s = wanted.get("expires_in", DEFAULT_LIFE_S)
    if not isinstance(life_s, int) or not SHORTEST_LIFE_S <= life_s <= LONGEST_LIFE_S:
        return _refused("invalid_request", f"expires_in must be {SHORTEST_LIFE_S} to {LONGEST_LIFE_S} seconds"), 400
    scope = str(wanted.get("scope") or "read write")
    value = secrets.token_hex(32)
    with account.lock:
        now = account.now()
        account.tokens = {key: token for key, token in account.tokens.items() if token.expires_at > now}
        account.tokens[value] = Token(now + life_s, frozenset(scope.split()))
    return {"access_token": value, "token_type": "bearer", "scope": scope, "expires_in": life_s}, 200


def _refused(error: str, description: str) -> Json:
    return {"error": error, "error_description": description}
