"""What a few seeds tell: means with intervals, paired differences, interquartile means.

Scores of a handful of seeds are not many numbers: intervals are those of Student's t, which are
wide for few seeds, and two seeds have none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, fsum, pi, sin, sqrt, tan

import numpy as np

__all__ = [
    "BANDED",
    "Estimate",
    "estimate",
    "improvement",
    "interquartile_interval",
    "interquartile_mean",
    "paired",
    "student_quantile",
]

COVERAGE = 0.95
"""Of all intervals."""
ENOUGH = 3
"""Least number of values for an interval: that of two is 13 times as wide as their distance."""
BANDED = 5
"""Values from which on their spread is shown by the interval of their mean, and they have an
interquartile mean."""
RESAMPLES = 10_000
"""Of a bootstrap."""


@dataclass(frozen=True)
class Estimate:
    """The mean of some values, and the interval in which that of all seeds lies.

    Attributes:
        values: that it is of, at least one.
        mean: of the values.
        interval: with a coverage of 95 % if the values are normally distributed; None of fewer
            than 3 values.
    """

    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None


def estimate(values: Sequence[float]) -> Estimate:
    """Returns the mean of values and its interval by Student's t.

    Args:
        values: finite, at least one.
    """
    number = len(values)
    mean = fsum(values) / number
    if number < ENOUGH:
        return Estimate(tuple(values), mean, None)
    deviation = sqrt(fsum((value - mean) ** 2 for value in values) / (number - 1))
    half = student_quantile(number - 1) * deviation / sqrt(number)
    return Estimate(tuple(values), mean, (mean - half, mean + half))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate | None:
    """Returns the difference of the second from the first, over the seeds that both have.

    What a seed does to both of them, such as the data it draws, is not in the differences.

    Args:
        first: a score by seed.
        second: the same score by seed.

    Returns:
        None if there is no common seed.
    """
    common = [seed for seed in first if seed in second]
    return estimate([second[seed] - first[seed] for seed in common]) if common else None


def improvement(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the probability that a run of the second is better than one of the first.

    It is the share of all pairs of runs in which it is; ties count half.

    Args:
        first: what runs cost: less is better, and infinity is a run that failed.
        second: likewise of others.
    """
    pairs = [(a > b) + 0.5 * (a == b) for a in first for b in second]
    return sum(pairs) / len(pairs)


def interquartile_mean(values: Sequence[float]) -> float:
    """Returns the mean without the least and the greatest quarter of the values.

    Args:
        values: of which a quarter, rounded down, is left out at either end.
    """
    cut = len(values) // 4
    return fsum(sorted(values)[cut : len(values) - cut]) / (len(values) - 2 * cut)


def interquartile_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the interval of the interquartile mean by bootstrap: always the same for the same.

    Args:
        values: of one cell, at least one for each seed.
    """
    number = len(values)
    cut = number // 4
    drawn = np.random.default_rng(0).choice(np.asarray(values), (RESAMPLES, number))
    means = np.sort(drawn)[:, cut : number - cut].mean(axis=1)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def student_quantile(degrees: int) -> float:
    """Returns how many standard errors an interval by Student's t reaches to either side.

    Args:
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _student_coverage(middle, degrees) < COVERAGE:
            low = middle
        else:
            high = middle
    return sqrt(degrees) * tan(middle)


def _student_coverage(angle: float, degrees: int) -> float:
    """Returns the probability that Student's t is nearer to 0 than sqrt(degrees) tan(angle).

    The sums are equations 26.7.3 and 26.7.4 of Abramowitz and Stegun, Handbook of Mathematical
    Functions, 1964.
    """
    is_odd = degrees % 2
    term = cos(angle) if is_odd else 1.0
    total = 0.0
    for step in range(1 + is_odd, degrees, 2):
        total += term
        term *= cos(angle) ** 2 * step / (step + 1)
    if is_odd:
        return 2 / pi * (angle + sin(angle) * total)
    return sin(angle) * total
