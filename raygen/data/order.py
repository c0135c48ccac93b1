"""The order of samples: a pure function of seed and position, the same for any number of workers.

Position counts samples since the start of training. Step s of a job with global batch size B takes the
positions s*B .. s*B + B - 1, and slot k of every step is lane k. A worker reads whole lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def lanes_of(rank: int, workers: int, lanes: int) -> range:
    """The lanes that a worker reads: contiguous, and no worker has over one more than another."""
    return range(rank * lanes // workers, (rank + 1) * lanes // workers)


class Order:
    """Deals `samples` samples, each once per epoch, in a new order every epoch.

    Args:
        seed: Seed of the job.
        samples: Samples in one epoch.
    """

    def __init__(self, seed: int, samples: int) -> None:
        self.seed = seed
        self.samples = samples
        self._epoch = -1
        self._permutation: Indices = np.empty(0, dtype=np.int64)

    def at(self, position: int) -> tuple[int, int]:
        """The epoch and the index of the sample at a position."""
        epoch, place = divmod(position, self.samples)
        if epoch != self._epoch:
            self._permutation = self.generator(epoch).permutation(self.samples)
            self._epoch = epoch
        return epoch, int(self._permutation[place])

    def indices(self, positions: range) -> Indices:
        """The samples at consecutive positions, as `at` gives them one by one."""
        pieces = []
        start = positions.start
        while start < positions.stop:
            epoch, place = divmod(start, self.samples)
            stop = min(positions.stop, (epoch + 1) * self.samples)
            self.at(start)
            pieces.append(self._permutation[place : place + stop - start])
            start = stop
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers keyed by the seed and `key`, on any machine the same."""
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, *key])))
