"""What every metric asks of features before it counts them.

Shapes: N samples, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raygen.evaluation.images.pairs import parts

EXACT_ENOUGH = (torch.float32, torch.float64)
"""Types of features that are taken: in 16 bits, distances that differ by a thousandth come out equal."""


def checked(features: Tensor, least: int = 0, what: str = "features") -> Tensor:
    """The features, on the CPU and without gradients, if a metric can be trusted on them.

    Args:
        features: (N, D).
        least: Samples that the metric needs.
        what: What messages call the values.

    Raises:
        ValueError: they have another shape or type, fewer samples, or values that are not finite.
    """
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{what} have the shape {tuple(features.shape)}, and not (samples, {what})")
    if features.dtype not in EXACT_ENOUGH:
        raise ValueError(f"{what} are {features.dtype}; they must be float32 or float64")
    if len(features) < least:
        raise ValueError(f"at least {least} samples are needed, not {len(features)}")
    own = features.detach().cpu()
    bad = torch.zeros(len(own), dtype=torch.bool)
    for rows in parts(len(own)):
        bad[rows] = ~own[rows].isfinite().all(dim=1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(f"{what} of {int(bad.sum())} samples are NaN or infinite, first those of {first}")
    return own


def same_dimensions(a: Tensor, b: Tensor) -> None:
    """ValueError if two sets (N, D) have features of different extractors."""
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"sets with {a.shape[-1]} and {b.shape[-1]} features cannot be compared")
