"""Distances between all pairs of samples, tile by tile, so that memory does not grow with their number.

Shapes: N and M samples, D features.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

TILE = 1024
"""Samples of each side whose distances are in memory at the same time: at most 8 MiB of them, and 16 KiB a feature."""

ZERO = 1e-14
"""Squared distances below this share of the squared lengths are rounding, and the samples equal."""


def parts(count: int, start: int = 0, size: int | None = None) -> Iterator[slice]:
    """The tiles of one side from `start` on, of `TILE` samples if nothing else is said."""
    step = size or TILE
    return (slice(first, min(first + step, count)) for first in range(start, count, step))


def exact(features: Tensor, centre: Tensor | None) -> Tensor:
    """A tile's features in float64, and about a common centre if there is one: distances are the same, and keep their digits."""
    return features.double() if centre is None else features.double() - centre


def centre_of(features: Tensor) -> Tensor:
    """A point amid the features (N, D), (D,) in float64."""
    return features.mean(dim=0, dtype=torch.float64)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances of float64 features (N, D) and (M, D) that lie about 0, (N, M); 0 between copies."""
    lengths = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    distances = torch.addmm(lengths, a, b.T, alpha=-2)
    return distances.masked_fill_(distances < ZERO * lengths, 0)
