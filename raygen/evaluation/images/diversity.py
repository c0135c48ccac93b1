"""How much a set of generated samples varies, from its features alone.

Shapes: M samples, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raygen.evaluation.images.inputs import checked
from raygen.evaluation.images.pairs import centre_of, exact, parts, squared_distances


def mean_pairwise_distance(features: Tensor) -> float:
    """The mean Euclidean distance between two different samples; 0 if all are equal.

    Args:
        features: (M, D), at least two samples.

    Raises:
        ValueError: features are NaN or infinite, or there are fewer than two samples.
    """
    own = checked(features, 2)
    centre = centre_of(own)
    total = torch.zeros((), dtype=torch.float64)
    for rows in parts(len(own)):
        left = exact(own[rows], centre)
        for columns in parts(len(own)):
            if columns.start >= rows.start:
                distances = squared_distances(left, exact(own[columns], centre)).sqrt_()
                if columns == rows:
                    distances.fill_diagonal_(0)
                total += distances.sum() * (1 if columns == rows else 2)
    return float(total) / (len(own) * (len(own) - 1))


def vendi_score(features: Tensor) -> float:
    """The number of samples that would be as diverse if no two had anything in common: from 1, if all are equal, to M.

    It is the exponential of the entropy of the eigenvalues of K / M, where K holds the cosine similarities of the samples
    (Friedman & Dieng 2023, definition 3.1). Samples whose features are all 0 count as equal to each other, and as having
    nothing in common with others.

    Args:
        features: (M, D), at least one sample. Memory grows with the square of D + 1 or of M, whichever is less.

    Raises:
        ValueError: features are NaN or infinite, or there are no samples.
    """
    own = checked(features, 1)
    size = own.shape[1] + 1
    if len(own) <= size:
        unit = _unit(own)
        similar = unit @ unit.T
    else:
        # X X' and X' X have the same eigenvalues but for zeros.
        similar = torch.zeros(size, size, dtype=torch.float64)
        for rows in parts(len(own)):
            unit = _unit(own[rows])
            similar.addmm_(unit.T, unit)
    shares = torch.linalg.eigvalsh(similar / len(own)).clamp(min=0)
    return math.exp(float(torch.special.entr(shares).sum()))


def _unit(features: Tensor) -> Tensor:
    """Features (M, D) of length 1, and a column more in which those of length 0 have theirs, (M, D + 1)."""
    wide = features.double()
    # By the greatest value first, since squares of very small or large ones are 0 or infinite.
    wide = wide / wide.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    lengths = wide.norm(dim=1, keepdim=True)
    return torch.cat([wide / lengths.where(lengths > 0, 1.0), (lengths == 0).double()], dim=1)
