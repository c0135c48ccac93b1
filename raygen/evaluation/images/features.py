"""How generated samples lie among real ones, from features of both.

Shapes: N real samples, M generated ones, D features, K classes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked, same_dimensions
from raygen.evaluation.images.pairs import centre_of, exact, parts, squared_distances


@dataclass(frozen=True)
class Neighbourhood:
    """How two sets of samples overlap (Naeem et al. 2020, eq. 3 to 6; precision and recall as in Kynkaanniemi et al. 2019).

    Attributes:
        precision: Share of generated samples that lie in the ball of some real one.
        recall: Share of real samples that lie in the ball of some generated one.
        density: Mean number of real balls that a generated sample lies in, divided by k; may exceed 1.
        coverage: Share of real samples whose ball holds a generated one.
        real_copies: Share of real samples whose ball has the radius 0, since k others are equal to it. It holds nothing.
        fake_copies: Share of such generated samples. Where it is not 0, recall is lower than the samples' places suggest.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    real_copies: float
    fake_copies: float

    def values(self) -> dict[str, float]:
        """As JSON values."""
        return asdict(self)


def neighbourhood(real: Tensor, fake: Tensor, k: int = 5) -> Neighbourhood:
    """Compares sets by balls that reach to each sample's k-th nearest neighbour in its own set.

    A sample at the very edge of a ball lies outside. All pairs count, in float64; memory does not grow with their number.

    Args:
        real: (N, D); both sets should have equally many samples.
        fake: (M, D).
        k: Which neighbour, from 1.

    Raises:
        ValueError: a set has no k-th neighbour, or features are NaN or infinite.
    """
    real, fake = checked(real), checked(fake)
    same_dimensions(real, fake)
    if min(len(real), len(fake)) <= k or k < 1:
        raise ValueError(
            f"sets of {len(real)} and {len(fake)} samples are too small for neighbours up to {k}"
        )
    centre = centre_of(real)
    real_reach, fake_reach = _reach(real, k, centre), _reach(fake, k, centre)
    inside_real = torch.zeros(len(fake), dtype=torch.int64)
    covered = torch.zeros(len(real), dtype=torch.bool)
    recalled = torch.zeros(len(real), dtype=torch.bool)
    for rows in parts(len(real)):
        left = exact(real[rows], centre)
        for columns in parts(len(fake)):
            distances = squared_distances(left, exact(fake[columns], centre))
            within = distances < real_reach[rows, None]
            inside_real[columns] += within.sum(dim=0)
            covered[rows] |= within.any(dim=1)
            recalled[rows] |= (distances < fake_reach[columns]).any(dim=1)
    return Neighbourhood(
        precision=_share(inside_real > 0),
        recall=_share(recalled),
        density=float(inside_real.double().mean() / k),
        coverage=_share(covered),
        real_copies=_share(real_reach == 0),
        fake_copies=_share(fake_reach == 0),
    )


def kth_distances(samples: Tensor, k: int) -> Tensor:
    """Euclidean distance from each sample (N, D) to its k-th nearest other one, (N,) in float64."""
    own = checked(samples, k + 1)
    return _reach(own, k, centre_of(own)).sqrt()


def nearest_distances(samples: Tensor, known: Tensor) -> Tensor:
    """Euclidean distance from each sample (M, D) to the nearest known one (N, D), (M,) in float64."""
    own, others = checked(samples), checked(known, 1)
    same_dimensions(own, others)
    return _nearest(own, others, 1, centre_of(others))[:, 0].sqrt()


def _reach(samples: Tensor, k: int, centre: Tensor) -> Tensor:
    """Squared distance to the k-th nearest other sample, (N,)."""
    return _nearest(samples, samples, k, centre)[:, -1]


def _nearest(samples: Tensor, others: Tensor, k: int, centre: Tensor) -> Tensor:
    """Squared distances (N, k) to the k nearest others, the nearest first; a sample is not another one of its own set."""
    best = torch.full((len(samples), k), torch.inf, dtype=torch.float64)
    for rows in parts(len(samples)):
        left = exact(samples[rows], centre)
        for columns in parts(len(others)):
            distances = squared_distances(left, exact(others[columns], centre))
            if samples is others and rows == columns:
                distances.fill_diagonal_(torch.inf)
            best[rows] = torch.cat([best[rows], distances], dim=1).topk(k, largest=False).values
    return best


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean())


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
