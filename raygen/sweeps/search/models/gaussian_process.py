"""Bayesian optimization: a Gaussian process of the scores, and the point that is expected to improve on the best one most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from optuna.samplers import GPSampler

from raygen.evaluation.threads import one_thread
from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.history import History
from raygen.sweeps.search.draws import Random
from raygen.sweeps.search.models.observed import Observation, Observer, most_useful
from raygen.sweeps.search.models.optuna_study import Coding, Trials, next_trial, open_distributions, study_of
from raygen.sweeps.search.protocol import Turn
from raygen.sweeps.search.seeds import Use, seed_of

INITIAL_TRIALS = 10
MOST_TRIALS = 300
"""Trials that a proposal looks at: the cost of one grows with their third power."""
MOST_PENDING = 32
"""Running trials that it looks at."""
_FENCE = 3.0


class GaussianProcess:
    """A Gaussian process with a Matern kernel and log expected improvement (Ament et al. 2023), by Optuna's GPSampler.

    A proposal looks at the newest and the best 300 trials, and at the newest 32 of those that run, whose scores it draws from the model. The
    first ones are independent draws. A parameter that does not take part in a trial counts there with the middle of its values. Scores far
    above the others (Tukey's outer fence) count as the fence: a training that diverged would hide all differences between
    the others.

    Args:
        spec: What to search.
        space: Its space.
    """

    redraws = 1

    def __init__(self, spec: SweepSpec, space: Space) -> None:
        self._initial = spec.search.initial_trials or INITIAL_TRIALS
        self._seed = spec.seed
        self._objectives = len(spec.objectives)
        self._space = space
        self._draws = Random(space, spec.seed)
        self._observer = Observer(space)
        self._coding = Coding(space)
        self._middle = {one.path: self._coding.encoded(one.path, one.at(0.5)) for one in space.domains}
        self._trials = Trials(self._coding.distributions, self._whole)

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """See `raygen.sweeps.search.protocol.Chooser`."""
        observed = self._observer.read(history)
        paths = open_distributions(self._coding.distributions, self._coding.distributions)
        if len(observed.scored) < self._initial or not paths:
            return self._draws.choose(history, turn)
        scored = _fenced(most_useful(observed.scored, MOST_TRIALS))
        trials = self._trials.of(scored, pending=observed.pending[-MOST_PENDING:])
        sampler = GPSampler(
            n_startup_trials=0, seed=seed_of(self._seed, Use.MODEL, turn.number, turn.attempt)
        )
        study, trial = study_of(trials, self._objectives), next_trial(turn.number)
        try:
            with one_thread():
                numbers = sampler.sample_relative(study, trial, paths)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Points that are nearly the same can leave a matrix without a root. The next trial changes it.
            return self._draws.choose(history, turn)
        values: dict[str, Any] = {}
        for domain in self._space.ordered:
            if self._space.takes_part(domain, values):
                values[domain.path] = self._coding.decoded(domain.path, numbers.get(domain.path, 0))
        return {one.path: values[one.path] for one in self._space.domains if one.path in values}

    def _whole(self, _: int, values: Values) -> dict[str, Any]:
        return self._middle | self._coding.parameters(values)


def _fenced(observations: Sequence[Observation]) -> list[Observation]:
    """The same with outliers among bad scores cut off."""
    import numpy as np

    scores = np.array([one.scores for one in observations])
    quarter, half, rest = np.percentile(scores, (25, 50, 75), axis=0)
    spread = np.maximum(rest - quarter, half - scores.min(axis=0))
    fence = np.where(spread > 0, rest + _FENCE * spread, np.inf)
    if (scores <= fence).all():
        return list(observations)
    cut = np.minimum(scores, fence)
    return [
        one if tuple(row) == one.scores else replace(one, scores=tuple(row.tolist()))
        for one, row in zip(observations, cut, strict=True)
    ]
