"""Functions that searches are compared on: Branin, Hartmann6, and ten tasks of the benchmark carps.

carps (1.1.0) names tasks by which searches are to be developed and judged: subsets `dev` and `test` of its tasks with one
objective. Twelve of them need no data, and all of these are functions of BBOB, which carps has from the package ioh (0.4.2).
Here are the ten with at most 16 parameters; ioh is asked for them directly, as carps does (which hands it more than ten parameters in the order of
their sorted names: the same function, its axes swapped). All parameters are real, and
between the bounds which the task has. ioh is not among the project's dependencies: `pip install ioh==0.4.2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Function = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Task:
    """A function that is to be small.

    Attributes:
        name: Of the task; of carps' tasks family/dimension/function/instance.
        low: The least value of each parameter.
        high: The greatest.
        minimum: The least value of the function.
        function: The function.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    minimum: float
    function: Function

    def regret(self, point: Sequence[float]) -> float:
        """How far a point is from the minimum; 0 where rounding puts it below."""
        return max(self.function(point) - self.minimum, 0.0)


OF_CARPS = {
    "dev": ("bbob/2/12/0", "bbob/2/12/1", "bbob/2/20/0", "bbob/4/6/1"),
    "test": ("bbob/16/11/0", "bbob/16/1/1", "bbob/2/12/2", "bbob/2/6/1", "bbob/2/9/0", "bbob/8/22/0"),
}
"""Tasks of carps' subsets `blackbox/dev` and `blackbox/test` without data, but for bbob/32/11/0 and bbob/32/9/0."""

FINGERPRINTS = {
    "bbob/2/12/0": 137314526.84315076,
    "bbob/2/12/1": 10737.853474399612,
    "bbob/2/20/0": 14676.285557065728,
    "bbob/4/6/1": 228389.64825701807,
    "bbob/16/11/0": 52682527.82948915,
    "bbob/16/1/1": 301.9917912753719,
    "bbob/2/12/2": 162150462.55372167,
    "bbob/2/6/1": 373579.20792389964,
    "bbob/2/9/0": 7453.570028251724,
    "bbob/8/22/0": 127.14343320532012,
}
"""What the functions are at `probe`: another version of ioh may have others."""


def branin(point: Sequence[float]) -> float:
    """Branin 1972, with the constants of Dixon & Szego 1978."""
    x, y = point
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SCALES = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTERS = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(point: Sequence[float]) -> float:
    """Hartmann 1973, in six dimensions, as in Dixon & Szego 1978."""
    return -float(_WEIGHTS @ np.exp(-(_SCALES * (np.asarray(point) - _CENTERS) ** 2).sum(axis=1)))


def own_tasks() -> list[Task]:
    """Those that need no other package."""
    return [
        Task("Branin", (-5.0, 0.0), (10.0, 15.0), 0.39788735772973816, branin),
        Task("Hartmann6", (0.0,) * 6, (1.0,) * 6, -3.322368011415515, hartmann6),
    ]


def all_tasks() -> list[Task]:
    """All twelve.

    Raises:
        ImportError: ioh is not installed.
        ValueError: ioh has other functions under these names.
    """
    tasks = own_tasks()
    for name in (*OF_CARPS["dev"], *OF_CARPS["test"]):
        task = _of_bbob(name)
        found, known = task.function(probe(task)), FINGERPRINTS[name]
        if not math.isclose(found, known, rel_tol=1e-9):
            raise ValueError(f"{name} is {found!r} at its probe, and not {known!r}: another version of ioh?")
        tasks.append(task)
    return tasks


def probe(task: Task) -> list[float]:
    """A point by which a function is known again."""
    return [
        low + (high - low) * ((3 + 7 * place) % 11) / 11
        for place, (low, high) in enumerate(zip(task.low, task.high, strict=True))
    ]


def _of_bbob(name: str) -> Task:
    import ioh

    dimension, function, instance = map(int, name.split("/")[1:])
    problem = ioh.get_problem(fid=function, instance=instance, dimension=dimension)
    low, high = (tuple(map(float, one)) for one in (problem.bounds.lb, problem.bounds.ub))
    return Task(name, low, high, float(problem.optimum.y), lambda point: float(problem(list(point))))
