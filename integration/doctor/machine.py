"""What Redis tells: the queue, the workers, the models they serve."""

from __future__ import annotations

from datetime import timedelta

from integration import notices
from integration.controls import Controls
from integration.doctor.finding import Finding
from integration.settings import Channel, Settings
from integration.store import Store
from integration.times import local_time

LATE_S = 300
"""A ticket that waits longer for its outcome is late; usual are seconds."""


def redis(store: Store) -> Finding:
    """Whether Redis answers, is bounded, and refuses new messages rather than forget old ones when it is full."""
    info = store.redis.info()
    version, policy = info["redis_version"], info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        text = f"version {version} forgets messages when it is full: set maxmemory-policy noeviction"
        return Finding("warning", "redis", text)
    used, most = f"version {version}, {info['used_memory_human']}", info.get("maxmemory")
    if most == 0:
        text = f"{used} and no bound: set maxmemory, or it is killed when it outgrows its machine"
        return Finding("warning", "redis", text)
    return Finding("ok", "redis", f"{used} of {info['maxmemory_human']}" if most else used)


def queue(store: Store, now: float) -> list[Finding]:
    """What waits, for how long, and what waits for a person."""
    depths = store.depths()
    waiting = ", ".join(f"{depths[name]:,} {name}" for name in ("tickets", "writes", "deferred"))
    oldest = store.unanswered(now, 1)
    age = now - oldest[0][2] if oldest else 0.0
    if age > LATE_S:
        text = f"{waiting}; ticket {oldest[0][0]} waits for {_span(age)}: do workers run, and what does their log say?"
        found = [Finding("warning", "queue", text)]
    else:
        found = [Finding("ok", "queue", f"{waiting}; the oldest ticket waits for {_span(age)}" if oldest else waiting)]
    if parked := depths["parked"]:
        found.append(Finding("warning", "parked", f"{parked:,} waiting for a person: see `presort parked list`"))
    return found


def workers(store: Store) -> Finding:
    """Whether any worker was heard of in the last 30 s."""
    names = store.workers()
    if not names:
        text = "none runs: start one with `presort-worker run`; meanwhile tickets wait, and none is lost"
        return Finding("broken", "workers", text)
    return Finding("ok", "workers", f"{len(names)}: {', '.join(names)}")


def writes(store: Store, config: Settings, now: float) -> Finding:
    """Whether decisions may be written now."""
    if refusal := Controls(store.redis).refusal(config.zendesk, now):
        return Finding("warning", "writes", f"{refusal}; decisions are kept, and `presort status` says more")
    if held := store.updates_held():
        return Finding("warning", "writes", f"Zendesk asked to wait, or does not answer: all wait {held:.0f} s more")
    return Finding("ok", "writes", "go out")


def channels(store: Store, config: Settings) -> list[Finding]:
    """Whether alerts can be told; the secrets are those of this process, workers may have others."""
    if not config.channels:
        text = "none: alerts are only shown, by `presort alerts list`; a [[channel]] in presort.toml tells people"
        return [Finding("ok", "channels", text)]
    troubles = notices.troubles(store.redis)
    return [_channel(one, troubles.get(one.name), config) for one in config.channels]


def _channel(channel: Channel, trouble: notices.Trouble | None, config: Settings) -> Finding:
    about = f"channel {channel.name}"
    if channel in config.channels_without_secret:
        text = f"{channel.variable} is not set here; workers do not start without it: put it in their environment"
        return Finding("warning", about, text)
    if trouble is not None:
        since = local_time(trouble.since, config.zendesk.time_zone)
        text = f"takes nothing since {since}, tried {trouble.tries:,} times: {trouble.reason}"
        return Finding("warning", about, text)
    hears = f"{channel.least} alerts" + (" and worse" if channel.least == "warning" else "")
    whose = f" of {', '.join(channel.classifiers)}" if channel.classifiers else ""
    return Finding("ok", about, f"{channel.kind}, hears {hears}{whose}; `presort alerts test {channel.name}` tries it")


def model(store: Store, classifier: str) -> Finding:
    """What the workers serve; they publish a model only once it answered its golden sequences."""
    about = f"model {classifier}"
    served = store.model(classifier)
    if served is None:
        text = "no worker has loaded one: see the log of `presort-worker run`, or try `presort-model check FOLDER`"
        return Finding("broken", about, text)
    text = f"{served.name}@{served.version}, {served.graph} on {served.provider}, passed its self-test"
    if refused := store.refusals(classifier):
        versions = ", ".join(refused)
        return Finding("warning", about, f"{text}; workers refused {versions}: their log says why, export it again")
    return Finding("ok", about, text)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
