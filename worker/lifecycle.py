"""What becomes of an alert: from its state, what the counts say of its row and the time to its next state.

Pure: no Redis, no clock. ``step`` is asked once a tick for each row; ``regroup`` then looks at what fires together.
What they return has a new revision, and where people should hear of it new news; ``integration.alerting`` writes it, if
the state that it was made from is still the present one.

    idle -> firing -> resolved -> (two hours) -> closed
              ^  |       |
              |  |       '-> firing again: "reopened", the same alert
              |  '-> settled, if seen after a day still: the new normal -> (two hours) -> closed
              '-- "grew": the ratio doubled, or half an hour passed

What ended waits up to a day for a channel that heard of it and is away.
Times below are ticks of a minute; the demo's are shorter.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from integration.alerting import Silence, all_heard, without_text
from integration.records import Alert, Event, Severity
from integration.settings import Spikes
from worker.spikes import WEEK, extra, threshold

HOLD = 15
"""An alert lasts at least so long, and a silence counts from so many ticks without a ticket."""

AGAIN = 30
"""So often is an alert that lasts told anew."""

COOLDOWN = 120
"""What ended fires again within: the same alert re-opens; later too, while a channel has not heard of its end."""

LEVEL = 1440
"""What fires for so long, and is seen still, is the new normal."""

TOGETHER = 30
"""Alerts that open within so long of one another may be one incident,"""

INCIDENT = 3
"""and are, if they are so many."""

CRITICAL_RATIO, CRITICAL_SHARE, CRITICAL_WEEKS = 3.0, 0.1, 52
"""Critical is a spike of at least this ratio (its lower bound) and share of all tickets, that chance alone would not
show in as many weeks; and that no tickets come at all. All else is a warning."""


class Sign(NamedTuple):
    """What the detector says of a row at the newest tick.

    Attributes:
        category, name, kind: as in ``Alert``.
        statistic: hours; how long chance alone would need to show as much.
        observed, expected: tickets in the ``window_s`` seconds that speak most clearly.
        low, high: 90 % interval of the ratio.
        share: the row's part of all tickets in the window.
        held: why it must not fire now; None when it may.
        explained: another row's alert says it already.
        over: whether there is evidence that its spike has ended.
        complete: whether all tickets up to here are counted: the queue has no backlog.
        stopped: whether tickets come at all; while they do not, nothing is learned of an end.
        age_s: seconds between the newest tick and now.
    """

    category: str
    name: str
    kind: Literal["spike", "silence"]
    statistic: float
    observed: int
    expected: float
    window_s: float
    low: float
    high: float
    share: float
    held: str | None = None
    explained: bool = False
    over: bool = False
    complete: bool = True
    stopped: bool = False
    age_s: float = 0.0


def fires(sign: Sign, budget: float, config: Spikes) -> bool:
    """Whether a row is news; ``budget``: decades by which its threshold is raised, see ``spikes.extra``."""
    if sign.held is not None or sign.explained or sign.statistic < threshold(config.weeks) * 10**budget:
        return False
    if sign.kind == "silence":
        return sign.complete and sign.observed == 0 and sign.window_s >= HOLD * config.tick_s
    return sign.observed >= config.min_tickets and sign.low > config.min_ratio


def budget(past: Iterable[Alert], now: float, config: Spikes) -> float:
    """Decades by which a row's threshold is raised, after its closed alerts and what people said of them."""
    hour = 60 * config.tick_s
    steps = {None: 1, True: 0, False: 2}  # a useful one costs nothing, one that is not useful twice
    events = sorted((alert.opened_at / hour, steps[alert.useful]) for alert in past)
    return extra(events, now / hour, config.weeks)


