"""Who is better by how much, from comparisons of two at a time: the model of Bradley and Terry (1952)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raygen.errors import DataError
from raygen.evaluation.ratings.intervals import RESAMPLES, TAILS_PERCENT

PRIOR = 0.5
"""Games that each has won and lost, beside its own, against one of mean strength: who has won all of its games would be infinitely strong."""
STEPS, NEAR = 50, 1e-10

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Two that were compared.

    Attributes:
        first: The name of one.
        second: The name of the other.
        first_share: 1 if the first one is better, 0 if the second one is, 0.5 for a tie.
    """

    first: str
    second: str
    first_share: float


@dataclass(frozen=True)
class Strength:
    """How strong one is beside the others.

    Attributes:
        value: Its strength. One that is stronger by d is preferred with a probability of 1 / (1 + exp(-d)); the mean of all is 0.
        low: Lower end of the 95 % interval, of comparisons drawn anew.
        high: Upper end.
        count: Comparisons that it was in.
    """

    value: float
    low: float
    high: float
    count: int


def strengths(
    comparisons: Sequence[Comparison], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Strength]:
    """The strength of each that was compared, the strongest first.

    Ties count as half a win for both. The posterior mode is found by Newton's method; it is unique, since each has won and lost `PRIOR` games.

    Args:
        comparisons: Who was compared with whom, and how that came out.
        seed: Of the intervals: the same seed gives the same ones.
        resamples: How many times the comparisons are drawn.

    Raises:
        DataError: there are none, one is with itself, or a share is not between 0 and 1.
    """
    if not comparisons:
        raise DataError("there are no comparisons", remedy="Give at least one.")
    for one in comparisons:
        if one.first == one.second or not 0 <= one.first_share <= 1:
            raise DataError(
                f"{one.first!r} against {one.second!r} with a share of {one.first_share}",
                where="comparisons",
                remedy="Compare two different ones, with a share from 0 to 1.",
            )
    names = sorted({name for one in comparisons for name in (one.first, one.second)})
    places = {name: place for place, name in enumerate(names)}
    first = np.array([places[one.first] for one in comparisons])
    second = np.array([places[one.second] for one in comparisons])
    shares = np.array([one.first_share for one in comparisons], dtype=np.float64)
    found = _fitted(_wins(first, second, shares, len(names)))
    random, count = np.random.default_rng(seed), len(comparisons)
    drawn = np.empty((resamples, len(names)))
    for row in range(resamples):
        chosen = random.integers(count, size=count)
        drawn[row] = _fitted(_wins(first[chosen], second[chosen], shares[chosen], len(names)), found)
    low, high = np.percentile(drawn, TAILS_PERCENT, axis=0)
    games = np.bincount(first, minlength=len(names)) + np.bincount(second, minlength=len(names))
    order = sorted(range(len(names)), key=lambda place: (-found[place], names[place]))
    return {
        names[place]: Strength(float(found[place]), float(low[place]), float(high[place]), int(games[place]))
        for place in order
    }


def _wins(first: NDArray[np.int64], second: NDArray[np.int64], shares: Values, count: int) -> Values:
    """Games that each has won against each other one, (count, count)."""
    wins = np.zeros((count, count))
    np.add.at(wins, (first, second), shares)
    np.add.at(wins, (second, first), 1 - shares)
    return wins


def _fitted(wins: Values, start: Values | None = None) -> Values:
    """The most likely strengths, about a mean of 0."""
    games = wins + wins.T
    won = wins.sum(axis=1) + PRIOR
    strength = np.zeros(len(wins)) if start is None else start.copy()
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(np.clip(strength[None, :] - strength[:, None], -500, 500)))
        alone = 1 / (1 + np.exp(np.clip(-strength, -500, 500)))
        slope = won - (games * chance).sum(axis=1) - 2 * PRIOR * alone
        weights = games * chance * (1 - chance)
        bend = np.diag(weights.sum(axis=1) + 2 * PRIOR * alone * (1 - alone)) - weights
        # Far from the top a whole step may lead away from it.
        step = np.clip(np.linalg.solve(bend, slope), -2, 2)
        strength += step
        if np.abs(step).max() < NEAR:
            break
    centred: Values = strength - strength.mean()
    return centred
