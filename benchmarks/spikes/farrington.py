"""Farrington Flexible: the regression that public health surveillance compares a count with.

Noufaily et al., "An improved algorithm for outbreak detection in multiple surveillance systems", Statistics in Medicine
32:1206 (2013). It fits on a page because a log-linear model of levels and one trend needs no matrices: for a given
slope the most likely level is log(cases / sum(exp(slope * time))), which leaves one equation with one unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

OUTLYING = 2.58
"""Anscombe residuals above this are past outbreaks and count less."""

TINY = 1e-9


class Fit(NamedTuple):
    """What each of B histories says about the present.

    Attributes:
        mean: (B,) expected count.
        phi: (B,) variance over mean, 1 or more.
        error: (B,) variance of the mean's logarithm.
    """

    mean: Floats
    phi: Floats
    error: Floats


def flexible(counts: Ints, time: Floats, level: Ints, *, trend: bool = True) -> Fit:
    """Fit, let past outbreaks count less, fit again.

    log mu = level + slope * time, quasi-Poisson. With s = 1.5 (y^(2/3) mu^(-1/6) - mu^(1/2)) / sqrt(phi (1 - h)), the
    standardised Anscombe residual, a count has weight s^-2 where s > 2.58, else 1, scaled to N in all. A trend that
    leads above every past count is left out.

    Args:
        counts: (B, N) the past.
        time: (N,) its times, 0 = now.
        level: (N,) their season, 0 = the present one.
        trend: whether there is a slope.
    """
    season = np.eye(level.max() + 1)[level]
    fitted, leverage, first = _fit(counts, np.ones(counts.shape), time, season, trend=trend)
    mu = np.maximum(fitted, TINY)
    s = 1.5 * (counts ** (2 / 3) * mu ** (-1 / 6) - np.sqrt(mu))
    s /= np.sqrt(first.phi[:, None] * np.maximum(1 - leverage, TINY))
    weight = np.where(s > OUTLYING, np.maximum(s, OUTLYING) ** -2, 1)
    weight *= len(time) / weight.sum(axis=1, keepdims=True)
    fit = _fit(counts, weight, time, season, trend=trend)[2]
    wild = fit.mean > counts.max(axis=1)
    if trend and wild.any():
        for values, calm in zip(fit, flexible(counts[wild], time, level, trend=False), strict=True):
            values[wild] = calm
    return fit


def _fit(counts: Ints, weight: Floats, time: Floats, season: Floats, *, trend: bool) -> tuple[Floats, Floats, Fit]:
    """(B, N) fitted means and leverages, and what they say of the present. Newton's method on the slope."""
    cases = (weight * counts) @ season
    moment = (weight * counts * time).sum(axis=1, keepdims=True)
    longest = 5 / np.abs(time).max()  # a step, so that a handful of cases does not overshoot
    slope, step = np.zeros((len(counts), 1)), np.ones((len(counts), 1))
    for _ in range(30):
        tilted = weight * np.exp(slope * time)
        size = tilted @ season
        centre = (tilted * time) @ season / size
        spread = (tilted * time**2) @ season / size - centre**2
        information = np.maximum((cases * spread).sum(axis=1, keepdims=True), TINY)
        if not trend or np.abs(step).max() < TINY * longest:
            break
        step = np.clip((moment - (cases * centre).sum(axis=1, keepdims=True)) / information, -longest, longest)
        slope = slope + step
    fitted = np.exp(slope * time) * ((cases / size) @ season.T)
    leverage = tilted * ((1 / size) @ season.T)
    error = 1 / np.maximum(cases[:, 0], TINY)
    if trend:
        leverage += weight * fitted * (time - centre @ season.T) ** 2 / information
        error += centre[:, 0] ** 2 / information[:, 0]
    freedom = len(time) - season.shape[1] - trend
    phi = np.maximum((weight * (counts - fitted) ** 2 / np.maximum(fitted, TINY)).sum(axis=1) / freedom, 1)
    return fitted, leverage, Fit(cases[:, 0] / size[:, 0], phi, error * phi)


def tail(counts: Ints, mean: Floats, phi: Floats) -> Floats:
    """Probability of so many or more: negative binomial with variance phi * mean, Poisson where phi is 1.

    "Above the 1 - alpha quantile", as Farrington Flexible's plug-in rule says, is "at most alpha" here.
    """
    mean, phi = np.maximum(mean, TINY), np.maximum(phi, 1)
    size = mean / np.maximum(phi - 1, TINY)
    some = np.maximum(counts, 1)
    likely = np.where(phi > 1 + TINY, special.betainc(some, size, 1 - 1 / phi), special.gammainc(some, mean))
    more: Floats = np.where(counts > 0, likely, 1.0)
    return more
