"""How generated samples lie among real ones, from features of both.

Shapes: N real samples, M generated ones, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

CHUNK = 1024
"""Samples whose distances to all others are in memory at the same time."""


@dataclass(frozen=True)
class Neighbourhood:
    """How two sets of samples overlap (Naeem et al. 2020, eq. 3 to 6).

    Attributes:
        precision: Share of generated samples that lie in the ball of some real one.
        recall: Share of real samples that lie in the ball of some generated one.
        density: Mean number of real balls that a generated sample lies in, divided by k; may exceed 1.
        coverage: Share of real samples whose ball holds a generated one.
    """

    precision: float
    recall: float
    density: float
    coverage: float

    def values(self) -> dict[str, float]:
        """As JSON values."""
        return asdict(self)


def neighbourhood(real: Tensor, fake: Tensor, k: int = 5) -> Neighbourhood:
    """Compares sets by balls that reach to each sample's k-th nearest neighbour in its own set.

    Args:
        real: (N, D); both sets should have equally many samples.
        fake: (M, D).
        k: Which neighbour, from 1.

    Raises:
        ValueError: a set has no k-th neighbour.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(
            f"sets of {len(real)} and {len(fake)} samples are too small for neighbours up to {k}"
        )
    real_reach, fake_reach = kth_distances(real, k), kth_distances(fake, k)
    inside_real = torch.zeros(len(fake))
    covered = torch.zeros(len(real), dtype=torch.bool)
    recalled = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(real), CHUNK):
        rows = slice(start, start + CHUNK)
        distances = torch.cdist(real[rows], fake)
        within = distances < real_reach[rows, None]
        inside_real += within.sum(dim=0)
        covered[rows] = within.any(dim=1)
        recalled[rows] = (distances < fake_reach).any(dim=1)
    return Neighbourhood(
        precision=float((inside_real > 0).float().mean()),
        recall=float(recalled.float().mean()),
        density=float(inside_real.mean() / k),
        coverage=float(covered.float().mean()),
    )


def kth_distances(samples: Tensor, k: int) -> Tensor:
    """Euclidean distance from each sample (N, D) to its k-th nearest other one, (N,)."""
    parts = [
        # The nearest is the sample itself.
        torch.cdist(part, samples).kthvalue(k + 1, dim=1).values
        for part in _parts(samples)
    ]
    return torch.cat(parts)


def nearest_distances(samples: Tensor, known: Tensor) -> Tensor:
    """Euclidean distance from each sample (M, D) to the nearest known one (N, D), (M,)."""
    return torch.cat([torch.cdist(part, known).amin(dim=1) for part in _parts(samples)])


def _parts(samples: Tensor) -> Iterator[Tensor]:
    return (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))


def near_copy_share(samples: Tensor, threshold: float) -> float:
    """Share of nearest distances (M,) that are below the threshold."""
    return float((samples < threshold).double().mean())


def class_shares(probabilities: Tensor) -> Tensor:
    """Share of the samples that each class is the most likely of, from probabilities (M, K), (K,)."""
    chosen = probabilities.argmax(dim=1)
    return torch.bincount(chosen, minlength=probabilities.shape[1]) / len(chosen)


def mean_confidence(probabilities: Tensor) -> float:
    """Mean probability of each sample's most likely class, from probabilities (M, K)."""
    return float(probabilities.amax(dim=1).mean())
