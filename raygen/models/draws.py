"""Random numbers keyed by seed, step and sample, so that no number of workers changes what a sample draws."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BLOCK = 32
"""Samples that are drawn together. A worker draws the blocks that its samples are in and drops the rest."""


class Draws:
    """The random numbers of some consecutive samples.

    Every kind of number has a name; equal keys, names and shapes give equal numbers, on any worker, in any order.

    Args:
        key: Whole numbers from 0: the seed, and what the draws are for, such as the step.
        samples: The samples' numbers: their slots in a step, or their places in a data set.
        device: Where the numbers are drawn. Devices of different types draw different ones.
    """

    def __init__(self, key: tuple[int, ...], samples: range, device: torch.device) -> None:
        self.key = key
        self.samples = samples
        self.device = device

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal numbers, (samples, *shape)."""
        return self._drawn(name, lambda g: torch.randn((BLOCK, *shape), generator=g, device=self.device))

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform numbers from 0 (included) to 1 (not), (samples, *shape)."""
        return self._drawn(name, lambda g: torch.rand((BLOCK, *shape), generator=g, device=self.device))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Whole numbers from 0 to `high` - 1, int64, (samples, *shape)."""
        return self._drawn(
            name, lambda g: torch.randint(high, (BLOCK, *shape), generator=g, device=self.device)
        )

    def _drawn(self, name: str, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        first, last = self.samples.start // BLOCK, (self.samples.stop - 1) // BLOCK
        blocks = [draw(self._generator(name, block)) for block in range(first, last + 1)]
        start = self.samples.start - first * BLOCK
        drawn = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
        return drawn[start : start + len(self.samples)]

    def _generator(self, name: str, block: int) -> torch.Generator:
        entropy = [*self.key, zlib.crc32(name.encode()), block]
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
        return torch.Generator(self.device).manual_seed(seed)
