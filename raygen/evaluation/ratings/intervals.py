"""Estimates with 95 % intervals: by resampling what was judged, and of proportions by Wilson's formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 2000
TAILS_PERCENT = (2.5, 97.5)
"""Percentiles of a 95 % interval."""
_NORMAL_QUANTILE = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval: the percentile bootstrap's (Efron & Tibshirani 1993, chapter 13), or of a proportion Wilson's.

    The interval covers the choice of cases: what other cases of the same kind would give, judged by the same judge. It does
    not cover the judge's own errors.

    Attributes:
        value: The figure.
        low: Lower end; None where fewer than two cases, or most resamples, give no figure.
        high: Upper end; None likewise.
        count: Cases that it rests on.
    """

    value: float
    low: float | None
    high: float | None
    count: int


def estimate(
    columns: Sequence[Values], statistic: Callable[..., float], seed: int = 0, resamples: int = RESAMPLES
) -> Estimate | None:
    """A figure of cases with its interval; cases are drawn whole, with all of their values.

    Args:
        columns: One or more values of each case, each (cases,).
        statistic: The figure, given the columns; NaN where it is not defined.
        seed: Of the draws: the same seed gives the same interval.
        resamples: How many times the cases are drawn.

    Returns:
        None where the figure is not defined, as with no cases.
    """
    count = len(columns[0])
    value = float(statistic(*columns)) if count else math.nan
    if math.isnan(value):
        return None
    low, high = None, None
    if count > 1:
        random = np.random.default_rng(seed)
        rows = (random.integers(count, size=count) for _ in range(resamples))
        drawn = np.array([statistic(*(column[row] for column in columns)) for row in rows])
        defined = drawn[~np.isnan(drawn)]
        if 2 * len(defined) > resamples:
            low, high = (float(end) for end in np.percentile(defined, TAILS_PERCENT))
    return Estimate(value, low, high, count)


def proportion(successes: int, count: int) -> Estimate:
    """The share of cases that succeed, with Wilson's score interval (Wilson 1927), which holds for few cases and for shares of 0 and 1 too.

    Without cases the share is NaN, and there is no interval.

    Raises:
        ValueError: there are more successes than cases, or less than none.
    """
    if not 0 <= successes <= count:
        raise ValueError(f"{successes} of {count} cases cannot succeed")
    if count == 0:
        return Estimate(math.nan, None, None, 0)
    share, square = successes / count, _NORMAL_QUANTILE**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _NORMAL_QUANTILE / (1 + square / count)
    half *= math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    # Its ends are 0 and 1 for those shares, but for rounding.
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == count else middle + half
    return Estimate(share, low, high, count)


def mean(values: Values) -> float:
    """The mean; NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan
