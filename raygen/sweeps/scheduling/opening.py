"""The scheduler that a sweep's spec describes."""

from __future__ import annotations

from math import ceil

from raygen.spec.sweep.search import POPULATION
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.scheduling.freeze_thaw import FreezeThaw
from raygen.sweeps.scheduling.full import Full
from raygen.sweeps.scheduling.halving import asha, hyperband
from raygen.sweeps.scheduling.lengths import intervals, points, rungs
from raygen.sweeps.scheduling.median import Median
from raygen.sweeps.scheduling.population import Population
from raygen.sweeps.scheduling.protocol import Scheduler

REDUCTION = 3
LEAST_TRIALS = 5
QUANTILE = 0.25


def open_scheduler(spec: SweepSpec) -> Scheduler:
    """Opens it, with the defaults of what is left out.

    Args:
        spec: A valid sweep: with any type but Full the length of its template and the distance of evaluations are given in steps.
    """
    chosen = spec.scheduler
    steps, every = spec.template.spec.training.duration.steps, spec.template.spec.evaluation.every_steps
    if chosen.type == "Full" or steps is None or every is None:
        return Full()
    reduction = chosen.reduction or REDUCTION
    if chosen.type == "Median":
        first = chosen.first_steps or ceil(steps / 10)
        return Median(points(first, every, steps), chosen.least_trials or LEAST_TRIALS)
    first = chosen.first_steps or ceil(steps / 27)
    if chosen.has_population:
        quantile = chosen.quantile or QUANTILE
        return Population(
            intervals(first, every, steps), chosen.population or POPULATION, quantile, spec.seed
        )
    if chosen.type == "FreezeThaw":
        return FreezeThaw(intervals(first, every, steps))
    lengths = rungs(first, reduction, every, steps)
    if chosen.type == "ASHA":
        return asha(lengths, reduction)
    return hyperband(lengths, reduction)
