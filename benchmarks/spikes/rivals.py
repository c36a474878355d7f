"""What one would otherwise write: five usual rules for "too many of these lately".

Each takes (C, T) counts of whole hours that begin on a Monday at 00:00, the first tick that is judged, four weeks or
more after that, and the hours a tick lasts, a whole part of one. Each answers (C, T) alarms, False before that tick,
and knows at every tick what came until its end, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.spikes import farrington
from worker import spikes
from worker.spikes import WEEK, Bools, Floats, Ints

Z, SOME = 3.0, 3
"""Standard deviations, and the tickets in an hour without which a rare category would alarm at its second one."""

NEVER = farrington.TINY
"""Above the rounding of running sums, below any ticket."""


def trailing(values: Ints | Floats | Bools, span: int) -> Floats:
    """(C, T) sum of the last ``span`` ticks at each; of fewer at the beginning."""
    total = np.cumsum(values, axis=1, dtype=np.float64)
    total[:, span:] -= total[:, :-span].copy()
    return total


def _moments(values: Floats, span: int) -> tuple[Floats, Floats]:
    """(C, T) mean and standard deviation of the last ``span`` values."""
    mean = trailing(values, span) / span
    return mean, np.sqrt(np.maximum(trailing(values**2, span) / span - mean**2, 0))


def z_score(counts: Ints, start: int, tick_h: float, *, hours: int) -> Bools:
    """The last hour's tickets x against the ``hours`` before it: (x - mean) / sd > 3, and x is 3 or more.

    Shewhart's control chart on a moving window; mean and sd are those of x at every tick of it. Without any spread each
    excess is one.
    """
    per = round(1 / tick_h)
    x = trailing(counts, per)
    mean, sd = _moments(np.pad(x, ((0, 0), (per, 0)))[:, : x.shape[1]], hours * per)
    return _from(start, (x - mean > Z * sd + NEVER) & (x >= SOME))


def gitlab(counts: Ints, start: int, tick_h: float) -> Bools:
    """The last hour's tickets x against the median of what one, two and three weeks ago predict.

    prediction = median over k of x(t - k weeks + 30 min) + mean of the last week - mean of the week that ended k weeks
    ago; z = (x - prediction) / sd of the last week; z > 3 for five minutes, and x is 3 or more. GitLab's rules for
    Prometheus (service-ops-anomaly-detection.libsonnet; "How to use Prometheus for anomaly detection in GitLab", blog,
    2019) alarm at z < -3 too; here only rises are looked for.
    """
    per = round(1 / tick_h)
    week, early, lasting = WEEK * per, round(0.5 * per), 1 + round(per / 12)
    x = trailing(counts, per)
    mean, sd = _moments(x, week)
    now = np.arange(3 * week, counts.shape[1])
    predicted = np.median(
        [x[:, now - k * week + early] + mean[:, now] - mean[:, now - k * week] for k in (1, 2, 3)], axis=0
    )
    above: Bools = np.zeros(counts.shape, dtype=np.bool_)
    above[:, now] = (x[:, now] - predicted > Z * sd[:, now] + NEVER) & (x[:, now] >= SOME)
    return _from(start, trailing(above, lasting) == lasting)


def hourly_farrington(counts: Ints, start: int, tick_h: float) -> Bools:
    """Each whole hour against Farrington Flexible's threshold at alpha = 0.005, judged at the hour's last tick.

    Reference values are the hours within one of the same hour of the week, in the weeks before, eight at most; past
    outbreaks count less; the threshold is the negative binomial's quantile; no alarm with fewer than five tickets in
    four hours (Noufaily et al. 2013, see ``farrington``). Eight weeks are too few for a trend.
    """
    per = round(1 / tick_h)
    hourly = counts.reshape(len(counts), -1, per).sum(axis=2)
    hours = np.arange(start // per, hourly.shape[1])
    weeks = min(8, (start // per - 1) // WEEK)  # the hour before the same hour eight weeks ago must exist
    ago = (np.arange(1, weeks + 1)[:, None] * WEEK + np.array([-1, 0, 1])).ravel()
    past = hourly[:, hours[:, None] - ago].reshape(-1, len(ago))
    fit = farrington.flexible(past, -ago / WEEK, np.zeros(len(ago), dtype=np.int64), trend=False)
    seen = hourly[:, hours]
    rare = farrington.tail(seen.ravel(), fit.mean, fit.phi).reshape(seen.shape) <= 0.005
    alarm = np.zeros(counts.shape, dtype=np.bool_)
    alarm[:, (hours + 1) * per - 1] = rare & (trailing(hourly, 4)[:, hours] >= 5)
    return _from(start, alarm)


def poisson_glr(counts: Ints, start: int, tick_h: float) -> Bools:
    """Poisson likelihood ratio of the best rate in the best window of up to six hours: max X ln(X / M) - X + M > 5.

    Window-limited GLR (Hoehle, Paul, "Count data regression charts", CSDA 52:4357, 2008; ``glrnb`` of R's surveillance
    with its c.ARL of 5). What is expected is our own baseline, learned anew each week, so that the statistic alone
    differs.
    """
    per, ticks = round(1 / tick_h), counts.shape[1]
    hourly = counts.reshape(len(counts), -1, per).sum(axis=2)
    slots, known = np.arange(hourly.shape[1]) % WEEK, np.ones(hourly.shape, dtype=np.bool_)
    expected = counts.astype(np.float64)  # before ``start`` nothing is unexpected
    for hour in range(start // per, hourly.shape[1], WEEK):
        baseline = spikes.learn(hourly[:, :hour], slots[:hour], known[:, :hour])
        tick = np.arange(hour * per, min((hour + WEEK) * per, ticks))
        expected[:, tick], _ = spikes.expect(baseline, (tick + 0.5) * tick_h, tick_h)
    alarm = np.zeros(counts.shape, dtype=np.bool_)
    for span in range(1, 6 * per + 1):
        x, m = trailing(counts, span), np.maximum(trailing(expected, span), NEVER)
        alarm |= (x > m) & (x * np.log(np.maximum(x, 1) / m) - x + m > 5)
    return _from(start, alarm)


def _from(start: int, alarm: Bools) -> Bools:
    alarm[:, :start] = False
    return alarm


RIVALS: Mapping[str, Callable[[Ints, int, float], Bools]] = {
    "z-score 24 h": partial(z_score, hours=24),
    "z-score 7 d": partial(z_score, hours=WEEK),
    "GitLab": gitlab,
    "Farrington, hourly": hourly_farrington,
    "Poisson GLR": poisson_glr,
}
