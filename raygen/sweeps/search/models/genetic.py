"""NSGA-II: children of the best trials, generation by generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from raygen.spec.sweep.domains import Values
from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.history import History
from raygen.sweeps.search.draws import Random
from raygen.sweeps.search.models.observed import Observation, Observer
from raygen.sweeps.search.models.optuna_study import Coding, Trials, next_trial, open_distributions, study_of
from raygen.sweeps.search.protocol import Turn
from raygen.sweeps.search.seeds import Use, generator, seed_of

POPULATION = 50


class _Generation(NSGAIISampler):
    """Optuna's sampler, told what it would otherwise write to its store and read again: a generation and its parents.

    Args:
        newborn: The trials of the generation.
        parents: Its parents; empty for the first one.
        population: Trials of a generation.
        mutation: Chance that a parameter is drawn anew.
        seed: Of what it draws.
    """

    def __init__(
        self,
        newborn: Sequence[FrozenTrial],
        parents: Sequence[FrozenTrial],
        population: int,
        mutation: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(population_size=population, mutation_prob=mutation, seed=seed)
        self._newborn = list(newborn)
        self._parents = list(parents)

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:  # noqa: ARG002
        return 0

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:  # noqa: ARG002
        return self._newborn

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:  # noqa: ARG002
        return self._parents


class Genetic:
    """NSGA-II (Deb et al. 2002) by Optuna's NSGAIISampler: its selection, crossover and mutation.

    Trials with a score form generations in the order of their numbers, however many run at a time: a trial that ends late moves
    those behind it. The parents of a generation are the best of the one before and of its parents; those of the first
    one are independent draws. All generations are looked at; what was selected is kept as long as it stays the same. A
    parameter that does not take part in a trial is inherited all the same: it has a value that was drawn for this trial.

    Args:
        spec: What to search.
        space: Its space.
    """

    redraws = 8

    def __init__(self, spec: SweepSpec, space: Space) -> None:
        self._population = spec.search.population or POPULATION
        self._objectives = len(spec.objectives)
        self._seed = spec.seed
        self._space = space
        self._draws = Random(space, spec.seed)
        self._observer = Observer(space)
        self._coding = Coding(space)
        self._trials = Trials(self._coding.distributions, self._genes)
        self._kept: list[tuple[list[Observation], list[FrozenTrial]]] = []

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """See `raygen.sweeps.search.protocol.Chooser`."""
        parents = self._selected(self._observer.read(history).scored)
        open_ones = open_distributions(self._coding.distributions, self._coding.distributions)
        if not parents or not open_ones:
            return self._draws.choose(history, turn)
        seed = seed_of(self._seed, Use.MODEL, turn.number, turn.attempt)
        # Optuna's own chance, of all parameters.
        sampler = _Generation((), parents, self._population, 1 / len(open_ones), seed)
        child = sampler.sample_relative(study_of((), self._objectives), next_trial(turn.number), open_ones)
        mutated = generator(self._seed, Use.DRAW, turn.number, turn.attempt).random(len(self._space.domains))
        values: dict[str, Any] = {}
        for domain, unit in zip(self._space.ordered, mutated, strict=True):
            if self._space.takes_part(domain, values):
                known = domain.path in child
                values[domain.path] = (
                    self._coding.decoded(domain.path, child[domain.path]) if known else domain.at(float(unit))
                )
        return {one.path: values[one.path] for one in self._space.domains if one.path in values}

    def _selected(self, scored: Sequence[Observation]) -> list[FrozenTrial]:
        """The parents of the generation that is to be; none for the first one."""
        parents: list[FrozenTrial] = []
        size = self._population
        for place in range(len(scored) // size):
            newborn = list(scored[place * size : (place + 1) * size])
            if place < len(self._kept) and self._kept[place][0] == newborn:
                parents = self._kept[place][1]
                continue
            del self._kept[place:]
            trials = self._trials.of(newborn)
            parents = _Generation(trials, parents, size).select_parent(
                study_of((), self._objectives), place + 1
            )
            self._kept.append((newborn, parents))
        return parents

    def _genes(self, number: int, values: Values) -> dict[str, Any]:
        known = self._coding.parameters(values)
        if len(known) == len(self._space.domains):
            return known
        units = generator(self._seed, Use.GENES, number).random(len(self._space.domains))
        drawn = {one.path: one.at(float(unit)) for one, unit in zip(self._space.domains, units, strict=True)}
        return self._coding.parameters(drawn) | known
