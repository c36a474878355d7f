"""Is a category's rate news? Counts and expectations in, evidence out: no Redis, no clock, numpy only.

The statistic is a Shiryaev-Roberts e-detector: the sum, over every start time the spike could have had, of the
likelihood ratio between "since then the rate is rho times the expected" and "nothing happened". If nothing happens it
grows by one a tick on average, so the mean time until it exceeds A by chance is at least A ticks, for rare and for
frequent categories alike (Shin, Ramdas, Rinaldo, "E-detectors", NEJSDS 2024, theorem 2.4). Support tickets are not
Poisson: the rate itself wanders. So the ratio compares gamma-mixed Poisson (negative binomial) distributions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WINDOWS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 90, 120, 180, 270, 360)
"""Ticks. Each stands for all start times between it and the one before."""

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""The spikes looked for, each equally likely beforehand, as multiples of the expected rate."""

DISPERSION = 0.05
"""Squared coefficient of variation of the rate around what is expected, until it is measured per category."""

PRIOR = 10.0
"""Tickets' worth of belief that a category's share is the average one, before its own history speaks."""


class Evidence(NamedTuple):
    """For each of C categories, what the counts say.

    Attributes:
        statistic: (C,) ticks; how long chance alone would need to show as much.
        observed, expected: (C,) tickets in the window that speaks most clearly.
        window: (C,) its length in ticks.
    """

    statistic: Floats
    observed: Ints
    expected: Floats
    window: Ints


def expectation(
    counts: Ints, tickets: Ints, held_out: int, quiet: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """What each category should have received, from its share of all tickets.

    A category's odds against the tickets without it are learned from the older ticks and multiplied by how many of
    those there are in each tick. So the day's rhythm, a newsletter or a holiday move the expectation with them. (A
    spike in all categories at once is not seen by this baseline.)

    Args:
        counts: (C, T) tickets per category and tick, oldest first.
        tickets: (T,) tickets per tick; less than the categories' sum where one ticket has several.
        held_out: the newest ticks, which are judged and so may not teach.
        quiet: (C, T) False where a category must not learn, such as under an open alert.

    Returns:
        (C, T) expected tickets, and (C,) the squared relative error of the odds.
    """
    others = tickets - counts
    old = np.zeros(counts.shape, dtype=bool)
    old[:, : counts.shape[1] - held_out] = True
    if quiet is not None:
        old &= quiet
    own, rest = (counts * old).sum(axis=1), (others * old).sum(axis=1)
    average = 1 / max(len(counts) - 1, 1)
    odds = (own + PRIOR) / (rest + PRIOR / average)
    return odds[:, None] * others, 1 / (own + PRIOR)


def evidence(counts: Ints, expected: Floats, error: Floats, dispersion: float = DISPERSION) -> Evidence:
    """The statistic at the newest tick.

    R = sum over windows k of w_k * mean over rho of rho^-a * ((a + M_k) / (a / rho + M_k))^(a + X_k), with X_k and M_k
    the tickets seen and expected in the last k ticks, w_k the start times the window stands for and a = 1 / (dispersion
    + error): the likelihood ratio of two negative binomial distributions whose gamma-distributed rate has shape a and
    mean M_k or rho M_k. (Gamma-mixed form of the Poisson ratio rho^X exp(-(rho - 1) M), its limit for a -> infinity.)

    Args:
        counts: (C, T) tickets per category and tick, oldest first.
        expected: (C, T) tickets expected.
        error: (C,) squared relative error of the expectation.
        dispersion: squared coefficient of variation of the true rate around its expectation.
    """
    ticks = counts.shape[1]
    windows = np.array([k for k in WINDOWS if k <= ticks], dtype=np.int64)
    weights = np.diff(windows, prepend=0)
    x = np.stack([counts[:, ticks - k :].sum(axis=1) for k in windows], axis=1)
    m = np.stack([expected[:, ticks - k :].sum(axis=1) for k in windows], axis=1)
    a = (1 / (dispersion + error))[:, None, None]
    rho = np.array(RATIOS)
    log_ratio = -a * np.log(rho) + (a + x[..., None]) * (np.log(a + m[..., None]) - np.log(a / rho + m[..., None]))
    # (C, K): each window's part, kept in logarithms until the sum so that a great spike does not overflow.
    part = np.log(weights) + np.logaddexp.reduce(log_ratio, axis=2) - np.log(len(RATIOS))
    best = part.argmax(axis=1)
    rows = np.arange(len(counts))
    return Evidence(
        statistic=np.exp(np.minimum(np.logaddexp.reduce(part, axis=1), 700)),
        observed=x[rows, best],
        expected=m[rows, best],
        window=windows[best],
    )


def is_over(counts: Ints, expected: Floats, ratio: float) -> bool:
    """Whether a spike has ended, by evidence and not by silence.

    G = max(0, G + (r - 1) m - x ln r) over the ticks since the alert opened: a CUSUM of the Poisson likelihood ratio of
    "back to the expected rate" against "still r times it". Over when G is 3 or more, that is when the first is e^3 = 20
    times as likely. r is half the ratio found, between 1.5 and 5: the window that fired is the luckiest one, and with
    its full ratio two empty ticks of a rare category would end an alert.

    Args:
        counts: (T,) tickets of one category since the alert opened.
        expected: (T,) tickets expected.
        ratio: the spike's observed over expected when it was found.
    """
    r = min(max(1.5, ratio / 2), 5.0)
    score = 0.0
    for x, m in zip(counts, expected, strict=True):
        score = max(0.0, score + (r - 1) * float(m) - float(x) * float(np.log(r)))
    return score >= 3
