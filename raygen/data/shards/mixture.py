"""Which component of a mixture each position takes: a function of the weights, the seed and the position.

Positions are dealt in blocks of 16,384. In each block a component has as many as its weight says, exactly, at places that
the seed draws; so shares are right not only in expectation, and how many samples a component has given before any position is
known without reading. Weights may change at a position, where blocks begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from raygen.data.shards.order import MIXTURE, Numbers, words

BLOCK = 1 << 14
"""Positions in a block: weights are kept to a share of 1 in so many."""


def quotas(weights: Sequence[float]) -> Numbers:
    """Positions of a block for each component, by largest remainders (Hamilton); at least one for a weight above 0.

    Args:
        weights: Not negative, of any sum above 0.
    """
    shares = np.asarray(weights, dtype=np.float64)
    wanted = BLOCK * shares / shares.sum()
    counts: Numbers = np.maximum(np.floor(wanted), (shares > 0).astype(np.float64)).astype(np.int64)
    # Stable, so that of equal remainders the first component wins.
    for place in np.argsort(-(wanted - counts), kind="stable")[: max(BLOCK - int(counts.sum()), 0)]:
        counts[place] += 1
    while counts.sum() > BLOCK:
        counts[int(np.argmax(counts))] -= 1
    return counts


def tempered(sizes: Sequence[int], weights: Sequence[float | None], temperature: float) -> list[float]:
    """Weights of components: what is given, and otherwise the size, to the power of 1 / temperature.

    A temperature of 1 leaves them alone; above, small components come more often (as in Raffel et al. 2020, "Exploring the
    limits of transfer learning", 3.5.2).

    Args:
        sizes: Samples of each.
        weights: What the job gives for each; None for the size.
        temperature: Above 0.
    """
    given = [float(size) if weight is None else weight for size, weight in zip(sizes, weights, strict=True)]
    largest = max(given)
    return [(weight / largest) ** (1 / temperature) if weight else 0.0 for weight in given]


@dataclass(frozen=True)
class Phase:
    """Weights that hold from a position on.

    Attributes:
        start: The first position.
        weights: Of each component.
    """

    start: int
    weights: tuple[float, ...]


class Mixture:
    """Deals positions to components.

    Args:
        seed: Seed of the job.
        phases: By ascending start; the first one starts at 0.
    """

    def __init__(self, seed: int, phases: Sequence[Phase]) -> None:
        self._seed = seed
        self._phases = tuple(phases)
        self._quotas = [quotas(phase.weights) for phase in phases]
        self._block = lru_cache(maxsize=2)(self._dealt)
        self._before = [np.zeros(len(phases[0].weights), dtype=np.int64)]
        for number, phase in enumerate(phases[1:]):
            length = phase.start - phases[number].start
            self._before.append(self._before[number] + self._given(number, length))

    def components(self, positions: range) -> tuple[Numbers, NDArray[np.int64]]:
        """For consecutive positions the component of each, and which of that component's samples it is, from 0.

        Returns:
            Two arrays (positions,). A component's samples are consecutive.
        """
        chosen = np.empty(len(positions), dtype=np.int64)
        ranks = np.empty(len(positions), dtype=np.int64)
        start = positions.start
        while start < positions.stop:
            number = self._phase_at(start)
            phase = self._phases[number]
            block, place = divmod(start - phase.start, BLOCK)
            end = min(positions.stop, start + BLOCK - place, self._end_of(number))
            components, counted = self._block(number, block)
            piece = slice(start - positions.start, end - positions.start)
            chosen[piece] = components[place : place + end - start]
            first = self._before[number] + block * self._quotas[number]
            ranks[piece] = first[chosen[piece]] + counted[place : place + end - start]
            start = end
        return chosen, ranks

    def _phase_at(self, position: int) -> int:
        return max(number for number, phase in enumerate(self._phases) if phase.start <= position)

    def _end_of(self, number: int) -> int:
        return self._phases[number + 1].start if number + 1 < len(self._phases) else 1 << 62

    def _given(self, number: int, length: int) -> Numbers:
        """Samples that each component gives in the first positions of a phase."""
        blocks, rest = divmod(length, BLOCK)
        components, _ = self._block(number, blocks)
        return blocks * self._quotas[number] + np.bincount(
            components[:rest], minlength=len(self._quotas[number])
        )

    def _dealt(self, number: int, block: int) -> tuple[Numbers, Numbers]:
        """Component of each place of a block, and how many of it stand before."""
        counts = self._quotas[number]
        places = np.argsort(words(BLOCK, self._seed, MIXTURE, number, block), kind="stable")
        components = np.empty(BLOCK, dtype=np.int64)
        components[places] = np.repeat(np.arange(len(counts)), counts)
        before = np.empty(BLOCK, dtype=np.int64)
        for component, count in enumerate(counts):
            before[components == component] = np.arange(count)
        return components, before
