"""Who am I: the integration asks for its own id, to ignore what it did itself. And who else is there."""

from __future__ import annotations

from flask import Blueprint

from integration.simulator.api import gate
from integration.simulator.errors import not_found
from integration.simulator.records import Json
from integration.simulator.simulation import simulation
from integration.simulator.wire import iso, user_json

routes = Blueprint("users", __name__)


@routes.get("/users/me")
def me() -> Json:
    """The user that the credentials belong to."""
    return {"user": user_json(gate.actor())}


@routes.get("/oauth/tokens/current")
def current_token() -> Json:
    """What the token of this request may do; the token itself is not shown whole."""
    token = gate.token()
    return {"token": {"user_id": gate.actor().id, "scopes": sorted(token.scopes), "expires_at": iso(token.expires_at)}}


@routes.get("/groups/<int:group_id>")
def show_group(group_id: int) -> Json:
    """A group of agents."""
    groups = simulation().account.groups
    if group_id not in groups:
        raise not_found()
    return {"group": {"id": group_id, "name": groups[group_id].name, "deleted": False}}


@routes.get("/users/<int:user_id>")
def show(user_id: int) -> Json:
    """A user."""
    users = simulation().account.users
    if user_id not in users:
        raise not_found()
    return {"user": user_json(users[user_id])}