def step(
    alert: Alert | None,
    sign: Sign,
    now: float,
    config: Spikes,
    *,
    classifier: str,
    raised: float = 0.0,
    silences: Sequence[Silence] = (),
    members: int = 0,
) -> Alert | None:
    """The next state of a row's alert.

    Args:
        alert: its present state, None when it has none.
        sign: what the counts say.
        now: Unix seconds.
        config: sensitivity, and the length of a tick.
        classifier: whose row it is.
        raised: decades by which its threshold is raised, see ``budget``.
        silences: those that may cover it.
        members: how many others of the incident that it leads still fire; it ends with the last of them.

    Returns:
        The same object when nothing changed; None when there is none, or when it is to be closed.
    """
    if alert is None:
        if not fires(sign, raised, config):
            return None
        alert = Alert(
            id=uuid.uuid4().hex[:12],
            classifier=classifier,
            category=sign.category,
            name=sign.name,
            kind=sign.kind,
            opened_at=now,
            told_at=now,
            **_figures(sign, "warning"),
            started_at=now - sign.age_s - sign.window_s,
        )
        return msgspec.structs.replace(alert, silenced_until=_silenced_until(alert, silences, now))
    if alert.state == "firing":
        return _go_on(alert, sign, now, config, until=_silenced_until(alert, silences, now), members=members)
    if alert.state == "resolved" and fires(sign, raised, config):
        # It is held, and looked at for its end, from now on; and stands alone, whatever it belonged to before.
        again = {"opened_at": now, "told_at": now, "resolved_at": None, "flaps": alert.flaps + 1, "incident": None}
        nobody = {"acknowledged_by": None, "acknowledged_at": None}
        until = {"silenced_until": _silenced_until(alert, silences, now)}
        more = {**again, **nobody, **until, **_figures(sign, alert.severity)}
        return _news(alert, "reopened", state="firing", **more)
    # What settled, and fires anew at its new level, does not keep its place for a channel that is away.
    return _rest(alert, now, config, wanted=alert.state == "settled" and fires(sign, raised, config))


def gone(alert: Alert, now: float, config: Spikes) -> Alert | None:
    """The next state of an alert whose row is not counted any longer: its label or classifier was removed."""
    if alert.state == "firing":
        return _news(alert, "gone", state="resolved", resolved_at=now)
    return _rest(alert, now, config)


def _go_on(alert: Alert, sign: Sign, now: float, config: Spikes, *, until: float | None, members: int) -> Alert:
    tick = config.tick_s
    known = sign.complete and not sign.stopped
    if sign.over and known and not members and now - alert.opened_at >= HOLD * tick:
        return _news(alert, "resolved", state="resolved", resolved_at=now, silenced_until=until)
    if alert.kind == "spike" and known and now - alert.opened_at >= LEVEL * tick:
        # Where tickets are rare a day may bring too few for evidence of an end; what nothing shows is no new normal.
        end: Literal["resolved", "settled"] = "settled" if sign.low > 1 else "resolved"
        return _news(alert, end, state=end, resolved_at=now, silenced_until=until)
    doubled = _ratio(sign) >= 2 * _ratio(alert)
    if (doubled and sign.observed > alert.observed) or now - alert.told_at >= AGAIN * tick:
        figures = {**_figures(sign, alert.severity), "peak": max(alert.peak, _ratio(sign))}
        more = {"told_at": now, "silenced_until": until, **figures}
        quiet = alert.acknowledged_by is not None or until is not None or alert.incident not in {None, alert.id}
        return _changed(alert, **more) if quiet else _news(alert, "grew", **more)
    return alert if until == alert.silenced_until else _changed(alert, silenced_until=until)


def _rest(alert: Alert, now: float, config: Spikes, *, wanted: bool = False) -> Alert | None:
    """An alert that ended is closed after the cooldown, once whoever heard of it has heard its end.

    For that it waits a day, without what was read in tickets, unless its place is ``wanted``.
    """
    rested = (now - (alert.resolved_at or now)) / config.tick_s
    if rested < COOLDOWN:
        return alert
    if wanted or rested >= LEVEL or all_heard(alert):
        return None
    bare = without_text(alert)
    return alert if bare is alert else _changed(bare)


