"""From statistics to p-values, by what held-out images have.

Shapes: M samples, L held-out images, R reference images (training images beside all others).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from raygen.evaluation.memorisation.closeness import Closeness

SIXTH = 0.16
"""Share of a normal distribution that is more than a deviation below its middle."""


@dataclass(frozen=True)
class Scale:
    """What is usual of a statistic: its median, and how far its lower sixth is from that."""

    median: float
    deviation: float

    @classmethod
    def of(cls, values: Tensor) -> Scale:
        """From reference images (R,)."""
        median = float(values.median())
        return cls(median, max(median - float(values.quantile(SIXTH)), 1e-3))

    def standard(self, values: Tensor) -> Tensor:
        """Deviations from what is usual."""
        return (values - self.median) / self.deviation


@dataclass(frozen=True)
class Scales:
    """Makes one score of both statistics."""

    ratio: Scale
    place: Scale

    @classmethod
    def of(cls, reference: Closeness) -> Scales:
        """From training images, each beside all others: no held-out image has a say, so that p-values stay exact."""
        return cls(Scale.of(reference.ratio), Scale.of(reference.place))

    def scores(self, found: Closeness) -> Tensor:
        """The lower of both statistics in deviations, (M,): a copy with noise has a low place, a blurred one a low ratio."""
        return torch.minimum(self.ratio.standard(found.ratio), self.place.standard(found.place))


def p_values(scores: Tensor, held_out: Tensor) -> Tensor:
    """The probability that a real image has a score as low, (M,), whatever the distribution of scores (M,) is.

    It is the share of held-out scores (L,) that are not above it, with the sample itself counted among them (Vovk et al. 2005,
    conformal p-values). Of new images of the same distribution, at most a share of p has a value up to p.
    """
    below = torch.searchsorted(held_out.sort().values, scores, right=True)
    return (below.double() + 1) / (len(held_out) + 1)


def alarm_p_value(flagged: int, count: int, rank: int, held_out: int) -> float:
    """The probability that at least `flagged` of `count` real images have scores up to the rank-th lowest of held-out ones.

    Exact whatever the distribution of the scores: the share of real images up to that score is itself known from held-out images
    alone and has a beta distribution, so the number is beta-binomial, with rank and held_out + 1 - rank (it is binomial when
    there are very many held-out images).

    Args:
        flagged: From 0.
        count: From 0.
        rank: From 1 to `held_out`.
        held_out: Held-out images.
    """
    if flagged <= 0:
        return 1.0
    a, b = float(rank), float(held_out + 1 - rank)
    k = torch.arange(flagged, count + 1, dtype=torch.float64)
    log = math.lgamma(count + 1) - torch.lgamma(k + 1) - torch.lgamma(count - k + 1)
    log = log + torch.lgamma(k + a) + torch.lgamma(count - k + b) - math.lgamma(count + a + b)
    log = log + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return min(1.0, float(log.exp().sum()))


def interval(flagged: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which holds for shares near 0 too."""
    z = 1.959963984540054
    share, extra = flagged / count, z * z / count
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / count + extra / (4 * count)) / (1 + extra)
    # Without rounding where all or none are.
    return 0.0 if flagged == 0 else middle - half, 1.0 if flagged == count else middle + half
