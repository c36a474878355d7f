"""Noufaily's 42 scenarios: weekly counts with trends, seasons and outbreaks.

Noufaily et al., "An improved algorithm for outbreak detection in multiple surveillance systems", Statistics in Medicine
32:1206 (2013): the test bench on which detectors of health surveillance are compared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from worker.spikes import Bools, Ints

PARAMETERS = (
    (0.1, 0.0025, 0.6, 0.6, 1.5),
    (-2, 0.005, 0.1, 0.3, 2),
    (1.5, 0.003, 0.2, -0.4, 1),
    (0.5, 0.002, 0.5, 0.5, 5),
    (2.5, 0.001, 1, 0.1, 3),
    (3.75, 0.001, 0.1, -0.1, 1.1),
    (5, 0.0001, 0.05, 0.01, 1.2),
)
"""theta, beta, gamma 1, gamma 2 and phi; each with and without its trend, and with none, one or two waves a year."""

WEEKS, TEST, YEAR = 624, 49, 52
PAST, SIZES = 312, 10
"""The first week that may hold past outbreaks, and the sizes of the one to find: 1 to 10 standard deviations."""


class Scenario(NamedTuple):
    """mu(t) = exp(theta + beta t + sum over j <= waves of gamma1 cos(2 pi j t / 52) + gamma2 sin(2 pi j t / 52))."""

    theta: float
    beta: float
    gamma1: float
    gamma2: float
    phi: float
    waves: int


SCENARIOS = tuple(
    Scenario(theta, beta * trend, gamma1, gamma2, phi, waves)
    for theta, beta, gamma1, gamma2, phi in PARAMETERS
    for trend in (0, 1)
    for waves in (0, 1, 2)
)


class Series(NamedTuple):
    """R replicates.

    Attributes:
        counts: (R, WEEKS) cases, outbreaks included.
        outbreak: (R, TEST) the cases of the outbreak to find.
        size: (R,) its size in standard deviations.
    """

    counts: Ints
    outbreak: Ints
    size: Ints


def simulate(scenario: Scenario, replicates: int, rng: np.random.Generator) -> Series:
    """Negative binomial counts with variance phi mu (Poisson if phi is 1), four past outbreaks and one to find.

    An outbreak of size k that starts in week t has Poisson(k sqrt(phi mu(t))) cases, each floor(LogNormal(0, 1/2))
    weeks after t: half of them at once, 42 % a week later. Past ones have sizes of 2, 3, 5 or 10.
    """
    week = np.arange(1, WEEKS + 1)
    log_mu = scenario.theta + scenario.beta * week
    for j in range(1, scenario.waves + 1):
        angle = 2 * np.pi * j * week / YEAR
        log_mu = log_mu + scenario.gamma1 * np.cos(angle) + scenario.gamma2 * np.sin(angle)
    mu, phi, shape = np.exp(log_mu), scenario.phi, (replicates, WEEKS)
    counts = rng.poisson(mu, shape) if phi == 1 else rng.negative_binomial(mu / (phi - 1), 1 / phi, shape)

    def add(to: Ints, starts: Ints, sizes: Ints) -> None:
        for row, start, size in zip(to, starts, sizes, strict=True):
            cases = rng.poisson(size * np.sqrt(phi * mu[start]))
            weeks = start + np.floor(rng.lognormal(0, 0.5, cases)).astype(np.int64)
            np.add.at(row, weeks[weeks < WEEKS], 1)

    for _ in range(4):
        add(counts, rng.integers(PAST, WEEKS - TEST, replicates), rng.choice([2, 3, 5, 10], replicates))
    outbreak, size = np.zeros(shape, dtype=np.int64), np.arange(replicates) % SIZES + 1
    add(outbreak, rng.integers(WEEKS - TEST, WEEKS, replicates), size)
    return Series(counts + outbreak, outbreak[:, -TEST:], size)


class Outbreaks(NamedTuple):
    """The outbreaks to find, of R series; one without a case is none.

    Attributes:
        during: (R, T) from its first case to its last.
        first, last: (R,) weeks.
        size: (R,) standard deviations; 0 for none.
    """

    during: Bools
    first: Ints
    last: Ints
    size: Ints


def outbreaks(cases: Ints, size: Ints) -> Outbreaks:
    """Where the cases (R, T) of outbreaks of a size (R,) lie."""
    some, there = cases > 0, cases.sum(axis=1) > 0
    week, first = np.arange(cases.shape[1]), some.argmax(axis=1)
    last = len(week) - 1 - some[:, ::-1].argmax(axis=1)
    during = there[:, None] & (week >= first[:, None]) & (week <= last[:, None])
    return Outbreaks(during, first, last, np.where(there, size, 0))


def outcome(fired: Bools, truth: Outbreaks) -> dict[str, float]:
    """Shares of the outbreak-free weeks with an alarm and of the outbreaks found, and how fast.

    How fast counts where an outbreak spans weeks; unseen are those before the first alarm in it, or all of them.
    """
    hits, some = fired & truth.during, truth.size > 0
    found, spans = hits.sum(axis=1) > 0, some & (truth.last > truth.first)
    unseen = np.where(found, hits.argmax(axis=1), truth.last + 1) - truth.first
    figures = {"false_alarms": fired[~truth.during].mean(), "found": found[some].mean()}
    for low, high in ((1, 3), (4, 6), (7, 10)):
        figures[f"found_{low}_{high}"] = found[(truth.size >= low) & (truth.size <= high)].mean()
    for weeks in (1, 2, 3):
        figures[f"spanning_found_by_week_{weeks}"] = (found & (unseen < weeks))[spans].mean()
    figures["spanning_weeks_unseen"] = unseen[spans].mean()
    return {name: round(float(value), 4) for name, value in figures.items()}
