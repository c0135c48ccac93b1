"""Searches that look at no results: a grid, independent draws, and Sobol's sequence."""

from __future__ import annotations

from typing import Any

from raygen.spec.sweep.space import Space
from raygen.sweeps.history import History
from raygen.sweeps.search.lattice import Lattice
from raygen.sweeps.search.protocol import Turn
from raygen.sweeps.search.seeds import Use, generator


class Grid:
    """The points of a grid in their order: names the first one, behind which those follow that have not been tried.

    Args:
        space: What varies.
    """

    redraws = 0

    def __init__(self, space: Space) -> None:
        self._first = Lattice(space).values(0)

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:  # noqa: ARG002
        """See `raygen.sweeps.search.protocol.Chooser`."""
        return self._first


class Random:
    """Independent draws, each by the trial's number.

    Args:
        space: What varies.
        seed: The sweep's.
    """

    redraws = 8

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:  # noqa: ARG002
        """See `raygen.sweeps.search.protocol.Chooser`."""
        units = generator(self._seed, Use.DRAW, turn.number, turn.attempt).random(len(self._space.domains))
        return self._space.at(
            {one.path: float(unit) for one, unit in zip(self._space.domains, units, strict=True)}
        )


class Sobol:
    """Sobol's sequence, scrambled by the seed: point k for the k-th trial that the search chooses, in whatever order trials end.

    Sobol 1967; scrambled by a random linear map and a digital shift (Matousek 1998), with direction numbers of Joe and Kuo
    2008, as SciPy has them. What was tried already is replaced by an independent draw.

    Args:
        space: What varies.
        seed: The sweep's.
    """

    redraws = Random.redraws

    def __init__(self, space: Space, seed: int) -> None:
        from scipy.stats.qmc import Sobol as Sequence

        self._space = space
        self._draws = Random(space, seed)
        self._sequence = Sequence(len(space.domains), scramble=True, rng=generator(seed, Use.SCRAMBLE))

    def choose(self, history: History, turn: Turn) -> dict[str, Any]:
        """See `raygen.sweeps.search.protocol.Chooser`."""
        if turn.attempt:
            return self._draws.choose(history, turn)
        # One point at a time: SciPy warns of a first draw that is no power of two.
        if turn.index < self._sequence.num_generated:
            self._sequence.reset()
        if turn.index > self._sequence.num_generated:
            self._sequence.fast_forward(turn.index - self._sequence.num_generated)
        units = self._sequence.random(1)[0]
        return self._space.at(
            {one.path: float(unit) for one, unit in zip(self._space.domains, units, strict=True)}
        )
