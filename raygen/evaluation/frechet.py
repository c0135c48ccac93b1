"""The Frechet distance between two sets of features, from sums that can be added up over batches and workers.

Shapes: N samples, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureSums:
    """Sums over some samples' features, in float64.

    Attributes:
        count: Samples.
        total: Sum of the features, (D,).
        products: Sum of the features' outer products, (D, D).
    """

    count: int
    total: Tensor
    products: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """The sums over features (N, D)."""
        exact = features.detach().double()
        return cls(len(exact), exact.sum(dim=0), exact.T @ exact)

    def __add__(self, other: FeatureSums) -> FeatureSums:
        """The sums over both sets."""
        return FeatureSums(self.count + other.count, self.total + other.total, self.products + other.products)

    def mean(self) -> Tensor:
        """The mean, (D,)."""
        return self.total / self.count

    def covariance(self) -> Tensor:
        """The unbiased covariance, (D, D).

        Raises:
            ValueError: there are fewer than two samples.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two samples, not {self.count}")
        mean = self.mean()
        return (self.products - self.count * torch.outer(mean, mean)) / (self.count - 1)


def frechet_distance(a: FeatureSums, b: FeatureSums) -> float:
    """The squared Frechet distance of the normal distributions with these moments (Dowson & Landau 1982, eq. 4).

    With Inception's features it is known as FID (Heusel et al. 2017, eq. 6). Fewer samples give larger values,
    so that only distances from equally many samples compare.
    """
    first, second = a.covariance(), b.covariance()
    root = _root(first)
    # The roots of A B and of A^(1/2) B A^(1/2) have the same trace; the latter is symmetric, so its root is real.
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    apart = (a.mean() - b.mean()).square().sum()
    return max(float(apart + first.trace() + second.trace() - 2 * cross), 0.0)


def _root(covariance: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
