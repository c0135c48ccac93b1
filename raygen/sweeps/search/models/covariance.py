"""CMA-ES: a normal distribution that moves towards good trials and takes on their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cmaes import CMA

from raygen.spec.sweep.domains import Choice
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.history import History
from raygen.sweeps.search.draws import Random
from raygen.sweeps.search.models.observed import Observation, Observer
from raygen.sweeps.search.models.parzen import ParzenModel
from raygen.sweeps.search.places import place
from raygen.sweeps.search.protocol import Turn
from raygen.sweeps.search.seeds import Use, generator, seed_of

INITIAL_TRIALS = 10
_DEVIATION = 1 / 6
"""Of the first distribution, where 1 is the whole range of a parameter; Optuna's."""


class CovarianceAdaptation:
    """CMA-ES (Hansen 2016) by the package cmaes, on which Optuna's CmaEsSampler rests as well.

    That sampler writes its optimizer to the store, pickled, and learns only from trials that it has itself proposed in the
    present generation. Here the optimizer is worked out from the history: it begins at the best of the first trials, which
    are independent draws, and is told all others in the order of their numbers, as many at a time as make a
    generation, however many run at a time. Those that break constraints are behind all others (Deb 2000); only ranks count. When it
    has converged it begins again elsewhere with twice the population (Auger & Hansen 2005).

    The distribution is one of numbers that always take part. A Choice, and what takes part at times only, is chosen by
    TPE, given the others.

    Args:
        spec: What to search.
        space: Its space.
    """

    redraws = 8

    def __init__(self, spec: SweepSpec, space: Space) -> None:
        self._initial = spec.search.initial_trials or INITIAL_TRIALS
        self._seed = spec.seed
        self._draws = Random(space, spec.seed)
        self._observer = Observer(space)
        self._domains = [one for one in space.domains if one.when is None and not isinstance(one, Choice)]
        self._others = ParzenModel(space, 1, spec.seed) if len(self._domains) < len(space.domains) else None
        self._told: list[Observation] = []
        self._optimizer: CMA | None = None
        self._restarts = 0

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """See `raygen.sweeps.search.protocol.Chooser`."""
        observed = self._observer.read(history)
        if len(observed.scored) < self._initial:
            return self._draws.choose(history, turn)
        values: dict[str, Any] = {}
        if self._domains:
            optimizer = self._after(observed.scored)
            optimizer.reseed_rng(seed_of(self._seed, Use.MODEL, turn.number, turn.attempt))
            units = zip(self._domains, optimizer.ask().tolist(), strict=True)
            values = {one.path: one.at(unit) for one, unit in units}
        return values if self._others is None else self._others.complete(observed, turn, values)

    def _after(self, scored: Sequence[Observation]) -> CMA:
        """The optimizer that has been told all whole generations; it goes on from the last time where nothing before has changed."""
        optimizer = self._optimizer
        if optimizer is None or self._told != scored[: len(self._told)]:
            self._told, self._restarts = list(scored[: self._initial]), 0
            optimizer = self._begun(self._places(min(self._told, key=_rank)), None)
        while len(scored) - len(self._told) >= optimizer.population_size:
            told = scored[len(self._told) : len(self._told) + optimizer.population_size]
            self._told += told
            ranked = enumerate(sorted(told, key=_rank))
            optimizer.tell([(self._places(one), float(rank)) for rank, one in ranked])
            if optimizer.should_stop():
                self._restarts += 1
                mean = generator(self._seed, Use.RESTART, self._restarts).random(len(self._domains))
                optimizer = self._begun(mean, 2 * optimizer.population_size)
        self._optimizer = optimizer
        return optimizer

    def _begun(self, mean: np.ndarray, population: int | None) -> CMA:
        count = len(self._domains)
        bounds = np.array([[0.0, 1.0]] * count)
        # Optuna's number of draws before one is moved to the bounds. The seed is replaced before anything is drawn.
        return CMA(mean, _DEVIATION, bounds, n_max_resampling=10 * count, seed=0, population_size=population)

    def _places(self, one: Observation) -> np.ndarray:
        return np.array([place(domain, one.values[domain.path]) for domain in self._domains])


def _rank(one: Observation) -> tuple[float, tuple[float, ...], int]:
    return one.violation, one.scores, one.number
