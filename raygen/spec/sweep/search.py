"""How a sweep chooses values, and how long it trains each trial."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Count, Rule, Tagged


class Search(Tagged):
    """How values are chosen."""

    type: Literal["Grid", "Random", "Sobol", "GaussianProcess", "TPE", "CMAES", "NSGAII"]
    """Grid: all combinations. Random: independent draws. Sobol: a scrambled low-discrepancy sequence (Sobol 1967, Owen 1998).
    GaussianProcess: Bayesian optimization of log expected improvement. TPE: tree-structured Parzen estimators, multivariate (Bergstra et al.
    2011, Falkner et al. 2018). CMAES: covariance matrix adaptation (Hansen 2016). NSGAII: a genetic algorithm for several objectives (Deb et al.
    2002)."""
    initial_trials: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Trials that are drawn before a model of them chooses. Default: 10."""
    population: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Trials of a generation of NSGAII. Default: 50."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "initial_trials": ("GaussianProcess", "TPE", "CMAES"),
        "population": ("NSGAII",),
    }


Search.rules = Search.foreign_rules()


class Scheduler(Tagged):
    """How long each trial trains. A trial that is to wait leaves a checkpoint, and goes on from it to the bit."""

    type: Literal["Full", "ASHA", "Hyperband", "Median", "FreezeThaw", "PBT", "PB2"]
    """Full: every trial to its end. ASHA: the best part of those that came as far trains longer (Li et al. 2020). Hyperband: the same with several
    first lengths in turn (Li et al. 2018). Median: those that are worse than the median of others at that step end
    (Golovin et al. 2017). FreezeThaw: the one whose learning curve promises most goes on (Swersky et al. 2014). PBT: of a population that trains, the
    worst members are replaced by copies of the best ones, whose values are perturbed (Jaderberg et al. 2017). PB2: the same, with values that a model of
    what others gained by theirs chooses (Parker-Holder et al. 2020)."""
    first_steps: Count | None = None
    """Length before the first decision, in steps; decisions fall on evaluations. Default: a 27th of the job's steps, or a tenth for
    Median. FreezeThaw decides again after each such length, and so do PBT and PB2, which must be given it."""
    reduction: Annotated[int, Field(ge=2, le=16)] | None = None
    """One of how many trials goes on, for as many times longer. Default: 3."""
    least_trials: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Trials that came as far before the median counts. Default: 5."""
    population: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Members of a population, which are trained side by side to the end; those that take the place of others are further trials. Default: 8."""
    quantile: Annotated[float, Field(gt=0, le=0.5)] | None = None
    """Share of a population that counts as its best, and as its worst. Default: 0.25."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "first_steps": ("ASHA", "Hyperband", "Median", "FreezeThaw", "PBT", "PB2"),
        "reduction": ("ASHA", "Hyperband"),
        "least_trials": ("Median",),
        "population": ("PBT", "PB2"),
        "quantile": ("PBT", "PB2"),
    }

    @property
    def has_population(self) -> bool:
        """Whether members of a population take over from each other."""
        return self.type in POPULATIONS


POPULATIONS = ("PBT", "PB2")
"""Schedulers that copy members of a population and change their values while they train."""
POPULATION = 8
"""Members, where the file does not say."""

Scheduler.rules = (
    *Scheduler.foreign_rules(),
    Rule(
        fields=("type", "first_steps"),
        at="firstSteps",
        holds=lambda self: not self.has_population or self.first_steps is not None,
        rule="must be given with type PBT or PB2",
        remedy="Add the distance between decisions, in steps: a multiple of evaluation.everySteps and checkpoint.everySteps.",
        cel="!(self.type in ['PBT', 'PB2']) || has(self.firstSteps)",
    ),
)
