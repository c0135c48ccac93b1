"""The order of prepared samples: the n-th is a function of the data, the seed and n, and of nothing else.

Two levels. Every epoch puts the shards in a new order, and cuts that into windows of a few shards each; the samples of a
window are put in a new order, too. So who reads along needs one window in memory, and who begins anywhere reads no more
than that. Both orders sort by keys, which are words that Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as
easy as 1, 2, 3") gives for a key of `numpy.random.SeedSequence`: NumPy keeps both as they are, which it does not promise of its
shuffles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_SHARDS, _SAMPLES, _STARTS, FLIPS, MIXTURE, COMPONENT = range(1, 7)
"""What random words are for; a part of their key."""


def words(count: int, *key: int) -> NDArray[np.uint64]:
    """Random words of 64 bits, shape (count,): the same for the same key on any machine."""
    drawn: NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence(key)).random_raw(count)
    return drawn


def shuffled(count: int, *key: int) -> Numbers:
    """The numbers below `count` in an order that the key decides, shape (count,)."""
    return np.argsort(words(count, *key), kind="stable").astype(np.int64)


def start_of(seed: int, epoch: int, shard: int, below: int) -> int:
    """A number below `below` for a shard in an epoch: where the first sample of a text begins."""
    return int(words(1, seed, _STARTS, epoch, shard)[0] % np.uint64(below))


@dataclass(frozen=True)
class Window:
    """Some shards whose samples are mixed.

    Attributes:
        epoch: Pass over the data, from 0.
        number: Of the window in its epoch, from 0.
        shards: Numbers of its shards, in the order in which they stand in it.
        counts: Samples of each.
        order: Numbers of the samples, counted over the shards as they stand: (samples,).
    """

    epoch: int
    number: int
    shards: tuple[int, ...]
    counts: tuple[int, ...]
    order: Numbers

    def places(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """Of samples by number: which of the window's shards each is in, from 0, and its place there."""
        shards = np.searchsorted(self._firsts, numbers, side="right") - 1
        return shards, numbers - self._firsts[shards]

    @cached_property
    def _firsts(self) -> Numbers:
        """The number of each shard's first sample, and of all samples: (shards + 1,)."""
        return _edges(np.asarray(self.counts, dtype=np.int64))


class WindowOrder:
    """Deals the samples of shards, each once per epoch, in a new order every epoch. Threads may share it.

    Attributes:
        samples: Samples in one epoch.
    """

    def __init__(self, seed: int, counts: Sequence[int], shards_per_window: int) -> None:
        """Plans nothing yet.

        Args:
            seed: Seed of the job.
            counts: Samples of each shard.
            shards_per_window: How many shards are mixed.
        """
        self._seed = seed
        self._counts = np.asarray(counts, dtype=np.int64)
        self._per_window = shards_per_window
        self._firsts = _edges(self._counts)
        self.samples = int(self._firsts[-1])
        self._plan = lru_cache(maxsize=2)(self._planned)
        # The one that is read, the one that is loaded ahead, and the one that a batch has just left.
        self._windows = lru_cache(maxsize=3)(self._dealt)

    @property
    def windows_per_epoch(self) -> int:
        """Windows in one epoch."""
        return -(-len(self._counts) // self._per_window)

    def place(self, position: int) -> tuple[int, int, int]:
        """Epoch, number of the window in it, and place in the window's order, of a position."""
        epoch, left = divmod(position, self.samples)
        starts = self._plan(epoch)[1]
        number = int(np.searchsorted(starts, left, side="right")) - 1
        return epoch, number, left - int(starts[number])

    def window(self, epoch: int, number: int) -> Window:
        """A window of an epoch."""
        return self._windows(epoch, number)

    def shards(self, epoch: int, number: int) -> tuple[int, ...]:
        """The shards of a window of an epoch, in the order in which they stand in it."""
        first = number * self._per_window
        return tuple(self._plan(epoch)[0][first : first + self._per_window].tolist())

    def after(self, epoch: int, number: int) -> tuple[int, int]:
        """Epoch and number of the window after one."""
        return (epoch, number + 1) if number + 1 < self.windows_per_epoch else (epoch + 1, 0)

    def pieces(self, positions: range) -> Iterator[tuple[Window, Numbers]]:
        """Consecutive positions by window: the numbers of their samples in it."""
        start = positions.start
        while start < positions.stop:
            epoch, number, place = self.place(start)
            window = self.window(epoch, number)
            chosen = window.order[place : place + positions.stop - start]
            yield window, chosen
            start += len(chosen)

    def samples_at(self, positions: range) -> Numbers:
        """The samples at consecutive positions, counted over the shards as the index lists them: (positions,)."""
        pieces = []
        for window, chosen in self.pieces(positions):
            shard, place = window.places(chosen)
            pieces.append(self._firsts[np.asarray(window.shards)[shard]] + place)
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)

    def _planned(self, epoch: int) -> tuple[Numbers, Numbers]:
        """The shards in the order of an epoch, and the first position of each window."""
        shards = shuffled(len(self._counts), self._seed, _SHARDS, epoch)
        sizes = np.add.reduceat(self._counts[shards], np.arange(0, len(shards), self._per_window))
        return shards, _edges(sizes)[:-1]

    def _dealt(self, epoch: int, number: int) -> Window:
        shards = self.shards(epoch, number)
        counts = self._counts[list(shards)]
        order = shuffled(int(counts.sum()), self._seed, _SAMPLES, epoch, number)
        return Window(epoch, number, shards, tuple(counts.tolist()), order)


def _edges(counts: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(counts)])
