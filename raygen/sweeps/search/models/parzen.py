"""TPE: what good trials have in common, and the others have not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.samplers import TPESampler

from raygen.spec.sweep.domains import Domain
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.history import History
from raygen.sweeps.search.draws import Random
from raygen.sweeps.search.models.observed import Observed, Observer, most_useful
from raygen.sweeps.search.models.optuna_study import Coding, Trials, next_trial, open_distributions, study_of
from raygen.sweeps.search.protocol import Turn
from raygen.sweeps.search.seeds import Use, seed_of

INITIAL_TRIALS = 10
MOST_TRIALS = 1000
"""Trials that a proposal looks at, the newest and the best, and as many that were stopped or wait below the level of the others."""


class ParzenModel:
    """Optuna's TPESampler for the parameters of a space, group by group.

    Parameters that take part under the same condition are drawn together, after those that decide on the condition
    (multivariate TPE; Falkner et al. 2018). Of several objectives each parameter is drawn by itself, as Optuna does. A trial that
    was stopped below the level of the others is to Optuna a pruned one: worse than all that came further. Running
    trials count as bad ones (constant liar), which keeps the next ones away from them.

    Args:
        space: What varies.
        objectives: How many there are.
        seed: The sweep's.
    """

    def __init__(self, space: Space, objectives: int, seed: int) -> None:
        self._space = space
        self._objectives = objectives
        self._seed = seed
        self._coding = Coding(space)
        self._trials = Trials(self._coding.distributions, lambda _, values: self._coding.parameters(values))
        self._groups = _groups(space, apart=objectives > 1)

    def complete(self, observed: Observed, turn: Turn, values: dict[str, Any]) -> dict[str, Any]:
        """Values for all that take part.

        Args:
            observed: What is known.
            turn: What is chosen.
            values: Those that are settled.
        """
        short = most_useful(observed.short, MOST_TRIALS) if self._objectives == 1 else []
        trials = self._trials.of(most_useful(observed.scored, MOST_TRIALS), short, observed.pending)
        study, trial = study_of(trials, self._objectives), next_trial(turn.number)
        sampler = TPESampler(
            n_startup_trials=0,
            multivariate=True,
            constant_liar=True,
            seed=seed_of(self._seed, Use.MODEL, turn.number, turn.attempt),
        )
        for group in self._groups:
            paths = [one.path for one in group if one.path not in values]
            if not paths or not self._space.takes_part(group[0], values):
                continue
            numbers = dict.fromkeys(paths, 0)
            numbers |= sampler.sample_relative(
                study, trial, open_distributions(self._coding.distributions, paths)
            )
            values |= {path: self._coding.decoded(path, number) for path, number in numbers.items()}
        return {one.path: values[one.path] for one in self._space.domains if one.path in values}


class Parzen:
    """Tree-structured Parzen estimators (Bergstra et al. 2011), multivariate, by Optuna.

    A proposal looks at 1,000 finished trials at most, the newest and the best; the first ones are independent draws.

    Args:
        spec: What to search.
        space: Its space.
    """

    redraws = 8

    def __init__(self, spec: SweepSpec, space: Space) -> None:
        self._initial = spec.search.initial_trials or INITIAL_TRIALS
        self._draws = Random(space, spec.seed)
        self._observer = Observer(space)
        self._model = ParzenModel(space, len(spec.objectives), spec.seed)

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """See `raygen.sweeps.search.protocol.Chooser`."""
        observed = self._observer.read(history)
        if len(observed.scored) < self._initial:
            return self._draws.choose(history, turn)
        return self._model.complete(observed, turn, {})


def _groups(space: Space, *, apart: bool) -> Sequence[Sequence[Domain]]:
    """Parameters that take part under the same condition, each group behind what it depends on."""
    if apart:
        return [[one] for one in space.ordered]
    groups: list[list[Domain]] = []
    for domain in space.ordered:
        known = next((one for one in groups if one[0].when == domain.when), None)
        if known is None:
            groups.append([domain])
        else:
            known.append(domain)
    return groups
