"""How far two ratings of the same cases agree: of a judge and people, or of two judges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from raygen.errors import DataError, MissingExtraError
from raygen.evaluation.ratings.intervals import RESAMPLES, Estimate, Values, estimate, mean


@dataclass(frozen=True)
class Agreement:
    """Agreement of two ratings, over the cases that both have rated.

    Attributes:
        spearman: Correlation of ranks, ties at their mean rank; None if one of the ratings is always the same.
        kendall: Kendall's tau-b (Kendall 1945), which allows for ties; None likewise.
        exact: Share of cases with the same rating; None without cases.
        within_one: Share of cases whose ratings are at most 1 apart; None without cases.
        count: Cases that both have rated.
        left_out: Cases that lack one of the ratings.
    """

    spearman: Estimate | None
    kendall: Estimate | None
    exact: Estimate | None
    within_one: Estimate | None
    count: int
    left_out: int


def agreement(
    ratings: Sequence[float | None],
    others: Sequence[float | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Compares ratings case by case, all cases together (no grouping by system or document).

    Args:
        ratings: A rating of each case; None where there is none.
        others: The other ratings, of the same cases in the same order.
        seed: Of the intervals.
        resamples: Draws for the intervals.

    Raises:
        DataError: there are not equally many ratings, or one is not finite.
        MissingExtraError: SciPy is not installed.
    """
    if len(ratings) != len(others):
        raise DataError(
            f"{len(ratings)} ratings and {len(others)} do not belong to the same cases",
            remedy="Give one of each for each case, and None where there is none.",
        )
    both = [(one, other) for one, other in zip(ratings, others, strict=True) if None not in (one, other)]
    columns = np.array(both, dtype=np.float64).reshape(-1, 2).T
    if not np.isfinite(columns).all():
        raise DataError("a rating is not a finite number", remedy="Give None where there is none.")
    pairs = list(columns)
    return Agreement(
        spearman=estimate(pairs, spearman, seed, resamples),
        kendall=estimate(pairs, kendall, seed, resamples),
        exact=estimate(pairs, _exact, seed, resamples),
        within_one=estimate(pairs, _within_one, seed, resamples),
        count=len(both),
        left_out=len(ratings) - len(both),
    )


def spearman(one: Values, other: Values) -> float:
    """Spearman's correlation of two columns (cases,); NaN if one of them is constant or has fewer than two values."""
    if not _vary(one, other):
        return math.nan
    return float(_stats().spearmanr(one, other).statistic)


def kendall(one: Values, other: Values) -> float:
    """Kendall's tau-b of two columns (cases,); NaN if one of them is constant or has fewer than two values."""
    if not _vary(one, other):
        return math.nan
    return float(_stats().kendalltau(one, other, variant="b").statistic)


def _stats() -> ModuleType:
    # Loading it takes longer than all of the judge's other imports.
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError("scipy", "judge") from error
    found: ModuleType = stats
    return found


def _vary(one: Values, other: Values) -> bool:
    return len(one) > 1 and bool(np.ptp(one)) and bool(np.ptp(other))


def _exact(one: Values, other: Values) -> float:
    return mean((one == other).astype(np.float64))


def _within_one(one: Values, other: Values) -> float:
    return mean((np.abs(one - other) <= 1).astype(np.float64))
