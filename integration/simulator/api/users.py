"""Who am I: the integration asks for its own id, to ignore what it did itself."""

from __future__ import annotations

from flask import Blueprint

from integration.simulator.api.gate import actor
from integration.simulator.errors import not_found
from integration.simulator.records import Json
from integration.simulator.simulation import simulation
from integration.simulator.wire import user_json

routes = Blueprint("users", __name__)


@routes.get("/users/me")
def me() -> Json:
    """The user that the credentials belong to."""
    return {"user": user_json(actor())}


@routes.get("/users/<int:user_id>")
def show(user_id: int) -> Json:
    """A user."""
    users = simulation().account.users
    if user_id not in users:
        raise not_found()
    return {"user": user_json(users[user_id])}
