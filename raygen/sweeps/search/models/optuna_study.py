"""Optuna's samplers without Optuna's store: a study is made of a history for each proposal, and forgotten after it.

Samplers are asked by what Optuna documents for them, `BaseSampler.sample_relative`, with trials made by `optuna.trial.create_trial`. Two
places are less public: `Study` is handed an `InMemoryStorage` whose reading methods are replaced, so that trials are
neither copied nor checked again for each proposal; and samplers leave notes in a storage (`set_trial_system_attr`), which are dropped,
since everything follows from the history.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import JsonValue

from raygen.spec.sweep.domains import Choice, Domain, Real, Values
from raygen.spec.sweep.space import Space
from raygen.sweeps.search.models.observed import Observation
from raygen.sweeps.search.places import index_of, place

# Whatever a sampler has to remark about its own convergence is nothing that a user of a sweep could change.
optuna.logging.set_verbosity(optuna.logging.ERROR)

_NAME = "sweep"
_MOST_VALUES = 1000
"""Integers with more values are numbers from 0 to 1 for Optuna: some of its samplers list all values."""


class Coding:
    """A space as Optuna knows it: parameters by path, and numbers for their values.

    A Real is a FloatDistribution; an Integer the number of its value, or itself on a scale Log; a Choice the number of its value.

    Args:
        space: The space.

    Attributes:
        distributions: Optuna's, by path.
    """

    def __init__(self, space: Space) -> None:
        self._domains = {one.path: one for one in space.domains}
        self.distributions = {one.path: _distribution(one) for one in space.domains}

    def parameters(self, values: Values) -> dict[str, Any]:
        """Values as numbers."""
        return {path: self.encoded(path, value) for path, value in values.items()}

    def encoded(self, path: str, value: Any) -> float | int:
        """A value as a number."""
        domain, distribution = self._domains[path], self.distributions[path]
        if isinstance(domain, Choice):
            return index_of(domain, value)
        if isinstance(domain, Real):
            return float(value)
        if isinstance(distribution, FloatDistribution):
            return place(domain, value)
        return int(value) if domain.log else domain.listed.index(int(value))

    def decoded(self, path: str, number: float) -> JsonValue:
        """The value of a number."""
        domain, distribution = self._domains[path], self.distributions[path]
        if isinstance(domain, Choice):
            return domain.values[round(number)]
        if isinstance(domain, Real):
            return min(max(float(number), domain.low), domain.high)
        if isinstance(distribution, FloatDistribution):
            return domain.at(float(number))
        return round(number) if domain.log else domain.listed[round(number)]


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(tuple(range(len(domain.values))))
    if isinstance(domain, Real):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if domain.count > _MOST_VALUES or (domain.log and domain.step > 1):
        return FloatDistribution(0.0, 1.0)
    return (
        IntDistribution(domain.low, domain.high, log=True)
        if domain.log
        else IntDistribution(0, domain.count - 1)
    )


class Trials:
    """Trials as Optuna knows them. Those of the last time are kept, since most are the same the next time.

    Args:
        distributions: Optuna's, by path.
        parameters: The numbers of a trial by path, made of its own number and its values.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        parameters: Callable[[int, Values], dict[str, Any]],
    ) -> None:
        self._distributions = distributions
        self._parameters = parameters
        self._kept: dict[int, tuple[Observation, FrozenTrial]] = {}

    def of(
        self,
        scored: Sequence[Observation],
        short: Sequence[Observation] = (),
        pending: Sequence[tuple[int, Values]] = (),
    ) -> list[FrozenTrial]:
        """All of them in the order of their numbers, as COMPLETE, PRUNED and RUNNING; see `raygen.sweeps.search.models.observed.Observed`."""
        before, self._kept = self._kept, {}
        trials = []
        for state, observations in ((TrialState.COMPLETE, scored), (TrialState.PRUNED, short)):
            for one in observations:
                kept = before.get(one.number)
                trial = (
                    kept[1] if kept and kept[0] is one and kept[1].state == state else self._made(one, state)
                )
                self._kept[one.number] = one, trial
                trials.append(trial)
        for number, values in pending:
            trial = create_trial(state=TrialState.RUNNING, **self._assigned(number, values))
            trial.number = number
            trials.append(trial)
        return sorted(trials, key=lambda trial: trial.number)

    def _made(self, one: Observation, state: TrialState) -> FrozenTrial:
        trial = create_trial(
            state=state,
            values=one.scores if state == TrialState.COMPLETE else None,
            intermediate_values={one.step: one.scores[0]} if state == TrialState.PRUNED else None,
            constraints={str(place): value for place, value in enumerate(one.excess)},
            **self._assigned(one.number, one.values),
        )
        trial.number = one.number
        return trial

    def _assigned(self, number: int, values: Values) -> dict[str, Any]:
        parameters = self._parameters(number, values)
        return {
            "params": parameters,
            "distributions": {path: self._distributions[path] for path in parameters},
        }


class _Reading(InMemoryStorage):
    """The trials of one proposal.

    Args:
        trials: All of them.
        objectives: How many objectives they have.
    """

    def __init__(self, trials: Sequence[FrozenTrial], objectives: int) -> None:
        super().__init__()
        self._all = list(trials)
        self._directions = [StudyDirection.MINIMIZE] * objectives

    def get_study_id_from_name(self, study_name: str) -> int:  # noqa: ARG002
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: ARG002
        return self._directions

    def get_all_trials(
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,  # noqa: ARG002
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return [one for one in self._all if states is None or one.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        pass


def study_of(trials: Sequence[FrozenTrial], objectives: int) -> Study:
    """A study for a sampler to read; less is better in all objectives."""
    return Study(_NAME, _Reading(trials, objectives))


def next_trial(number: int) -> FrozenTrial:
    """The trial that is to be, as samplers want one."""
    trial = create_trial(state=TrialState.RUNNING)
    trial.number = number
    return trial


def open_distributions(
    distributions: Mapping[str, BaseDistribution], paths: Iterable[str]
) -> dict[str, BaseDistribution]:
    """Those of some parameters that have more than one value: samplers know no others."""
    return {path: distributions[path] for path in paths if not distributions[path].single()}
