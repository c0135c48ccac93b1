"""The search that a spec asks for."""

from __future__ import annotations

from raygen.spec.sweep.space import Space
from raygen.spec.sweep.sweep import SweepSpec
from raygen.sweeps.search.distinct import Distinct
from raygen.sweeps.search.draws import Grid, Random, Sobol
from raygen.sweeps.search.protocol import Chooser, Search


def open_search(spec: SweepSpec, space: Space) -> Search:
    """The search that a spec asks for; Optuna, SciPy and PyTorch are loaded here, and only where it needs them.

    Args:
        spec: What to search.
        space: Its space.
    """
    starting_points = [one.values for one in spec.starting_points]
    kind = spec.search.type
    return Distinct(space, starting_points, kind, _chooser(spec, space), on_grid=kind == "Grid")


def _chooser(spec: SweepSpec, space: Space) -> Chooser:
    kind = spec.search.type
    if kind == "Grid":
        return Grid(space)
    if kind == "Random":
        return Random(space, spec.seed)
    if kind == "Sobol":
        return Sobol(space, spec.seed)
    if kind == "TPE":
        from raygen.sweeps.search.models.parzen import Parzen

        return Parzen(spec, space)
    if kind == "GaussianProcess":
        from raygen.sweeps.search.models.gaussian_process import GaussianProcess

        return GaussianProcess(spec, space)
    if kind == "CMAES":
        from raygen.sweeps.search.models.covariance import CovarianceAdaptation

        return CovarianceAdaptation(spec, space)
    from raygen.sweeps.search.models.genetic import Genetic

    return Genetic(spec, space)
