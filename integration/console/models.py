"""*Models*: what is served, what is published, where the staged model differs; promote and roll back."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from integration.agent_api.desk import Refused
from integration.console import context
from integration.console.asked import TEXTS, desk
from integration.records import Agreed, Shadow
from integration.registries import Order, Reply

routes = Blueprint("models", __name__, url_prefix="/models")

ORDERS_PER_MINUTE = 30
"""Of all admins: each costs a worker some reads of the registry."""


class Beside(NamedTuple):
    """Two models asked about the same tickets; ``rows`` most frequent category first."""

    shadow: Shadow
    tickets: int
    agreed: int
    rows: list[Agreed]


@routes.get("/")
def show() -> str:
    """The whole page; what is published is asked of a worker."""
    classifier, store = context.classifier(), context.store()
    followed = "#" in classifier.bundle
    reply = _ask(Order(classifier=classifier.name)) if followed else None
    model = store.model(classifier.name)
    return context.page(
        "models.html",
        classifier=classifier,
        classifiers=context.config().classifiers,
        followed=followed,
        model=model,
        names={} if model is None else model.labels,
        workers=store.workers(),
        refusals=store.refusals(classifier.name),
        reply=reply,
        held=None if reply is None else held(reply),
        beside=[beside(one) for one in store.shadows(classifier.name)],
        shadowing=context.config().worker.shadow_staged,
    )


@routes.post("/promote")
def promote() -> ResponseReturnValue:
    """Make a version active; where the figures speak against it, say why and offer to force it."""
    classifier, version = context.classifier(), request.form.get("version") or None
    reply = _ask(
        Order(
            classifier=classifier.name,
            task="promote",
            version=version,
            force="force" in request.form,
            by=f"{context.user()} (console)",
        )
    )
    if reply.refusal:
        body = context.page("promote.html", classifier=classifier, version=version, reply=reply)
        return body, 409
    flash(reply.error or f"Promoted: workers serve {reply.name}@{held(reply).get('active')} within about 30 s.")
    return redirect(url_for("models.show", classifier=classifier.name))


@routes.post("/rollback")
def rollback() -> ResponseReturnValue:
    """Make the previous version active again."""
    classifier = context.classifier()
    reply = _ask(Order(classifier=classifier.name, task="rollback", by=f"{context.user()} (console)"))
    flash(reply.error or f"Rolled back: workers serve {reply.name}@{held(reply).get('active')} within about 30 s.")
    return redirect(url_for("models.show", classifier=classifier.name))


@routes.get("/report")
def report() -> ResponseReturnValue:
    """A version's report as a file to keep: its page is whoever trained it's, and never opens in the console's name."""
    classifier, version = context.classifier(), request.args.get("version", "")
    reply = _ask(Order(classifier=classifier.name, task="report", version=version))
    if reply.report is None:
        flash(reply.error or "There is no report.")
        return redirect(url_for("models.show", classifier=classifier.name))
    answer = Response(reply.report, mimetype="text/html")
    safe = "".join(one for one in f"{reply.name}-{version}" if one.isalnum() or one in "-._")
    answer.headers["Content-Disposition"] = f'attachment; filename="{safe}-report.html"'
    return answer


def held(reply: Reply) -> dict[str, str]:
    """Channel to the version it names."""
    return {channel: one.version for one in reply.versions for channel in one.channels}


def beside(shadow: Shadow) -> Beside:
    """Where two models differ."""
    rows = shadow.agreement()
    return Beside(shadow, sum(one.tickets for one in rows), sum(one.agreed for one in rows), rows)


def _ask(order: Order) -> Reply:
    """What a worker says; that none did is an error too."""
    try:
        desk().admit("orders", ORDERS_PER_MINUTE)
        return desk().order(order)
    except Refused as error:
        unsure = " If one has just begun, it is done all the same: look at the versions." if order.by else ""
        return Reply(error=f"{TEXTS.get(error.code, '')}{unsure} ({error})")