def regroup(alerts: Sequence[Alert], attached: Mapping[str, Collection[str]], config: Spikes) -> list[Alert]:
    """What changes because of what fires together, each state one revision later.

    Three or more spikes that open within half an hour become one incident: the first of them leads, it alone is told,
    as severe as the worst of them, and its members are in ``also``; who opens within half an hour of its newest member
    joins. An alert without an incident has in ``also`` what else fires.

    Args:
        alerts: all active ones of one classifier.
        attached: names of rows that rise because the classifier confuses them with a category that fires, by category.
        config: the length of a tick.
    """
    spikes = sorted((one for one in alerts if one.state == "firing" and one.kind == "spike"), key=lambda a: a.opened_at)
    firing = {one.id for one in spikes}
    leader_of = {one.id: one.incident for one in spikes if one.incident in firing}
    leaders = [one for one in spikes if one.incident == one.id and one.silenced_until is None]
    free = [one for one in spikes if one.id not in leader_of and one.silenced_until is None]
    near = TOGETHER * config.tick_s
    for leader in leaders:
        newest = max(one.opened_at for one in spikes if leader_of.get(one.id) == leader.id)
        for one in [one for one in free if 0 <= one.opened_at - newest <= near]:
            leader_of[one.id], newest = leader.id, one.opened_at
            free.remove(one)
    for first in range(len(free) - INCIDENT + 1):
        together = [one for one in free[first:] if one.opened_at - free[first].opened_at <= near]
        if len(together) >= INCIDENT:
            leader_of |= {one.id: together[0].id for one in together}
            break
    changed = (_together(one, spikes, leader_of, attached.get(one.category, ())) for one in spikes)
    return [after for before, after in zip(spikes, changed, strict=True) if after is not before]


def _together(alert: Alert, spikes: list[Alert], leader_of: Mapping[str, str], attached: Collection[str]) -> Alert:
    incident = leader_of.get(alert.id)
    leads = incident == alert.id
    others = [one for one in spikes if one.id != alert.id and (not leads or leader_of.get(one.id) == incident)]
    also = tuple(sorted({*(one.name for one in others), *attached}))
    severity = max([alert.severity, *(one.severity for one in others if leads)], key=("warning", "critical").index)
    if (incident, also, severity) == (alert.incident, alert.also, alert.severity):
        return alert
    more = {"incident": incident, "also": also, "severity": severity}
    joined = leads and any(one.incident != incident for one in others)
    # Who has not told anybody of the first yet tells of all of them at once; whoever looks after it hears no more.
    news = joined and (alert.told or alert.telling) and alert.acknowledged_by is None
    return _news(alert, "grew", **more) if news else _changed(alert, **more)


def members(alert: Alert, alerts: Iterable[Alert]) -> int:
    """How many others of the incident that an alert leads still fire."""
    others = (one for one in alerts if one.id != alert.id and one.state == "firing")
    return sum(one.incident == alert.id for one in others)


def _ratio(one: Sign | Alert) -> float:
    return one.observed / max(one.expected, 1e-9)


def _figures(sign: Sign, before: Severity) -> dict[str, Any]:
    critical = sign.kind == "silence" or (
        sign.low >= CRITICAL_RATIO and sign.share >= CRITICAL_SHARE and sign.statistic >= CRITICAL_WEEKS * WEEK
    )
    return {
        "severity": "critical" if critical else before,  # it does not become less severe while it lasts
        "observed": sign.observed,
        "expected": sign.expected,
        "window_s": sign.window_s,
        "ratio_low": sign.low,
        "ratio_high": sign.high,
        "peak": _ratio(sign),
        "once_in_weeks": sign.statistic / WEEK,
        "share": sign.share,
    }


def _silenced_until(alert: Alert, silences: Sequence[Silence], now: float) -> float | None:
    return max((one.until for one in silences if one.covers(alert, now)), default=None)


def _changed(alert: Alert, **more: Any) -> Alert:  # noqa: ANN401 - fields of Alert
    return msgspec.structs.replace(alert, revision=alert.revision + 1, **more)


def _news(alert: Alert, event: Event, **more: Any) -> Alert:  # noqa: ANN401 - fields of Alert
    return _changed(alert, event=event, news=alert.revision + 1, **more)
