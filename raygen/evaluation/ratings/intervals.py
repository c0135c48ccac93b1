"""Estimates with 95 % intervals, by resampling what was judged."""

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


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

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


def mean(values: Values) -> float:
    """The mean; NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan
