"""PB2: a time-varying Gaussian process of what intervals of training have gained, and the values whose upper bound is greatest.

Parker-Holder et al. 2020, "Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits". The gain of an interval is a
function of the values, of when it was, and of what the member had come to before it. The kernel is a squared exponential of values
and score times (1 - omega)^(|t - t'| / 2), which forgets (Bogunovic et al. 2016). Values whose gain is not known yet count with
what is expected of them, so that members that explore at the same time spread (Desautels et al. 2014, as in algorithm 2 of the paper).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.sweeps.history import WARM_START, History, Trial
from raygen.sweeps.scheduling.protocol import Fork
from raygen.sweeps.search.places import lies_in, place
from raygen.sweeps.search.seeds import Use, generator

Floats = NDArray[np.float64]

LEAST = 4
"""Intervals that are needed for a model; before that values are drawn."""
MOST = 200
"""The newest ones that it looks at: its cost grows with their third power."""
CANDIDATES = 512
"""Points that are drawn from the whole space, and as many around the parent's."""
NEAR = 0.1
"""Standard deviation of the latter, where 1 is the range of a parameter."""
LENGTHS = (0.1, 0.25, 0.5, 1.0, 2.0)
FORGETTING = (0.0, 0.05, 0.15, 0.4)
NOISES = (0.01, 0.1, 0.5)
"""What length scale, omega and noise may be; those with the greatest evidence are taken."""


@dataclass(frozen=True)
class _Intervals:
    """Parts of trainings between two decisions.

    Attributes:
        points: Values, each from 0 to 1, and the score before it, (n, d + 1).
        times: Number of the interval, (n,).
    """

    points: Floats
    times: Floats

    def joined(self, other: _Intervals) -> _Intervals:
        return _Intervals(
            np.concatenate([self.points, other.points]), np.concatenate([self.times, other.times])
        )


class Bandit:
    """Chooses the values that may gain most in the next interval; see the module.

    Args:
        space: What varies.
        seed: The sweep's.
        length: Distance between decisions, in steps.
        steps: Length of the whole training.
    """

    def __init__(self, space: Space, seed: int, length: int, steps: int) -> None:
        self._space, self._seed = space, seed
        self._ends = (*range(length, steps, length), steps)

    def explore(self, history: History, fork: Fork) -> dict[str, Any]:
        """See `raygen.sweeps.search.exploring.Explorer`."""
        draws = generator(self._seed, Use.EXPLORE, len(history.trials))
        count = len(self._space.domains)
        wide, near = draws.random((CANDIDATES, count)), draws.normal(size=(CANDIDATES, count))
        parent = history.trials[fork.parent]
        known, gains, pending = self._read(history)
        if len(gains) < LEAST:
            return self._values(wide[0])
        units = wide
        if lies_in(self._space, parent.values):
            around = self._places(parent.values) + NEAR * near
            units = np.concatenate([wide, np.clip(around, 0.0, 1.0)])
        candidates = [self._values(row) for row in units]
        score = (history.score(parent, fork.step) or (0.0,))[0]
        points = np.array([[*self._places(one), score] for one in candidates])
        times = np.full(len(points), self._ends.index(fork.step) + 1.0)
        bounds = _upper_bounds(known, gains, pending, _Intervals(points, times))
        # To nine digits, since machines differ in the last ones.
        return candidates[int(np.argmax([float(f"{bound:.9g}") for bound in bounds]))]

    def _values(self, units: Floats) -> dict[str, Any]:
        return self._space.at(
            {one.path: float(unit) for one, unit in zip(self._space.domains, units, strict=True)}
        )

    def _places(self, values: Values) -> Floats:
        return np.array([place(one, values[one.path]) for one in self._space.domains])

    def _read(self, history: History) -> tuple[_Intervals, Floats, _Intervals]:
        """The newest intervals, what each has gained, and those whose end has not come."""
        done: list[tuple[int, int, float, Trial, float]] = []
        open_ones: list[tuple[int, Trial, float]] = []
        for trial in history.trials:
            if (
                trial.source == WARM_START
                or trial.state == "Failed"
                or not lies_in(self._space, trial.values)
            ):
                continue
            for at, (start, end) in enumerate(zip(self._ends, self._ends[1:], strict=False), 1):
                if start < trial.parent_step:
                    continue
                before = history.score(history.owner(trial, start), start)
                after = history.score(trial, end)
                if before is not None and after is not None:
                    done.append((at, trial.number, before[0] - after[0], trial, before[0]))
                elif before is not None and not trial.has_ended:
                    open_ones.append((at, trial, before[0]))
        done = sorted(done, key=lambda one: one[:2])[-MOST:]
        known = self._intervals([(at, trial, before) for at, _, _, trial, before in done])
        return known, np.array([gain for _, _, gain, _, _ in done]), self._intervals(open_ones)

    def _intervals(self, rows: list[tuple[int, Trial, float]]) -> _Intervals:
        points = [[*self._places(trial.values), before] for _, trial, before in rows]
        width = len(self._space.domains) + 1
        return _Intervals(
            np.array(points).reshape(len(rows), width), np.array([float(at) for at, _, _ in rows])
        )


def _upper_bounds(known: _Intervals, gains: Floats, pending: _Intervals, asked: _Intervals) -> Floats:
    """What intervals may gain: the expected gain and sqrt(beta) standard deviations of it, in standard deviations of gains.

    beta is 0.2 + log(0.4 n) of n intervals, as in the authors' own program. Pending intervals change the deviation alone.
    """
    scores = known.points[:, -1]
    middle, spread = float(np.median(scores)), float(scores.std()) or 1.0

    def scaled(some: _Intervals) -> _Intervals:
        points = some.points.copy()
        # Scores are as far apart as values are.
        points[:, -1] = np.clip((points[:, -1] - middle) / (4 * spread), -1.0, 1.0)
        return _Intervals(points, some.times)

    known, pending, asked = scaled(known), scaled(pending), scaled(asked)
    low, half, high = np.percentile(gains, (25, 50, 75))
    # A training that diverged would hide the differences of all others.
    fence = 3 * (float(high - low) or float(gains.std()) or 1.0)
    y = np.clip(gains, half - fence, half + fence)
    y = (y - y.mean()) / (float(y.std()) or 1.0)
    length, omega, noise = max(
        product(LENGTHS, FORGETTING, NOISES), key=lambda one: (round(_evidence(known, y, *one), 6), one)
    )
    mean, _ = _posterior(known, y, asked, length, omega, noise)
    both = known.joined(pending)
    _, deviation = _posterior(both, np.zeros(len(both.times)), asked, length, omega, noise)
    beta = 0.2 + max(math.log(0.4 * len(y)), 0.0)
    bounds: Floats = mean + math.sqrt(beta) * deviation
    return bounds


def _kernel(one: _Intervals, other: _Intervals, length: float, omega: float) -> Floats:
    """How alike intervals are, (n, m)."""
    squares = ((one.points[:, None, :] - other.points[None, :, :]) ** 2).sum(axis=2)
    apart = np.abs(one.times[:, None] - other.times[None, :])
    kernel: Floats = np.exp(-squares / (2 * length**2)) * (1 - omega) ** (apart / 2)
    return kernel


def _evidence(known: _Intervals, y: Floats, length: float, omega: float, noise: float) -> float:
    """Log marginal likelihood, without its constant (Rasmussen & Williams 2006, eq. 2.30)."""
    root = np.linalg.cholesky(_kernel(known, known, length, omega) + noise * np.eye(len(y)))
    white = np.linalg.solve(root, y)
    return float(-(white @ white) / 2 - np.log(np.diag(root)).sum())


def _posterior(
    known: _Intervals, y: Floats, asked: _Intervals, length: float, omega: float, noise: float
) -> tuple[Floats, Floats]:
    """Mean and standard deviation at each point (Rasmussen & Williams 2006, algorithm 2.1)."""
    root = np.linalg.cholesky(_kernel(known, known, length, omega) + noise * np.eye(len(y)))
    white = np.linalg.solve(root, _kernel(known, asked, length, omega))
    mean: Floats = white.T @ np.linalg.solve(root, y)
    deviation: Floats = np.sqrt(np.maximum(1.0 - (white**2).sum(axis=0), 0.0))
    return mean, deviation
